"""Carving of a search split out of training data: `take` images drawn at random, the rest to train.

COCO annotation files give, in the output folder, `instances_{search,train,trainsearch}.json`; VOC
image lists give `YEAR_{search,train,trainsearch}.txt` for each year's folder, as VOC2007. Search
and train have no image in common, and trainsearch has all, to retrain on. The draw is a function of
the seed and of how many images there are, and parts keep the input's order: the same files and
seed give the same bytes.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np

from detnas.data.split.coco import read_coco_set
from detnas.data.split.coco_set import FILES
from detnas.data.split.report import Boxes, Mask, SplitReport, count_classes
from detnas.data.split.voc import read_voc_set, voc_files
from detnas.errors import MissingFileError, UserError
from detnas.files import replacing

# First word of the stream of random numbers after the seed; `detnas.data.digits` has 0 to 5.
_STREAM = 6


class ImageSet(Protocol):
    """Annotated images in an order, which can write parts of themselves."""

    @property
    def images(self) -> int:
        """How many there are."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    @property
    def boxes(self) -> Boxes:
        """(boxes,) of BOX."""

    @property
    def set_aside(self) -> str:
        """What `ignored` boxes are called."""

    def notes(self, search: Mask) -> tuple[str, ...]:
        """What a person should know of the parts, a line each."""

    def write(self, search: Mask, paths: Mapping[str, Path]) -> None:
        """Write all parts, each to the path under its file name."""


def split(
    annotations: Sequence[Path],
    take: int,
    seed: int,
    output: Path,
    prefixes: Sequence[str] = (),
) -> SplitReport:
    """Draw `take` images into a search split and write the parts.

    Args:
        annotations: COCO files (.json) or VOC lists (.txt), one or several of a kind.
        take: how many images to draw, those without boxes included; the rest must not be empty.
        seed: not negative.
        output: the folder to write to; made where it is missing.
        prefixes: text to put in front of the file names of COCO files, as "train2014/": none, one
            for all, or one for each file.

    FileNotFoundError or ValueError, in one line that names the thing and the mend, before anything
    is written: for files that are missing, unusable or do not fit each other, and for an output
    that exists. The outputs appear when all of them are complete.
    """
    suffix = _suffix(annotations)
    _check_options(suffix, len(annotations), take, seed, prefixes)
    _check_inputs(annotations)
    names = tuple(FILES) if suffix == ".json" else voc_files(annotations)
    outputs = {name: output / name for name in names}
    _check_outputs(annotations, output, outputs.values())
    data = _read(suffix, annotations, prefixes)
    search = draw(data.images, take, seed)
    with _new_files(outputs) as paths:
        data.write(search, paths)
    return SplitReport(
        seed=seed,
        train_images=data.images - take,
        search_images=take,
        classes=count_classes(data.classes, data.boxes, search),
        set_aside=data.set_aside,
        files=tuple(outputs.values()),
        notes=data.notes(search),
    )


def draw(images: int, take: int, seed: int) -> Mask:
    """(images,), of which `take` are true; a smaller `take` draws some of the same images.

    ValueError when `take` would leave no image.
    """
    if take >= images:
        raise UserError(f"take is {take}, and there are {images} images; leave some to train on")
    chosen = np.zeros(images, np.bool_)
    chosen[np.random.default_rng([seed, _STREAM]).permutation(images)[:take]] = True
    return chosen


def _suffix(annotations: Sequence[Path]) -> str:
    suffixes = {path.suffix.lower() for path in annotations}
    if suffixes not in ({".json"}, {".txt"}):
        found = ", ".join(map(str, annotations)) or "nothing"
        raise UserError(
            f"{found} cannot be split together; name COCO files (.json) or VOC lists (.txt), one "
            "or several of one kind"
        )
    return suffixes.pop()


def _check_options(suffix: str, files: int, take: int, seed: int, prefixes: Sequence[str]) -> None:
    if take < 1:
        raise UserError(f"take is {take}; it must be at least 1")
    if seed < 0:
        raise UserError(f"seed is {seed}; it must not be negative")
    if prefixes and suffix != ".json":
        raise UserError("--prefix is for COCO files; leave it out for VOC lists")
    if len(prefixes) not in (0, 1, files):
        raise UserError(
            f"{len(prefixes)} prefixes for {files} files; give none, one for all, or one for each"
        )


def _check_inputs(annotations: Sequence[Path]) -> None:
    for path in annotations:
        if not path.is_file():
            raise MissingFileError(f"annotation file {path} does not exist; correct its path")


def _check_outputs(annotations: Sequence[Path], output: Path, outputs: Iterable[Path]) -> None:
    if output.exists() and not output.is_dir():
        raise UserError(f"{output} is not a folder; name another with -o")
    for file in outputs:
        if any(file.exists() and file.samefile(path) for path in annotations):
            raise UserError(f"{file} would replace an input; name another folder with -o")
        if file.exists() or file.is_symlink():
            raise UserError(f"{file} exists; remove it or name another folder with -o")


def _read(suffix: str, annotations: Sequence[Path], prefixes: Sequence[str]) -> ImageSet:
    if suffix == ".txt":
        return read_voc_set(annotations)
    if len(prefixes) < len(annotations):
        prefixes = [*prefixes, ""][:1] * len(annotations)
    return read_coco_set(annotations, prefixes)


@contextmanager
def _new_files(outputs: Mapping[str, Path]) -> Iterator[dict[str, Path]]:
    """Temporary names for new files, which take their names when all are on the disk.

    Where the block raises, or the disk is full, none of them is left.
    """
    try:
        with ExitStack() as stack:
            paths = {key: stack.enter_context(replacing(path)) for key, path in outputs.items()}
            yield paths
            for path in paths.values():
                with path.open("rb+") as file:
                    os.fsync(file.fileno())
    except BaseException:
        for path in outputs.values():
            path.unlink(missing_ok=True)
        raise
