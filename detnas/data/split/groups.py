"""Splits in which images that show nearly the same stay together, for a new experiment.

Frames of a video, or copies of an image, in both the train and the search split make scores too
good. `detnas.data.near_duplicates` finds such groups.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detnas.data.boxes import Boxes, Mask
from detnas.data.split.coco import GROUP, CocoSet, read_coco_set
from detnas.data.split.make_split import check_outputs, draw_by_class, rarest_classes, write_parts
from detnas.errors import UserError

FEW_BOXES = 5
"""Boxes of a class in a split, below which a warning says so."""

_GROUPS_STREAM = 13  # of random numbers; `make_split` has 12
_TRAIN, _SEARCH, _VAL = range(3)
_NAMES = ("train", "search", "val")

Numbers = NDArray[np.int64]


class GroupTooLargeError(UserError):
    """More than half of the images show nearly the same: no split can keep them together."""


@dataclass(frozen=True)
class ExperimentSplit:
    """The annotation files of an experiment.

    Attributes:
        files: written, by split: train, search, trainsearch, and val if it was drawn.
        images: their numbers, by split.
        boxes: the numbers of each class's boxes, without crowds, by split.
        notes: what the annotation file's reader mended.
        warnings: classes with few boxes in a split, one line each.
    """

    files: Mapping[str, Path]
    images: Mapping[str, int]
    boxes: Mapping[str, Mapping[str, int]]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def draw_by_class_and_group(classes: Numbers, groups: Numbers, take: int, seed: int) -> Mask:
    """A random mask with about `take` true values, over the classes in proportion; no group is cut.

    A group counts for its rarest class. Without groups of several images, it is `draw_by_class`.

    Args:
        classes: one for each image, (images,), such as `rarest_classes` gives.
        groups: a number for each image, (images,).
        take: how many images.
        seed: at least 0.
    Raises:
        UserError: `take` would leave no image.
        GroupTooLargeError: a group has more than half of the images.
    """
    _, index, number, sizes = np.unique(
        groups, return_index=True, return_inverse=True, return_counts=True
    )
    images, largest = len(classes), int(sizes.max(initial=0))
    if largest == 1 or take >= images:
        return draw_by_class(classes, take, seed)
    if largest > images / 2:
        raise GroupTooLargeError(
            f"{largest} of the {images} images show nearly the same, as those of a fixed camera "
            "do, so that they cannot be split; give the validation or search images in a file of "
            "their own"
        )
    rng = np.random.default_rng([seed, _GROUPS_STREAM])
    known, counts = np.unique(classes, return_counts=True)
    rarity = counts[np.searchsorted(known, classes)]
    rarest_first = np.lexsort((index[number], classes, rarity))
    of_group = np.empty(len(sizes), np.int64)
    of_group[number[rarest_first[::-1]]] = classes[rarest_first[::-1]]
    place = rng.permutation(len(known))[np.searchsorted(known, of_group)]
    # The small groups of a class come last and make up for what the large ones leave over.
    order = np.lexsort((rng.permutation(len(sizes)), -sizes, place))
    chosen = np.zeros(len(sizes), np.bool_)
    lead = rng.random() - 0.5
    for group in order:
        lead += sizes[group] * take / images  # how many images behind the draw is
        if lead >= sizes[group] / 2:
            chosen[group] = True
            lead -= sizes[group]
    return chosen[number]


def split_for_experiment(
    ann_file: Path,
    output: Path,
    search: float,
    val: float | None,
    seed: int,
    groups: Numbers,
) -> ExperimentSplit:
    """Write `instances_{train,search,trainsearch}.json` under `output`, and `_val` if it is drawn.

    No group is in two of train, search and val. A class that enough groups show is in all of them.
    Files appear only when all are complete; records keep their bytes.

    Args:
        ann_file: an existing COCO file.
        search, val: shares of all images; val None draws no val split.
        seed: at least 0.
        groups: of each image, in the file's order, (images,).

    Raises:
        UserError: as `read_coco_set` and `draw_by_class_and_group`; the shares leave no image; or
            a file exists.
    """
    shares = [search, *([] if val is None else [val])]
    if not all(0 < share < 1 for share in shares) or sum(shares) >= 1:
        raise UserError(f"the shares {shares} of the images must be above 0, and below 1 in sum")
    parts = ("train", "search", "trainsearch", *([] if val is None else ["val"]))
    files = {part: output / f"{GROUP}_{part}.json" for part in parts}
    check_outputs([ann_file], output, files.values())
    data = read_coco_set([ann_file], [""])
    images = data.sizes[GROUP]
    assert len(groups) == images, "every image has a group"
    part_of = _drawn(images, data.boxes, search, val, seed, groups)
    kinds = (_TRAIN, _SEARCH) if val is None else (_TRAIN, _SEARCH, _VAL)
    _spread(part_of, _shown(images, data.boxes, len(data.classes)), groups, kinds)
    masks = {part: part_of == _NAMES.index(part) for part in parts if part in _NAMES}
    masks["trainsearch"] = masks["train"] | masks["search"]
    for part in parts:
        if not masks[part].any():
            raise UserError(
                f"{ann_file} has too few images ({images}) for a split {part!r}; add images, or "
                "give the validation images in a file of their own"
            )
    write_parts(data, {files[part]: (GROUP, masks[part]) for part in parts})
    boxes = {part: _counts(data, masks[part]) for part in parts}
    return ExperimentSplit(
        files,
        {part: int(masks[part].sum()) for part in parts},
        boxes,
        data.notes,
        tuple(_warnings(boxes)),
    )


def _drawn(
    images: int, boxes: Boxes, search: float, val: float | None, seed: int, groups: Numbers
) -> Numbers:
    """Which of train, search and val each image is in; val is drawn first."""
    classes = rarest_classes(images, boxes)
    part_of = np.full(images, _TRAIN)
    if val is not None:
        chosen = draw_by_class_and_group(classes, groups, max(1, round(val * images)), seed)
        part_of[chosen] = _VAL
    left = np.flatnonzero(part_of == _TRAIN)
    take = max(1, round(search * images))
    part_of[left[draw_by_class_and_group(classes[left], groups[left], take, seed)]] = _SEARCH
    return part_of


def _shown(images: int, boxes: Boxes, classes: int) -> Mask:
    """Whether each image shows each class, (images, classes); crowds do not count."""
    shown = np.zeros((images, classes), np.bool_)
    counted = boxes[~boxes["ignored"]]
    shown[counted["image"], counted["category"]] = True
    return shown


def _spread(part_of: Numbers, shown: Mask, groups: Numbers, parts: Sequence[int]) -> None:
    """Move groups in place, so that classes are in all parts; train first, then val, then search.

    Of the part that can spare it, the smallest group that shows the class moves. A part can spare
    a group whose every class it also has in another group.
    """
    known, first, number = np.unique(groups, return_index=True, return_inverse=True)
    sizes = np.bincount(number)
    holds = np.zeros((len(known), shown.shape[1]), np.bool_)
    np.logical_or.at(holds, number, shown)
    part = part_of[first]
    by_number = np.argsort(holds.sum(0), kind="stable")  # rare classes have the fewest choices
    for category in by_number:
        for wanted in sorted(parts, key=(_TRAIN, _VAL, _SEARCH).index):
            has = holds[:, category]
            if not has.any() or (has & (part == wanted)).any():
                continue
            smallest_first = sorted(
                np.flatnonzero(has).tolist(), key=lambda group: (sizes[group], group)
            )
            spare = (group for group in smallest_first if _can_spare(group, part, holds, wanted))
            if (group := next(spare, None)) is not None:
                part[group] = wanted
    part_of[:] = part[number]


def _can_spare(group: int, part: Numbers, holds: Mask, wanted: int) -> bool:
    """Whether its part keeps all its classes without it; train takes a class from any part."""
    rest = part == part[group]
    rest[group] = False
    lost = holds[group] & ~holds[rest].any(0)
    return bool(rest.any()) and (not lost.any() or wanted == _TRAIN)


def _counts(data: CocoSet, mask: Mask) -> dict[str, int]:
    boxes = data.boxes
    counted = boxes[~boxes["ignored"] & mask[boxes["image"]]]
    numbers = np.bincount(counted["category"], minlength=len(data.classes))
    return dict(zip(data.classes, numbers.tolist(), strict=True))


def _warnings(boxes: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    used = {name for part in boxes.values() for name, count in part.items() if count}
    for part, counts in boxes.items():
        few = [
            f"{name} ({count})"
            for name, count in counts.items()
            if count < FEW_BOXES and name in used
        ]
        if few and part != "trainsearch":
            yield f"the {part} split has fewer than {FEW_BOXES} boxes of {', '.join(few)}"
