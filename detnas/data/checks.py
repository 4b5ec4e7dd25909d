"""Checks of datasets before any work: class folders have images, and splits do not overlap.

`detnas.data.coco` and `detnas.data.voc` check annotation files.

A search on training images, or a test on images of the search split, gives good scores that mean
nothing. Images are compared by path and by content, never by id: every annotation file has its own
ids.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import TypeVar

from detnas.data.archives import is_archive, locate, open_archive
from detnas.errors import MissingFileError, UserError
from detnas.files import file_sha256

Key = TypeVar("Key", Path, str)

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".webp"})


class SplitOverlapError(UserError):
    """Two splits that must be disjoint share an image."""


@dataclass(frozen=True)
class Split:
    """The image files of one split; messages call it by `name`, such as "train" or "search"."""

    name: str
    images: tuple[Path, ...]


def folder_split(name: str, root: Path | str) -> Split:
    """The images of a folder with one subfolder per class (ImageFolder layout), sorted.

    Args:
        root: a path, or the address of a folder in an archive, such as
            "zip://data/images.zip/train"; paths of its images treat the archive as a folder.

    Raises:
        MissingFileError: root does not exist.
        UserError: root has no class folders, a class folder has no images, or the archive cannot
            be read.
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
        fix = "correct `data_root`, or `pretrain_root` of a pretraining"
        if in_file:
            fix = "address an archive as zip://... or tar://..."
        raise MissingFileError(f"image folder {root} does not exist; {fix}")
    return {folder: folder.rglob("*") for folder in sorted(root.iterdir()) if folder.is_dir()}


def _archived_classes(root: str) -> Mapping[Path, Iterable[Path]]:
    archive, folder = locate(root)
    return open_archive(archive).class_folders(folder)


def check_disjoint(splits: Sequence[Split], by_content: bool = True) -> None:
    """Raise SplitOverlapError if two of the splits share an image.

    Images are compared by path, with symbolic links resolved, and then by content unless
    `by_content` is false. Only files whose size occurs in more than one split are read and hashed.
    """
    by_path = [_resolved(split) for split in splits]
    _refuse_shared(splits, by_path)
    if by_content:
        _refuse_shared(splits, _digests(by_path))


def sizes_digest(split: Split) -> str:
    """SHA-256 of the images' names and sizes, in order.

    It detects most replacements of images without reading them. Images in archives count by name
    alone.
    """
    digest = hashlib.sha256()
    for image in split.images:
        size = image.stat().st_size if image.is_file() else ""
        digest.update(f"{image.name} {size}\n".encode())
    return digest.hexdigest()


def refuse_missing(ann_file: Path, what: str, files: Sequence[Path], mend: str) -> None:
    """Raise MissingFileError if some of the files that an annotation file names do not exist."""
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise MissingFileError(
            f"{ann_file} names {len(missing)} of {len(files)} {what} that do not exist, "
            f"the first {missing[0]}; {mend}"
        )


def refuse_string(classes: Sequence[str]) -> None:
    """Raise UserError if a string is given for a sequence of class names."""
    if isinstance(classes, str):
        raise UserError(f"classes is the string {classes!r}; write a tuple: ({classes!r},)")


def quoted(names: Sequence[str]) -> str:
    """The names in quotes, joined by commas, for messages."""
    return ", ".join(map(repr, names))


def _resolved(split: Split) -> dict[Path, Path]:
    """The split's images by resolved path; each folder is resolved only once."""
    folder_of = cache(Path.resolve)
    images: dict[Path, Path] = {}
    for image in split.images:
        path = folder_of(image.parent) / image.name
        images[path.resolve() if path.is_symlink() else path] = image
    return images


def _digests(by_path: Sequence[Mapping[Path, Path]]) -> list[dict[str, Path]]:
    """For each split, the images whose size occurs in another split, by digest of their content."""
    sizes = [{path: path.stat().st_size for path in images} for images in by_path]
    shared: set[int] = set()
    for one, other in combinations(sizes, 2):
        shared |= set(one.values()) & set(other.values())
    return [
        {_digest(path): images[path] for path, size in of_split.items() if size in shared}
        for images, of_split in zip(by_path, sizes, strict=True)
    ]


def _digest(path: Path) -> str:
    state = path.stat()
    return _digest_of(path, state.st_size, state.st_mtime_ns)


@cache  # an experiment checks the same images before each stage
def _digest_of(path: Path, size: int, modified_ns: int) -> str:
    return file_sha256(path)


def _refuse_shared(splits: Sequence[Split], keyed: Sequence[Mapping[Key, Path]]) -> None:
    """Raise SplitOverlapError if two splits have a key in common."""
    for (one, ours), (other, theirs) in combinations(zip(splits, keyed, strict=True), 2):
        shared = [key for key in theirs if key in ours]
        if shared:
            first, second = ours[shared[0]], theirs[shared[0]]
            same = f"{first}" if first == second else f"{first} equals {second}"
            raise SplitOverlapError(
                f"splits {one.name!r} and {other.name!r} share {len(shared)} image(s), "
                f"e.g. {same}; make them disjoint"
            )
