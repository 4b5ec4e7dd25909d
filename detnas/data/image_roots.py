"""Finds the folder that the file names of a COCO file count from."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from detnas.errors import MissingFileError

_NAMES = {"train": ("train", "train2017"), "val": ("val", "valid", "val2017")}


def find_image_root(
    ann_file: Path, file_names: Sequence[str], images: Path | None, split: str
) -> Path:
    """The folder under which all images of an annotation file are.

    Args:
        images: the folder that the user named; None tries the usual places.
        split: "train" or "val"; the usual places have its name.

    Raises:
        MissingFileError: an image is missing; the message says which folder has it, if one has.
    """
    if images is not None:
        if not images.is_dir():
            raise MissingFileError(f"image folder {images} does not exist; correct --images")
        best = images
    else:
        tried = list(dict.fromkeys(_usual_places(ann_file, split)))
        counts = {place: _count(place, file_names) for place in tried if place.is_dir()}
        best = max(counts, key=lambda place: counts[place])
        if not counts[best]:
            raise MissingFileError(
                f"{ann_file} names the image {file_names[0]}, which is not in "
                f"{', '.join(map(str, counts))}; name the folder of the images with --images"
            )
    missing = [name for name in file_names if not (best / name).is_file()]
    if missing:
        raise MissingFileError(
            f"{ann_file} names {len(missing)} of {len(file_names)} images that are not in {best}, "
            f"the first {missing[0]}; {_advice(best, missing[0], file_names)}"
        )
    return best


def _count(place: Path, file_names: Sequence[str]) -> int:
    return sum((place / name).is_file() for name in file_names)


def _usual_places(ann_file: Path, split: str) -> Iterator[Path]:
    folder = ann_file.absolute().parent
    for place in (folder, folder.parent):
        yield place
        for name in ("images", "JPEGImages", *_NAMES.get(split, (split,))):
            yield place / name
        for name in _NAMES.get(split, (split,)):
            yield place / "images" / name


def _advice(images: Path, name: str, file_names: Sequence[str]) -> str:
    """What would make the first missing image be found."""
    parts = Path(name).parts
    nearby = images / parts[-1]
    found = nearby if nearby.is_file() else next(images.rglob(parts[-1]), None)
    if found is None:
        return "add them, or name the folder of the images with --images"
    path = found.absolute()
    if path.parts[-len(parts) :] != parts:
        return f"there is {found}: correct the file names"
    root = path.parents[len(parts) - 1]
    if _count(root, file_names) < len(file_names):
        return f"that one is in {root}, but not all are: put the images into one folder"
    return f"--images {root} has them"
