"""Reads and checks the PASCAL VOC image lists of a split as one set, and writes its parts.

A list is at ROOT/ImageSets/Main/NAME.txt. The output files are named after ROOT, such as VOC2007.
Lists of the same root are joined.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np

from detnas.data.split.report import BOX, Boxes, Mask
from detnas.data.voc import (
    ANNOTATIONS,
    VocObject,
    read_voc_annotations,
    read_voc_list,
    voc_split,
)
from detnas.errors import UserError

_PARTS = ("search", "train", "trainsearch")


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
    set_aside: str = "difficult"

    @property
    def images(self) -> int:
        """How many images there are."""
        return sum(map(len, self.years.values()))

    def notes(self, search: Mask) -> tuple[str, ...]:
        """Remarks for the report, one line each."""
        empty = [name for name, ids in self._parts(search) if not ids]
        return tuple(f"warning: {name} is empty; leave it out of the config" for name in empty)

    def write(self, search: Mask, paths: Mapping[str, Path]) -> None:
        """Write all parts.

        Args:
            search: (images,), which images are in the search part.
            paths: the path of each name in `voc_files`.
        """
        for name, ids in self._parts(search):
            text = "".join(f"{image_id}\n" for image_id in ids)
            paths[name].write_text(text, encoding="utf-8")

    def _parts(self, search: Mask) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The name of every file to write, and its ids."""
        start = 0
        for year, ids in self.years.items():
            mask = search[start : start + len(ids)]
            start += len(ids)
            for part, chosen in zip(_PARTS, (mask, ~mask, np.ones_like(mask)), strict=True):
                yield f"{year}_{part}.txt", tuple(compress(ids, chosen.tolist()))


def voc_files(lists: Sequence[Path]) -> tuple[str, ...]:
    """Names of the files that a split of these lists writes; UserError for a misplaced list."""
    return tuple(f"{root.name}_{part}.txt" for root in _by_root(lists) for part in _PARTS)


def _by_root(lists: Sequence[Path]) -> dict[Path, list[Path]]:
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


def read_voc_set(lists: Sequence[Path]) -> VocSet:
    """Read one or several lists as one set.

    Raises:
        MissingFileError: a list, an image or an XML file does not exist.
        UserError: a list is misplaced, an image is in two lists, or an error of `read_voc_list` or
            `read_voc_objects`.
    """
    years: dict[str, tuple[str, ...]] = {}
    objects: list[tuple[VocObject, ...]] = []
    for root, of_root in _by_root(lists).items():
        ids: dict[str, Path] = {}
        for path in of_root:
            voc_split("split", path, root)
            for image_id in read_voc_list(path):
                if image_id in ids:
                    raise UserError(
                        f"{path}: image {image_id} is also in {ids[image_id]}; remove one"
                    )
                ids[image_id] = path
        years[root.name] = tuple(ids)
        objects += [found for _, found in read_voc_annotations(tuple(ids), root)]
    classes = sorted({item.name for found in objects for item in found})
    return VocSet(years, tuple(classes), _boxes(objects, classes))


def _boxes(objects: Sequence[Sequence[VocObject]], classes: Sequence[str]) -> Boxes:
    position = {name: index for index, name in enumerate(classes)}

    def rows() -> Iterator[tuple[int, int, bool]]:
        for image, found in enumerate(objects):
            for item in found:
                yield image, position[item.name], item.difficult

    return np.fromiter(rows(), BOX)
