"""Reads PASCAL VOC image lists as one set of images, and writes parts of it.

A list is at ROOT/ImageSets/Main/NAME.txt. The output files are named after ROOT, such as VOC2007.
Lists of the same root are joined.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np

from detnas.data.boxes import BOX, Boxes, Mask
from detnas.data.voc import ANNOTATIONS, checked_voc_list, read_voc_objects
from detnas.errors import UserError


@dataclass(frozen=True)
class VocSet:
    """The images of one or several lists, in order.

    Attributes:
        years: the image ids of each root, by the root's name.
        classes: sorted names.
        boxes: of all lists, with images numbered across lists.
    """

    years: Mapping[str, tuple[str, ...]]
    classes: tuple[str, ...]
    boxes: Boxes
    set_aside = "difficult"
    notes = ()

    @property
    def sizes(self) -> dict[str, int]:
        """Number of images in each group of output files."""
        return {year: len(ids) for year, ids in self.years.items()}

    def content(self, year: str, chosen: Mask) -> Iterator[bytes]:
        """Yield the lines of a list with the chosen images of a year."""
        for image_id in compress(self.years[year], chosen.tolist()):
            yield f"{image_id}\n".encode()


def voc_roots(lists: Sequence[Path]) -> dict[Path, list[Path]]:
    """The lists of each root; UserError for a misplaced list, or for two roots of one name."""
    roots: dict[Path, list[Path]] = {}
    for path in lists:
        parents = path.absolute().parents
        if len(parents) < 4 or not (parents[2] / ANNOTATIONS).is_dir():
            raise UserError(
                f"{path} is not in ROOT/ImageSets/Main of a ROOT with a folder {ANNOTATIONS}; move "
                "it there"
            )
        roots.setdefault(parents[2], []).append(path)
    names = [root.name for root in roots]
    for root in roots:
        if names.count(root.name) > 1:
            raise UserError(
                f"two roots are called {root.name}, one of them {root}; rename one: output files "
                "are named after their root"
            )
    return roots


def read_voc_set(roots: Mapping[Path, Sequence[Path]]) -> VocSet:
    """Read the lists of each root as one set.

    Raises:
        MissingFileError: an image or an XML file does not exist.
        UserError: an image is in two lists of a root, or an error of `read_voc_list` or
            `read_voc_objects`.
    """
    years = {root.name: _joined(root, lists) for root, lists in roots.items()}
    objects = [
        read_voc_objects(root / ANNOTATIONS / f"{image_id}.xml")
        for root in roots
        for image_id in years[root.name]
    ]
    classes = sorted({item.name for found in objects for item in found})
    position = {name: index for index, name in enumerate(classes)}
    rows = (
        (image, position[item.name], item.difficult)
        for image, found in enumerate(objects)
        for item in found
    )
    return VocSet(years, tuple(classes), np.fromiter(rows, BOX))


def _joined(root: Path, lists: Sequence[Path]) -> tuple[str, ...]:
    """The image ids of all lists of a root; UserError for an image in two lists."""
    list_of: dict[str, Path] = {}
    for path in lists:
        for image_id in checked_voc_list(path, root):
            if image_id in list_of:
                raise UserError(
                    f"{path}: image {image_id} is also in {list_of[image_id]}; remove one"
                )
            list_of[image_id] = path
    return tuple(list_of)
