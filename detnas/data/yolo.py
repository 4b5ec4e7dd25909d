"""Finds the images, label files and class names of a data set in YOLO format.

It is described by a `data.yaml`, as Ultralytics and Roboflow write it, or is a folder of label
files beside a folder of images, with the names in `classes.txt` or `obj.names`.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from detnas.data.checks import IMAGE_SUFFIXES, quoted
from detnas.errors import MissingFileError, UserError

NAME_FILES = ("classes.txt", "obj.names")
YAML_FILES = ("data.yaml", "dataset.yaml", "data.yml", "dataset.yml")
YAML_SUFFIXES = (".yaml", ".yml")

_KEYS = {"val": ("val", "valid", "validation")}


@dataclass(frozen=True)
class YoloSet:
    """The images of a split, the label file of each (which may be missing), and the classes."""

    images: tuple[Path, ...]
    labels: tuple[Path, ...]
    classes: tuple[str, ...]


def yolo_splits(data: Path) -> tuple[str, ...]:
    """Which of train, val and test a `data.yaml` names.

    Raises:
        UserError: as `yolo_from_yaml`, of the file itself.
    """
    content = _content(data)
    return tuple(split for split in ("train", "val", "test") if _places(content, split))


def yolo_from_yaml(data: Path, split: str) -> YoloSet:
    """The images that a `data.yaml` names for a split.

    Paths are resolved against its `path`, or against its own folder. `../train/images`, as Roboflow
    writes it, may also lie at `train/images`.

    Raises:
        MissingFileError: the file, or a folder or list that it names, does not exist.
        UserError: it is not such a file, lacks the split, or no image has a label file.
    """
    content = _content(data)
    classes = _names(data, content)
    places = _places(content, split)
    if not places:
        raise UserError(f"{data} has no `{split}`; add the folder of its images")
    roots = list(_roots(data, content))
    images: list[Path] = []
    for place in places:
        found = _located(data, split, place, roots)
        images += _listed(data, found, roots) if found.suffix == ".txt" else images_in(found)
    images = list(dict.fromkeys(image.absolute() for image in images))
    labels = [_label_of(image) for image in images]
    return _checked(data, f"`{split}` ({', '.join(places)})", images, labels, classes)


def yolo_from_folder(folder: Path, images: Path, names: Path) -> YoloSet:
    """The images of a folder, with label files of the same names in another one.

    Args:
        names: `classes.txt`, `obj.names` or `data.yaml`; see `names_file`.

    Raises:
        UserError: `names` has no classes, or no image has a label file.
    """
    classes = _names(names, _content(names)) if names.suffix in YAML_SUFFIXES else _lines(names)
    if not classes or len(set(classes)) < len(classes):
        raise UserError(f"{names} has no names, or one of them twice; write a class on each line")
    found = images_in(images)
    labels = [(folder / image.relative_to(images)).with_suffix(".txt") for image in found]
    return _checked(folder, str(images), found, labels, classes)


def names_file(folder: Path) -> Path:
    """The file of the class names: in the folder of the label files, or in one of the two above.

    Raises:
        UserError: there is none.
    """
    above = (folder, *folder.absolute().parents[:2])
    for place in above:
        for name in (*NAME_FILES, *YAML_FILES):
            if (place / name).is_file():
                return place / name
    raise UserError(
        f"{folder} has label files, but neither it nor the folders above it have "
        f"{', '.join(NAME_FILES)} or {YAML_FILES[0]}; write {NAME_FILES[0]}, a class on each line"
    )


def label_files(folder: Path) -> Iterator[Path]:
    """The label files of a folder; not its list of names, or a README."""
    for path in sorted(folder.glob("*.txt")):
        if path.name not in NAME_FILES and not path.name.lower().startswith("readme"):
            yield path


def images_in(folder: Path) -> list[Path]:
    """The images of a folder and its subfolders, sorted."""
    suffixes = IMAGE_SUFFIXES | {".tiff"}
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes)


def images_beside(folder: Path) -> Path:
    """The images of a folder of label files: `images` for its last `labels`, or beside it.

    Raises:
        UserError: there is none.
    """
    above = folder.absolute().parent
    for place in (_swapped(folder.absolute()), above / "images", above / "JPEGImages", folder):
        if place.is_dir() and images_in(place):
            return place
    raise UserError(f"{folder} has label files, but no images beside it; name them with --images")


def _swapped(folder: Path) -> Path:
    parts = list(folder.parts)
    if "labels" in parts:
        parts[len(parts) - 1 - parts[::-1].index("labels")] = "images"
    return Path(*parts)


def _content(data: Path) -> Mapping[str, Any]:
    if not data.is_file():
        raise MissingFileError(f"{data} does not exist; correct its path")
    try:
        content = yaml.safe_load(data.read_text("utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(
            f"{data} is not YAML ({' '.join(str(error).split())}); correct it"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{data} has no keys; write `train` and `names` as Ultralytics reads them")
    return content


def _names(data: Path, content: Mapping[str, Any]) -> tuple[str, ...]:
    names, count = content.get("names"), content.get("nc")
    if names is None and isinstance(count, int) and count > 0:
        return tuple(f"class_{number}" for number in range(count))
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise UserError(f"{data}: the keys of `names` must be 0, 1, 2, ...; correct them")
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise UserError(f"{data}: `names` is {names!r}; write the list of the classes")
    for name in names:
        if isinstance(name, bool) or not isinstance(name, str | int | float):
            raise UserError(f"{data}: the class {name!r} of `names` is not text; put it in quotes")
    texts = [str(name) for name in names]
    if twice := sorted({name for name in texts if texts.count(name) > 1}):
        raise UserError(f"{data}: `names` has {quoted(twice)} more than once; rename one")
    if isinstance(count, int) and count != len(texts):
        raise UserError(f"{data}: `nc` is {count}, but `names` has {len(texts)}; correct one")
    return tuple(texts)


def _places(content: Mapping[str, Any], split: str) -> list[str]:
    for key in _KEYS.get(split, (split,)):
        if value := content.get(key):
            return [str(each) for each in (value if isinstance(value, list) else [value])]
    return []


def _roots(data: Path, content: Mapping[str, Any]) -> Iterator[Path]:
    """The folders that relative paths may mean, the likeliest first."""
    if path := content.get("path"):
        yield data.parent / str(path)  # an absolute path stays itself
        yield Path(str(path))
    yield data.parent


def _located(data: Path, split: str, place: str, roots: Sequence[Path]) -> Path:
    shortened = [place.removeprefix("../")] if place.startswith("../") else []
    tried = [Path(os.path.normpath(root / each)) for each in (place, *shortened) for root in roots]
    for path in tried:
        if path.exists():
            return path
    where = ", ".join(dict.fromkeys(map(str, tried)))
    raise MissingFileError(
        f"{data}: `{split}` is {place}, which does not exist ({where}); correct it"
    )


def _listed(data: Path, path: Path, roots: Sequence[Path]) -> Iterator[Path]:
    """The images of a list; a name counts from the folder of the list, or from the roots."""
    for number, line in enumerate(_lines(path), 1):
        tried = [Path(os.path.normpath(root / line)) for root in (path.parent, *roots)]
        found = next((each for each in tried if each.is_file()), None)
        if found is None:
            raise MissingFileError(
                f"{path}, image {number}: {line} does not exist ({tried[0]}); correct the list"
            )
        yield found


def _lines(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a text file ({error}); correct it") from error
    return tuple(line.strip() for line in lines if line.strip())


def _label_of(image: Path) -> Path:
    """`labels` for the last folder `images`; without one, the file lies beside the image."""
    parts = list(image.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            return Path(*parts).with_suffix(".txt")
    return image.with_suffix(".txt")


def _checked(
    source: Path, what: str, images: Sequence[Path], labels: Sequence[Path], classes: Sequence[str]
) -> YoloSet:
    if not images:
        raise UserError(f"{source}: there are no images in {what}; correct it")
    if not any(label.is_file() for label in labels):
        raise UserError(
            f"{source}: none of the {len(images)} images in {what} has a label file, such as "
            f"{labels[0]}; put them there"
        )
    by_label: dict[Path, Path] = {}
    for image, label in zip(images, labels, strict=True):
        if (other := by_label.setdefault(label, image)) != image:
            raise UserError(f"{image} and {other} share the label file {label}; rename one of them")
    return YoloSet(tuple(images), tuple(labels), tuple(classes))
