"""Convert Tiny ImageNet to the ImageFolder layout, all 200 classes or some of them.

    python scripts/data/convert_tiny_imagenet.py SOURCE DEST [--every 4] [--per-class 155]

SOURCE is the unpacked folder tiny-imagenet-200 from tiny-imagenet-200.zip, which Stanford's course
CS231N offers. Its photos come from ImageNet, whose terms allow non-commercial research and
education only: do not publish or commit them. DEST, which must not exist yet, will have

    train/<wnid>/*.jpg, val/<wnid>/*.jpg     64x64, bytes unchanged; some are greyscale
    classes.txt                              one line per class: wnid, tab, names

The unlabelled test part is omitted.
"""

import argparse
import shutil
import sys
from pathlib import Path

from detnas.data.folders import new_folder
from detnas.errors import UserError


def check_source(source: Path) -> None:
    """Raise UserError if the layout of SOURCE is not that of tiny-imagenet-200."""
    val = source / "val"
    parts = (source / "wnids.txt", source / "words.txt", source / "train", val / "images")
    for path in (*parts, val / "val_annotations.txt"):
        if not path.exists():
            raise UserError(
                f"{path} does not exist; SOURCE must be the unpacked folder tiny-imagenet-200"
            )


def read_classes(source: Path, every: int) -> dict[str, str]:
    """Names by wnid, for every `every`-th of the sorted wnids from the first."""
    wnids = sorted((source / "wnids.txt").read_text().split())[::every]
    lines = (source / "words.txt").read_text().splitlines()
    words = dict(line.split("\t", 1) for line in lines if "\t" in line)
    for wnid in wnids:
        if wnid not in words:
            raise UserError(f"{source / 'words.txt'} has no line for {wnid}; unpack SOURCE again")
    return {wnid: words[wnid] for wnid in wnids}


def train_images(source: Path, wnid: str) -> list[Path]:
    """The training images of a class, sorted; UserError if there are none."""
    folder = source / "train" / wnid / "images"
    images = sorted(folder.glob("*.JPEG"))
    if not images:
        raise UserError(f"{folder} has no *.JPEG; unpack SOURCE again")
    return images


def val_images(source: Path) -> dict[str, list[Path]]:
    """The labelled val images by wnid, in the order of val_annotations.txt."""
    images: dict[str, list[Path]] = {}
    for line in (source / "val" / "val_annotations.txt").read_text().splitlines():
        name, wnid, *_ = line.split("\t")
        images.setdefault(wnid, []).append(source / "val" / "images" / name)
    return images


def copy_images(images: list[Path], folder: Path) -> int:
    """Copy images into `folder` with the suffix .jpg; return how many."""
    folder.mkdir(parents=True)
    for image in images:
        if not image.is_file():
            raise UserError(f"{image} does not exist; unpack SOURCE again")
        shutil.copyfile(image, folder / f"{image.stem}.jpg")
    return len(images)


def convert(source: Path, dest: Path, every: int = 1, per_class: int | None = None) -> None:
    """Write DEST, completely or not at all; UserError if SOURCE or DEST is invalid.

    `per_class` is how many training images of each class to keep, in order of their names.
    """
    check_source(source)
    classes = read_classes(source, every)
    val = val_images(source)
    with new_folder(dest) as folder:
        trained = validated = 0
        for wnid in classes:
            if wnid not in val:
                raise UserError(f"val_annotations.txt has no image of {wnid}; unpack SOURCE again")
            images = train_images(source, wnid)[:per_class]
            trained += copy_images(images, folder / "train" / wnid)
            validated += copy_images(val[wnid], folder / "val" / wnid)
        lines = [f"{wnid}\t{names}\n" for wnid, names in classes.items()]
        (folder / "classes.txt").write_text("".join(lines))
    print(f"{len(classes)} classes: {trained} images to train on, {validated} to validate on")


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns 2 if SOURCE or DEST is invalid."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, metavar="SOURCE")
    parser.add_argument("dest", type=Path, metavar="DEST")
    parser.add_argument("--every", type=_at_least_one, default=1, help="keep every N-th class")
    parser.add_argument("--per-class", type=_at_least_one, help="training images kept of a class")
    options = parser.parse_args(arguments)
    try:
        convert(options.source, options.dest, options.every, options.per_class)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
