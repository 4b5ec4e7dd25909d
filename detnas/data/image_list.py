"""The images that a user names: files, and folders of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from detnas.data.image_files import read_images
from detnas.errors import SeveralErrors, UserError

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Of the files of a folder that are taken; a file that is named itself may have any."""


def find_images(named: Sequence[Path]) -> list[Path]:
    """The image files that are named, or lie directly in named folders, each once.

    Returns:
        Files in the order of the names; those of a folder sorted by name.
    Raises:
        UserError: a file is missing or is not a readable image, or a folder has no images.
        SeveralErrors: several are.
    """
    listed: dict[Path, Path] = {}
    for path in named:
        for file in _files(path):
            listed.setdefault(file.resolve(), file)
    problems = [
        f"{path}: the folder has no images ({', '.join(sorted(SUFFIXES))})"
        for path in named
        if path.is_dir() and not any(_files(path))
    ]
    for file, image in zip(listed.values(), read_images(list(listed)), strict=True):
        if image.fault:
            problems.append(f"{file}: the image {image.fault}")
    if len(problems) == 1:
        raise UserError(problems[0])
    if problems:
        raise SeveralErrors(problems)
    return list(listed.values())


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for file in sorted(path.iterdir()):
        if file.suffix.lower() in SUFFIXES and file.is_file():
            yield file


def picture_names(images: Sequence[Path], suffix: str = ".png") -> list[str]:
    """A file name for the picture of each image: its own name, with a number if another has it.

    Args:
        images: in any folders.
        suffix: of the pictures.
    Returns:
        Names that differ, also where capitals do not count.
    """
    taken: set[str] = set()
    names = []
    for image in images:
        stem, number = image.stem, 1
        while stem.lower() in taken:
            number += 1
            stem = f"{image.stem}_{number}"
        taken.add(stem.lower())
        names.append(stem + suffix)
    return names
