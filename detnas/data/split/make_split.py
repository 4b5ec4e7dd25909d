"""Splits training data: `take` random images form the search split, the rest the train split.

For COCO annotation files the output is `instances_{search,train,trainsearch}.json`; for VOC image
lists it is `YEAR_{search,train,trainsearch}.txt` for each year's folder, such as VOC2007. Search
and train are disjoint; trainsearch has all images, for retraining. The draw is a function of the
seed and of the images' classes, or of their number alone. Each part keeps the order of the input,
so the same files and seed give the same bytes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detnas.data.boxes import Boxes, Mask, count_classes
from detnas.data.split.coco import GROUP, CocoSet, read_coco_set
from detnas.data.split.report import SplitReport
from detnas.data.split.voc import VocSet, read_voc_set, voc_roots
from detnas.errors import MissingFileError, UserError
from detnas.files import replacing

PARTS = ("search", "train", "trainsearch")

# The number of this random stream, seeded by (seed, stream); `detnas.data.digits` has 0 to 5.
_STREAM = 6
_CLASSES_STREAM = 12
_BUFFER = 1 << 20


def split(
    annotations: Sequence[Path],
    take: int | float,
    seed: int,
    output: Path,
    prefixes: Sequence[str] = (),
    by_class: bool = True,
) -> SplitReport:
    """Draw `take` images into a search split and write the parts.

    Args:
        annotations: COCO files (.json) or VOC lists (.txt); not both kinds.
        take: how many images to draw, including those without boxes, or, as a float below 1, which
            share of them; some images must be left.
        seed: at least 0.
        output: the folder to write to; created if missing.
        prefixes: text to put before the file names of COCO files, such as "train2014/": none, one
            for all files, or one per file.
        by_class: draw as `draw_by_class` does, so that rare classes are in both parts; otherwise
            as `draw`.

    Outputs appear only when all of them are complete.

    Raises:
        MissingFileError: an input file does not exist.
        UserError: an input is invalid, inputs do not fit each other, or an output exists.
    """
    suffix = _suffix(annotations)
    _check_options(suffix, len(annotations), take, seed, prefixes)
    for path in annotations:
        if not path.is_file():
            raise MissingFileError(f"annotation file {path} does not exist; correct its path")
    roots = voc_roots(annotations) if suffix == ".txt" else {}
    groups = [root.name for root in roots] or [GROUP]
    files = [output / f"{group}_{part}{suffix}" for group in groups for part in PARTS]
    check_outputs(annotations, output, files)
    data: CocoSet | VocSet
    if roots:
        data = read_voc_set(roots)
    else:
        every = prefixes if len(prefixes) > 1 else [*prefixes, ""][:1] * len(annotations)
        data = read_coco_set(annotations, every)
    images = sum(data.sizes.values())
    if isinstance(take, float):
        take = max(1, round(take * images))
    if by_class:
        search = draw_by_class(rarest_classes(images, data.boxes), take, seed)
    else:
        search = draw(images, take, seed)
    parts = dict(zip(files, _parts(data.sizes, search), strict=True))
    write_parts(data, parts)
    empty = [file.name for file, (_, chosen) in parts.items() if not chosen.any()]
    warnings = [f"warning: {name} is empty; leave it out of the config" for name in empty]
    *classes, total = count_classes(data.classes, data.boxes, search)
    return SplitReport(
        seed, tuple(classes), total, data.set_aside, tuple(files), (*data.notes, *warnings)
    )


def draw(images: int, take: int, seed: int) -> Mask:
    """A random mask (images,) with `take` true values; a smaller `take` gives a subset.

    Raises:
        UserError: `take` would leave no image.
    """
    _check_take(take, images)
    chosen = np.zeros(images, np.bool_)
    chosen[np.random.default_rng([seed, _STREAM]).permutation(images)[:take]] = True
    return chosen


def rarest_classes(images: int, boxes: Boxes) -> NDArray[np.int64]:
    """For each image the class, of those that it has a box of, that the fewest images have.

    Args:
        images: how many.
        boxes: `BOX` records (boxes,); ignored ones do not count.
    Returns:
        Positions of classes, int64 (images,); -1 for images without a box.
    """
    counted = boxes[~boxes["ignored"]]
    classes = int(counted["category"].max(initial=0)) + 1
    image, category = np.divmod(
        np.unique(counted["image"] * classes + counted["category"]), classes
    )
    found = np.full(images, -1, np.int64)
    if len(image):
        commonest_first = np.lexsort((category, -np.bincount(category)[category]))
        found[image[commonest_first]] = category[commonest_first]  # the last, rarest one stays
    return found


def draw_by_class(classes: NDArray[np.int64], take: int, seed: int) -> Mask:
    """A random mask with `take` true values, spread over the classes in proportion.

    This is systematic sampling: of n images with the same class, n * take / images are drawn,
    rounded up or down at random, and every image is equally likely to be drawn. Unlike `draw`, a
    smaller `take` gives no subset.

    Args:
        classes: one for each image, (images,), such as `rarest_classes` gives.
        take: how many images.
        seed: at least 0.
    Raises:
        UserError: `take` would leave no image.
    """
    _check_take(take, len(classes))
    rng = np.random.default_rng([seed, _CLASSES_STREAM])
    known, numbers = np.unique(classes, return_inverse=True)
    order = np.lexsort((rng.permutation(len(classes)), rng.permutation(len(known))[numbers]))
    places = (rng.random() + np.arange(take)) * len(classes) / take  # at equal distances above 1
    chosen = np.zeros(len(classes), np.bool_)
    chosen[order[places.astype(np.int64)]] = True
    return chosen


def _check_take(take: int, images: int) -> None:
    if take >= images:
        raise UserError(
            f"take is {take}, but there are only {images} images; leave some to train on"
        )


def _suffix(annotations: Sequence[Path]) -> str:
    suffixes = {path.suffix.lower() for path in annotations}
    if suffixes not in ({".json"}, {".txt"}):
        found = ", ".join(map(str, annotations)) or "nothing"
        raise UserError(
            f"{found} cannot be split together; name COCO files (.json) or VOC lists (.txt), not "
            "both"
        )
    return suffixes.pop()


def _check_options(
    suffix: str, files: int, take: int | float, seed: int, prefixes: Sequence[str]
) -> None:
    if isinstance(take, float) and not 0 < take < 1:
        raise UserError(f"take is {take}; a share must be above 0 and below 1, as 0.2 or 20%")
    if isinstance(take, int) and take < 1:
        raise UserError(f"take is {take}; it must be at least 1")
    if seed < 0:
        raise UserError(f"seed is {seed}; it must not be negative")
    if prefixes and suffix != ".json":
        raise UserError("--prefix is for COCO files; leave it out for VOC lists")
    if len(prefixes) not in (0, 1, files):
        raise UserError(
            f"{len(prefixes)} prefixes for {files} files; give none, one for all, or one per file"
        )


def check_outputs(annotations: Sequence[Path], output: Path, outputs: Iterable[Path]) -> None:
    """Raise UserError if a file that is to be written exists, or its folder is none."""
    if output.exists() and not output.is_dir():
        raise UserError(f"{output} is not a folder; name another with -o")
    for file in outputs:
        if any(file.exists() and file.samefile(path) for path in annotations):
            raise UserError(f"{file} would replace an input; name another folder with -o")
        if file.exists() or file.is_symlink():
            raise UserError(f"{file} exists; remove it or name another folder with -o")


def _parts(sizes: Mapping[str, int], search: Mask) -> Iterator[tuple[str, Mask]]:
    """The group of each file, and which of the group's images it has."""
    ends = np.cumsum(list(sizes.values()))
    for group, chosen in zip(sizes, np.split(search, ends[:-1]), strict=True):
        masks = {"search": chosen, "train": ~chosen, "trainsearch": np.ones_like(chosen)}
        yield from ((group, masks[part]) for part in PARTS)


def write_parts(data: CocoSet | VocSet, parts: Mapping[Path, tuple[str, Mask]]) -> None:
    """Write all files under temporary names, then rename them; after an error no file remains."""
    try:
        with ExitStack() as stack:
            for path, (group, chosen) in parts.items():
                temporary = stack.enter_context(replacing(path))
                with temporary.open("wb", buffering=_BUFFER) as file:
                    file.writelines(data.content(group, chosen))
    except BaseException:
        for path in parts:
            path.unlink(missing_ok=True)
        raise
