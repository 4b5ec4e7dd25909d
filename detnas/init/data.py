"""The data of a new experiment: the user's annotations as COCO files, split, and crops of boxes."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detnas.config import is_reference
from detnas.data.checks import quoted
from detnas.data.coco import check_categories, read_coco
from detnas.data.conversion import Converted, as_coco
from detnas.data.near_duplicates import near_duplicate_groups
from detnas.data.split.groups import (
    ExperimentSplit,
    GroupTooLargeError,
    split_for_experiment,
)
from detnas.data.statistics import DataStatistics, coco_statistics
from detnas.errors import UserError

ANNOTATIONS = "annotations"
SEARCH_SHARE, VAL_SHARE = 0.2, 0.2
MOST_SEARCH, MOST_VAL = 1000, 3000
"""Images of the search split and of a carved val split at most: more only cost time."""


@dataclass(frozen=True)
class PreparedData:
    """The data as the experiment has it.

    Attributes:
        train: what the user gave to train on, in COCO format.
        val_images: the folder of the images of val.
        statistics: of what the user gave to train on.
        split: what went where.
        images: how many each of train, search and val has.
        notes: for the user, one line each.
    """

    train: Converted
    val_images: Path
    statistics: DataStatistics
    split: ExperimentSplit
    images: Mapping[str, int]
    notes: tuple[str, ...]


def prepare_data(
    folder: Path,
    train: tuple[Path, Path | None],
    val: tuple[Path, Path | None] | None,
    seed: int,
    say: Callable[[str], None],
) -> PreparedData:
    """Write instances_{train,search,trainsearch,val}.json into `folder`/annotations.

    Args:
        folder: of the experiment.
        train: annotations and the folder of their images, or None for the usual places.
        val: the same of the images that results are reported on; None carves them out.
        seed: of the splits.
        say: told what is done.
    Raises:
        UserError: as `as_coco`, or nothing can be trained on.
    """
    annotations = folder / ANNOTATIONS
    annotations.mkdir()
    given = as_coco(*train, folder / "given.json", "train")
    statistics = coco_statistics(given.ann_file, given.image_root)
    if not statistics.classes:
        raise UserError(f"{train[0]} has no usable box: nothing can be trained on it")
    _refuse_odd_names(train[0], statistics.classes)
    check_categories(statistics.classes, given.ann_file, given.image_root)
    notes = list(given.notes)
    val_images = given.image_root
    files = images_of(given)
    val_files: list[Path] = []
    if val is not None:
        reported = as_coco(*val, annotations / "instances_val.json", "val")
        _same_classes(statistics, reported, val[0])
        if reported.format == "coco":
            shutil.copyfile(reported.ann_file, annotations / "instances_val.json")
        notes += reported.notes
        val_images, val_files = reported.image_root, images_of(reported)
    say(f"comparing {len(files) + len(val_files):,} images for near-duplicates")
    groups = near_duplicate_groups([*files, *val_files])
    shared = set(groups[: len(files)]) & set(groups[len(files) :])
    if shared:
        count = sum(group in shared for group in groups[: len(files)])
        notes.append(
            f"{count} images to train on show nearly the same as images of val, whose scores will "
            "be too good for it: take them out of one of the two"
        )
    search = _share(SEARCH_SHARE, MOST_SEARCH, len(files))
    of_val = None if val is not None else _share(VAL_SHARE, MOST_VAL, len(files))
    of_train = groups[: len(files)]
    shares = (search, of_val, seed)
    try:
        split = split_for_experiment(given.ann_file, annotations, *shares, of_train)
    except GroupTooLargeError:
        split = split_for_experiment(given.ann_file, annotations, *shares, np.arange(len(files)))
        notes.append(
            "so many images show nearly the same, as of one camera, that they were split like "
            "others: scores are those of scenes that were trained on; give --val of other scenes"
        )
    (folder / "given.json").unlink(missing_ok=True)
    if statistics.unused:
        notes.append(f"without a box, and so left out: class {quoted(statistics.unused)}")
    images = {"val": len(val_files), **split.images}
    return PreparedData(given, val_images, statistics, split, images, (*notes, *split.notes))


def _share(share: float, most: int, images: int) -> float:
    return min(share, most / images)


def images_of(data: Converted) -> list[Path]:
    """The image files of a COCO file."""
    names = read_coco(data.ann_file, data.image_root).file_names
    return [data.image_root / name for name in names]


def _refuse_odd_names(file: Path, classes: Sequence[str]) -> None:
    """Refuse names that a config would read as something else."""
    for name in classes:
        if is_reference(name):
            raise UserError(
                f"{file}: class {name!r} looks like a reference of a config, '{{...}}': rename it"
            )
        if name != name.strip() or not name:
            raise UserError(
                f"{file}: class {name!r} begins or ends with a space, or is empty: rename it"
            )


def _same_classes(statistics: DataStatistics, val: Converted, file: Path) -> None:
    """Refuse a val file that lacks a class, or that has them in another order."""
    known = read_coco(val.ann_file, val.image_root).categories
    missing = [name for name in statistics.classes if name not in known]
    if missing:
        raise UserError(
            f"{file} has no class {quoted(missing)}, which the training annotations have; it has "
            f"{quoted(known)}: make the two files' classes the same"
        )
    if [name for name in known if name in statistics.classes] != list(statistics.classes):
        raise UserError(
            f"{file} has its classes in another order than the training annotations: make the "
            "`categories` of the two files the same"
        )
