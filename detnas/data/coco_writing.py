"""Writes images and boxes that come from another format as a COCO file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detnas.data.image_files import read_images
from detnas.errors import UserError
from detnas.files import write_text

Record = dict[str, Any]
"""An annotation with the key `class`, a name, in place of ids."""


def write_coco(
    source: Path,
    output: Path,
    images: Sequence[Path],
    root: Path,
    records: Sequence[Sequence[Record]],
    classes: Sequence[str],
) -> None:
    """Write a COCO file; ids count from 1.

    Args:
        source: what the boxes come from, for messages.
        root: the folder that file names count from.
        records: those of each image.
        classes: their names, in order.

    Raises:
        UserError: there is no box.
    """
    if not any(records):
        raise UserError(f"{source} has no box that can be used; add some")
    ids = {name: number for number, name in enumerate(classes, 1)}
    written = [
        {
            "id": number,
            "file_name": path.relative_to(root).as_posix(),
            "width": file.width,
            "height": file.height,
        }
        for number, (path, file) in enumerate(zip(images, read_images(images), strict=True), 1)
    ]
    boxes: list[Record] = []
    for image, found in enumerate(records, 1):
        for record in found:
            others = {key: value for key, value in record.items() if key != "class"}
            keys = {"image_id": image, "category_id": ids[record["class"]]}
            boxes.append({"id": len(boxes) + 1, **keys, **others})
    content = {
        "info": {"description": f"converted from {source.name}"},
        "images": written,
        "annotations": boxes,
        "categories": [{"id": number, "name": name} for name, number in ids.items()],
    }
    write_text(output, json.dumps(content, separators=(",", ":"), ensure_ascii=False) + "\n")
