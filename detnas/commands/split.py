"""`detnas split ANNOTATIONS...`: takes a search split out of annotation files."""

import argparse
import json
from pathlib import Path

from detnas.commands import options as shared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "annotations", type=Path, nargs="+", help="COCO files (.json), or VOC image lists (.txt)"
    )
    parser.add_argument(
        "--take",
        type=_count_or_share,
        required=True,
        metavar="N",
        help="images of the search split: a number, or a share such as 20%% or 0.2",
    )
    parser.add_argument(
        "--draw",
        choices=("by-class", "uniform"),
        default="by-class",
        help="by-class spreads the search split over the images' rarest classes (default)",
    )
    parser.add_argument("--seed", type=int, default=0, help="selects the images (default: 0)")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder for the new annotation files"
    )
    parser.add_argument(
        "--prefix",
        action="append",
        default=[],
        help="prefix of the file names in a COCO file, such as train2014/; once per file",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(options: shared.Options) -> None:
    """Write the new annotation files, and print their contents."""
    from detnas.data.split import split, split_table

    report = split(
        *(options.annotations, options.take, options.seed, options.output, options.prefix),
        by_class=options.draw == "by-class",
    )
    print(json.dumps(report.to_dict()) if options.json else split_table(report))


def _count_or_share(text: str) -> int | float:
    if text.endswith("%"):
        return float(text[:-1]) / 100
    return float(text) if "." in text else int(text)
