"""Crops scenes to images of many sizes, so that batches need padding: what phones and scans give.

Every scene loses a random part of its right and lower edge, and the boxes that are mostly in it.
"""

import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from detnas.data.folders import new_folder

SPLITS = ("train", "search", "val")
SMALLEST = 0.5  # share of the width and of the height that stays at least
VISIBLE = 0.5  # share of a box that must stay in the image


def write_cropped(source: Path, root: Path) -> None:
    """Write the scenes of `source` (the folder `detection` of the digits), cropped, under `root`.

    Root appears complete or not at all; nothing is done where it exists.
    """
    if root.exists():
        return
    rng = np.random.default_rng(0)
    with new_folder(root) as folder:
        (folder / "annotations").mkdir(parents=True)
        for split in SPLITS:
            name = f"annotations/instances_{split}.json"
            data = json.loads((source / name).read_text(encoding="utf-8"))
            sizes = {}
            for image in data["images"]:
                share = rng.uniform(SMALLEST, 1, 2)
                width, height = (share * (image["width"], image["height"])).astype(int).tolist()
                image |= {"width": width, "height": height}
                sizes[image["id"]] = (width, height)
                picture = cv2.imread(str(source / "images" / image["file_name"]))
                assert picture is not None, image["file_name"]
                file = folder / "images" / image["file_name"]
                file.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(file), picture[:height, :width])
            cropped = [_cropped(row["bbox"], sizes[row["image_id"]]) for row in data["annotations"]]
            data["annotations"] = [
                {key: row[key] for key in ("id", "image_id", "category_id", "iscrowd")}
                | {"bbox": box.tolist(), "area": float(box[2] * box[3])}
                for row, box in zip(data["annotations"], cropped, strict=True)
                if box[2] * box[3] >= VISIBLE * row["bbox"][2] * row["bbox"][3]
            ]
            (folder / name).write_text(json.dumps(data), encoding="utf-8")


def _cropped(box: list[float], size: tuple[int, int]) -> NDArray[np.float64]:
    """A box (x, y, width, height) in pixels, within an image of (width, height)."""
    corner = np.array(box[:2], dtype=float)
    return np.concatenate([corner, np.clip(np.minimum(corner + box[2:], size) - corner, 0, None)])
