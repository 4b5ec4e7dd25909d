"""Checks of datasets before any work: images exist, classes are known, splits do not overlap.

Searching on images that were trained on, or testing on images that were searched on, gives scores
that mean nothing, and looks like success. Images are told apart by where they are and by what they
hold, never by id: ids start anew in every annotation file.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import TypeVar

from detnas.data.archives import is_archive, locate, open_archive
from detnas.data.coco import read_coco
from detnas.errors import MissingFileError, UserError

Key = TypeVar("Key", Path, bytes)

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".webp"})


class SplitOverlapError(UserError):
    """Two splits that must not share an image do."""


@dataclass(frozen=True)
class Split:
    """The image files of one split; `name` is what messages call it, as "train" or "search"."""

    name: str
    images: tuple[Path, ...]


def coco_split(name: str, ann_file: Path, image_root: Path) -> Split:
    """The images that an annotation file names, under `image_root`.

    FileNotFoundError when any of them is missing; `read_coco`'s errors when the file is unusable.
    """
    images = tuple(image_root / file_name for file_name in read_coco(ann_file).file_names)
    missing = [image for image in images if not image.is_file()]
    if missing:
        raise MissingFileError(
            f"{ann_file} names {len(missing)} of {len(images)} images that do not exist, "
            f"the first {missing[0]}; correct `data_prefix` or add the images"
        )
    return Split(name, images)


def folder_split(name: str, root: Path | str) -> Split:
    """The images of a folder with one folder a class (ImageFolder layout), sorted.

    root: a path, or the address of a folder in an archive, as "zip://data/images.zip/train"; its
    images are then named as if the archive were a folder.

    FileNotFoundError when root is absent; ValueError when it holds no class folder, or one of
    them holds no image, and for an archive that cannot be read.
    """
    classes = _archived_classes(str(root)) if is_archive(root) else _class_folders(Path(root))
    if not classes:
        raise UserError(f"{root} holds no class folders; it must be laid out as <class>/<image>")
    images: list[Path] = []
    for folder, files in classes.items():
        found = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
        if not found:
            raise UserError(f"class folder {folder} holds no images; add some or remove it")
        images += sorted(found)
    return Split(name, tuple(images))


def _class_folders(root: Path) -> dict[Path, Iterable[Path]]:
    if not root.is_dir():
        in_file = any(path.is_file() for path in (root, *root.parents))
        mend = "write an archive as zip://... or tar://..." if in_file else "correct `data_root`"
        raise MissingFileError(f"image folder {root} does not exist; {mend}")
    return {folder: folder.rglob("*") for folder in sorted(root.iterdir()) if folder.is_dir()}


def _archived_classes(root: str) -> Mapping[Path, Iterable[Path]]:
    place = locate(root)
    return open_archive(place.archive).class_folders(place.name)


def check_categories(expected: Sequence[str], ann_file: Path) -> None:
    """ValueError when the metainfo's classes have a name the file lacks, or another order.

    OpenMMLab drops such a class silently and shifts the labels of those after it.
    """
    if isinstance(expected, str):
        raise UserError(f"classes is the text {expected!r}; write a tuple: ({expected!r},)")
    present = read_coco(ann_file).categories
    unknown = [name for name in expected if name not in present]
    if unknown:
        raise UserError(
            f"{ann_file} has no category {listed(unknown)}; it has {listed(present)}: "
            "correct `metainfo.classes`"
        )
    ordered = [name for name in present if name in expected]
    if ordered != list(expected):
        raise UserError(
            f"`metainfo.classes` lists {listed(expected)}, and {ann_file} {listed(ordered)}: "
            "OpenMMLab numbers classes in the file's order; list them in that order"
        )


def check_disjoint(splits: Sequence[Split], by_content: bool = True) -> None:
    """SplitOverlapError when two of the splits share an image.

    First by path, symbolic links followed; then, unless `by_content` is false, by content: only
    files whose size occurs in more than one split are read and hashed.
    """
    by_path = [_resolved(split) for split in splits]
    _refuse_shared(splits, by_path)
    if by_content:
        _refuse_shared(splits, _digests(by_path))


def sizes_digest(split: Split) -> str:
    """SHA-256 of the images' names and sizes in order, which most replaced images change.

    Images inside archives count by name alone.
    """
    digest = hashlib.sha256()
    for image in split.images:
        size = image.stat().st_size if image.is_file() else ""
        digest.update(f"{image.name} {size}\n".encode())
    return digest.hexdigest()


def listed(names: Sequence[str]) -> str:
    """Names as messages quote them."""
    return ", ".join(repr(name) for name in names)


def _resolved(split: Split) -> dict[Path, Path]:
    """The split's images by resolved path. Folders are resolved once, not once an image."""
    folder_of = cache(Path.resolve)
    images: dict[Path, Path] = {}
    for image in split.images:
        path = folder_of(image.parent) / image.name
        images[path.resolve() if path.is_symlink() else path] = image
    return images


def _digests(by_path: Sequence[Mapping[Path, Path]]) -> list[dict[bytes, Path]]:
    """For each split, the images of a size that another split has too, by digest of content."""
    sizes = [{path: path.stat().st_size for path in images} for images in by_path]
    shared: set[int] = set()
    for one, other in combinations(sizes, 2):
        shared |= set(one.values()) & set(other.values())
    return [
        {_digest(path): images[path] for path, size in of_split.items() if size in shared}
        for images, of_split in zip(by_path, sizes, strict=True)
    ]


def _digest(path: Path) -> bytes:
    state = path.stat()
    return _digest_of(path, state.st_size, state.st_mtime_ns)


@cache  # the stages of an experiment check the same images
def _digest_of(path: Path, size: int, modified_ns: int) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _refuse_shared(splits: Sequence[Split], keyed: Sequence[Mapping[Key, Path]]) -> None:
    """SplitOverlapError when two splits' images have a key in common."""
    for (one, ours), (other, theirs) in combinations(zip(splits, keyed, strict=True), 2):
        shared = [key for key in theirs if key in ours]
        if shared:
            first, second = ours[shared[0]], theirs[shared[0]]
            same = f"{first}" if first == second else f"{first} is {second}"
            raise SplitOverlapError(
                f"splits {one.name!r} and {other.name!r} share {len(shared)} image(s), "
                f"e.g. {same}; give each its own images"
            )
