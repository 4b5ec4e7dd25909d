"""Crops of a COCO file's boxes as classification images, to pretrain a backbone on one's own data.

`write_crops` writes {train,val}/<number>_<class>/*.jpg. A crop is a square around the box, with
some of its surroundings; a last class has crops without objects. A tenth of the images is val.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from detnas.data.boxes import Mask
from detnas.data.coco import CocoFile, read_coco_file
from detnas.data.crop_choice import Crops, choose_crops
from detnas.data.crop_squares import cut
from detnas.data.folders import new_folder
from detnas.errors import UserError

BACKGROUND = "background"
PARTS = ("train", "val")

_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95]


@dataclass(frozen=True)
class CropReport:
    """What `write_crops` has written.

    Attributes:
        classes: names of the class folders, in order.
        train, val: the number of crops of each class.
        notes: classes that were left out, one line each.
    """

    classes: tuple[str, ...]
    train: tuple[int, ...]
    val: tuple[int, ...]
    notes: tuple[str, ...] = ()


def write_crops(
    ann_file: Path,
    image_root: Path,
    output: Path,
    side: int = 64,
    most: int = 20000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> CropReport:
    """Write the crops of an existing COCO file under `output`, completely or not at all.

    Crowds, and boxes smaller than 4 pixels, are left out. No class has more than 5 times as many
    crops as the median class. A class whose boxes are in one image only is left out.

    Args:
        image_root: the folder that the file names count from.
        output: the folder to write; absent or empty.
        side: of the crops in pixels.
        most: crops in all; of larger classes, fewer are taken.
        seed: at least 0; the same seed gives the same crops.
        progress: called with the images cut so far, and with all.

    Raises:
        UserError: as `read_coco_file`; `output` is not empty; fewer than two classes are left; or
            an image cannot be read.
    """
    file = read_coco_file(ann_file, image_root)
    crops, is_val = choose_crops(ann_file, file, most, seed)
    names = [*file.categories.values(), BACKGROUND]
    kept = np.unique(crops.category).tolist()
    if len(kept) < 2:
        raise UserError(
            f"{ann_file} has boxes of fewer than two classes in several images, which is too "
            "little to pretrain on: use other images, or none (--pretrained none)"
        )
    folders = dict(zip(kept, _folder_names([names[place] for place in kept]), strict=True))
    with new_folder(output) as folder:
        _write(file, image_root, folder, crops, is_val, folders, side, progress)
    in_val = is_val[crops.image]
    train, val = (
        tuple(np.bincount(crops.category[which], minlength=len(names))[kept].tolist())
        for which in (~in_val, in_val)
    )
    lost = [name for place, name in enumerate(names) if place not in folders]
    notes = [f"no crops of {name!r}, as it is not to be seen in two images" for name in lost]
    return CropReport(tuple(folders.values()), train, val, tuple(notes))


def _folder_names(names: Sequence[str]) -> list[str]:
    """Names of folders that are safe on any system, and sort in the given order."""
    digits = max(3, len(str(len(names) - 1)))
    safe = [re.sub(r"[^A-Za-z0-9-]+", "_", name).strip("_")[:40] for name in names]
    return [f"{place:0{digits}d}_{name}".rstrip("_") for place, name in enumerate(safe)]


def _write(
    file: CocoFile,
    image_root: Path,
    folder: Path,
    crops: Crops,
    is_val: Mask,
    folders: Mapping[int, str],
    side: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    for part in PARTS:
        for name in folders.values():
            (folder / part / name).mkdir(parents=True)
    images = np.unique(crops.image)
    for done, image in enumerate(images.tolist(), 1):
        path = image_root / file.file_names[image]
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if pixels is None:
            raise UserError(f"{path} cannot be read; replace it, or remove it from the file")
        for place in np.flatnonzero(crops.image == image).tolist():
            name = folders[int(crops.category[place])]
            target = folder / PARTS[int(is_val[image])] / name / f"{image:06d}_{place:06d}.jpg"
            left, top, width = crops.squares[place].tolist()
            crop = cut(np.asarray(pixels, np.uint8), (left, top, width), side)
            cv2.imwrite(str(target), crop, _JPEG)
        if progress:
            progress(done, len(images))
