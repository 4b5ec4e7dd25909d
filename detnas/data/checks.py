"""Checks of datasets before any work: class folders have images, and splits do not overlap.

`detnas.data.coco` and `detnas.data.voc` check annotation files.

A search on training images, or a test on images of the search split, gives good scores that mean
nothing. Images are compared by path and by content, never by id: every annotation file has its own
ids.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import TypeVar

from detnas.data.absent import absent
from detnas.data.archives import is_archive, locate, open_archive
from detnas.data.image_files import read_images
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
        if any(path.is_file() for path in (root, *root.parents)):
            raise MissingFileError(
                f"image folder {root} does not exist; address an archive as zip://... or tar://..."
            )
        fix = "correct `data_root`, or `pretrain_root` of a pretraining"
        raise absent("image folder", root, fix)
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


def refuse_outside(ann_file: Path, images: Sequence[Path], within: Sequence[Path]) -> None:
    """Raise UserError if an image lies in none of the folders; without folders all are allowed.

    An annotation file may come from a stranger, and its "../../x" or "/x" would open any file.
    Symbolic links are not followed: whoever made the folder made them.
    """
    if not within:
        return
    here = Path.cwd()
    folders = tuple(f"{os.path.normpath(here / folder)}{os.sep}" for folder in within)
    outside = [i for i in images if not os.path.normpath(here / i).startswith(folders)]
    if outside:
        raise UserError(
            f"{ann_file} names {len(outside)} of {len(images)} images outside {within[0]}, the "
            f"first {outside[0]}: correct the names, or allow them with "
            "images_outside_data_root=True"
        )


def check_images(
    ann_file: Path,
    images: Sequence[Path],
    sizes: Sequence[tuple[int, int]],
    exif: bool = True,
) -> None:
    """Compare what annotations say of images with the headers of their files.

    Args:
        ann_file: named in messages.
        images: existing files.
        sizes: width and height of each in pixels as annotated; 0, 0 where they are not known.
        exif: whether images are turned as their EXIF data says when they are loaded.

    Raises:
        UserError: an image occurs twice, cannot be read, or has another size.
    """
    _refuse_twice(ann_file, images)
    files = read_images(images)
    faulty = [(path, file) for path, file in zip(images, files, strict=True) if file.fault]
    if faulty:
        path, file = faulty[0]
        raise UserError(
            f"{ann_file} names {len(faulty)} of {len(images)} images that cannot be read: the "
            f"first, {path}, {file.fault}; replace them, or remove them from the file"
        )
    loaded = [file.loaded_size(exif) for file in files]
    wrong = [i for i, size in enumerate(sizes) if all(size) and size != loaded[i]]
    if wrong:
        i = wrong[0]
        raise UserError(
            f"{ann_file} has another size than the file for {len(wrong)} of {len(images)} images: "
            f"the first, {images[i]}, is {_times(sizes[i])} there, and is loaded as "
            f"{_times(loaded[i])}{_turn(files[i].turned, exif)}; its boxes would be misplaced: "
            "correct width, height and boxes, or use the images that were labelled"
        )


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _turn(turned: bool, exif: bool) -> str:
    if not turned:
        return ""
    return ", turned by its EXIF data" if exif else ", not turned by its EXIF data"


def _refuse_twice(ann_file: Path, images: Sequence[Path]) -> None:
    seen: set[str] = set()
    for image in images:
        path = os.path.normpath(image)
        if path in seen:
            raise UserError(
                f"{ann_file} lists the image {image} twice: give its boxes to one of the two, and "
                "remove the other"
            )
        seen.add(path)


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
