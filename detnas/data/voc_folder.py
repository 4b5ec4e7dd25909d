"""Finds the XML files of VOC data and the image of each: by an image list, or in a folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from detnas.data.checks import IMAGE_SUFFIXES
from detnas.data.voc import ANNOTATIONS, IMAGES, read_voc_list
from detnas.errors import MissingFileError, UserError

_SUFFIXES = IMAGE_SUFFIXES | {".tiff"}


@dataclass(frozen=True)
class VocFiles:
    """XML files, the image of each, the folder of the images, and how many images have no XML."""

    files: tuple[Path, ...]
    images: tuple[Path, ...]
    image_root: Path
    without: int = 0


def is_voc_list(path: Path) -> bool:
    """Whether a text file lies where VOC has its image lists, ROOT/ImageSets/Main."""
    parents = path.absolute().parents
    return path.suffix == ".txt" and len(parents) > 3 and (parents[2] / ANNOTATIONS).is_dir()


def voc_from_list(path: Path, images: Path | None) -> VocFiles:
    """The images of a list, ROOT/ImageSets/Main/NAME.txt.

    Raises:
        MissingFileError: the list, an image or an XML file does not exist.
        UserError: as `read_voc_list`.
    """
    ids = read_voc_list(path)
    root = path.absolute().parents[2]
    files = tuple(root / ANNOTATIONS / f"{image_id}.xml" for image_id in ids)
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise MissingFileError(f"{path} names {missing[0].stem}, but {missing[0]} does not exist")
    return _with_images(files, images or root / IMAGES)


def voc_from_folder(folder: Path, images: Path | None) -> VocFiles:
    """The XML files of a folder. The images are in it, or beside it, if not in `images`.

    Raises:
        MissingFileError: an image does not exist.
        UserError: there is no folder of images.
    """
    files = tuple(sorted(folder.glob("*.xml")))
    if images is not None:
        return _with_images(files, images)
    above = folder.absolute().parent
    usual = (folder, above / IMAGES, above / "images", above)
    for place in usual:
        if place.is_dir() and any(path.suffix.lower() in _SUFFIXES for path in place.iterdir()):
            return _with_images(files, place)
    raise UserError(f"{folder} has XML files, but no images beside it; name their folder: --images")


def _with_images(files: Sequence[Path], image_root: Path) -> VocFiles:
    if not image_root.is_dir():
        raise MissingFileError(f"image folder {image_root} does not exist; name it with --images")
    present: dict[str, list[Path]] = {}
    for path in sorted(image_root.rglob("*")):
        if path.suffix.lower() in _SUFFIXES:
            name = path.relative_to(image_root).with_suffix("").as_posix()
            present.setdefault(name, []).append(path)
    count = sum(map(len, present.values()))

    def image_of(file: Path) -> Path:
        same = present.get(file.stem, [])
        return same[0] if len(same) == 1 else _by_name(file, image_root, count)

    images = tuple(map(image_of, files))
    return VocFiles(tuple(files), images, image_root, count - len(set(images)))


def _by_name(file: Path, image_root: Path, count: int) -> Path:
    """The image that an XML file names, where none has its own name, or several have."""
    try:
        name = ElementTree.parse(file).getroot().findtext("filename", "").strip()
    except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:
        raise UserError(f"{file} is not a valid VOC annotation ({error}); correct it") from error
    path = image_root / Path(name).name
    if not name or not path.is_file():
        raise MissingFileError(
            f"{file}: none of the {count} images in {image_root} is called {file.stem} or "
            f"{name or 'by its <filename>'}; add it, or name the folder of the images with --images"
        )
    return path
