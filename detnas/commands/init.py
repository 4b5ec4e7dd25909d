"""`detnas init NAME`: from your annotations and images to the folder of an experiment."""

import argparse
import re
import sys
from pathlib import Path

from detnas.commands import options as shared
from detnas.errors import UserError

UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("new_folder", metavar="folder", type=Path, help="to be made, such as cells")
    add(
        "--train",
        type=Path,
        required=True,
        metavar="FILE",
        help="your annotations: a COCO .json, a YOLO data.yaml or folder of labels, a VOC image "
        "list or folder of .xml",
    )
    add("--images", type=Path, metavar="DIR", help="the folder of the images")
    add(
        "--val",
        type=Path,
        metavar="FILE",
        help="annotations of the images that results are reported on; carved out without it",
    )
    add("--val-images", type=Path, metavar="DIR", help="default: --images")
    add(
        "--detector",
        default="retinanet",
        help="retinanet (default), faster-rcnn, mask-rcnn, efficientdet, fcos, atss, gfl, rtmdet, "
        "yolox, deformable-detr, ..., or any config: mmdet::FOLDER/FILE.py, or your file",
    )
    add(
        "--budget",
        action="append",
        default=[],
        metavar="COST=UPPER",
        help="such as macs=300e6, macs=200e6..300e6 or latency_ms=20; may be repeated",
    )
    add("--space", help="what is searched, such as small-skip (default), small, elastic, tiny-skip")
    add(
        "--pretrained",
        default="crops",
        metavar="HOW",
        help="crops (default: to classify your own objects), none, the .pth file of a pretrained "
        "supernet, or a folder of images by class, such as Tiny ImageNet",
    )
    add("--time", default="1h", help="for the whole run, such as 30min, 1h (default) or 2d")
    add(
        "--stock",
        action="append",
        default=[],
        metavar="NAME[=FILE]",
        help="also train a stock backbone to compare with: resnet18, resnet34, resnet50 or "
        "resnet101, from ImageNet weights of torchvision, of FILE, or from `none`",
    )
    add("--seed", type=int, default=0, help="of splits and crops (default: 0)")


def run(options: shared.Options) -> None:
    """Make the folder, and print what was found and chosen."""
    seconds = parse_time(options.time)
    from detnas.init.create import Request, create

    request = Request(
        folder=options.new_folder,
        train=options.train,
        images=options.images,
        val=options.val,
        val_images=options.val_images,
        detector=options.detector,
        budgets=options.budget,
        space=options.space,
        pretrained=options.pretrained,
        seconds=seconds,
        stock=dict(map(_stock, options.stock)),
        seed=options.seed,
    )
    print(create(request, _say), end="")


def parse_time(text: str) -> float:
    """Seconds of "90min", "1.5h" or "2d".

    Raises:
        UserError: another form, or nothing.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*(s|min|m|h|d)\s*", text)
    if match is None or float(match[1]) <= 0:
        raise UserError(f"--time is {text!r}; write a number and a unit, such as 30min, 1h or 2d")
    return float(match[1]) * UNITS[match[2]]


def _stock(text: str) -> tuple[str, str | None]:
    name, equals, weights = text.partition("=")
    return name, weights if equals else None


def _say(text: str) -> None:
    print(f"    {text}", file=sys.stderr, flush=True)
