"""`detnas predict CHECKPOINT IMAGE...`: detects on image files, and draws the boxes."""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from detnas.commands import options as shared
from detnas.errors import printable, user_input


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "checkpoint",
        type=Path,
        help="a detector's, such as retrain/final.pth; the work directory of an experiment whose "
        "network was retrained; or model.onnx of `detnas export`",
    )
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="a file or a folder")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("predictions"),
        metavar="DIR",
        help="folder to write into (default: predictions)",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="default: the one with a model beside the checkpoint; it is executed, so only use "
        "trusted ones",
    )
    parser.add_argument(
        "--score-threshold",
        type=float,
        default=0.3,
        metavar="SCORE",
        help="boxes with a lower score are left out (default: 0.3)",
    )
    parser.add_argument(
        "--device",
        help="such as cpu or cuda:1 (default: a GPU if there is one; cpu for an ONNX file)",
    )


def run(options: shared.Options) -> None:
    """Detect, and print a line for each image."""
    from detnas.data.image_list import find_images

    images = find_images(options.images)  # before torch is imported, which takes seconds
    from detnas.stages.predict import PREDICTIONS_FILE, predict

    with user_input():
        entries = predict(
            options.checkpoint,
            images,
            options.output,
            options.config,
            options.score_threshold,
            options.device,
            _progress(),
        )
    print(_table(entries))
    print(f"written: {printable(str(options.output / PREDICTIONS_FILE))}")


def _progress() -> Callable[[int, int], None]:
    """Print images done and remaining time on standard error every five seconds."""
    from detnas.console import duration

    start = shown = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown < 5 or done == total:
            return
        shown = now
        left = duration((now - start) / done * (total - done))
        print(f"    predict  image {done}/{total}  {left} left", file=sys.stderr, flush=True)

    return show


def _table(entries: Sequence[Mapping[str, Any]]) -> str:
    """The file, the number of boxes and the best one of each image."""
    from detnas.console import columns

    lines = [("file", "boxes", "best")]
    for entry in entries:
        found = entry["detections"]
        best = f"{found[0]['category']} {found[0]['score']:.2f}" if found else "none"
        lines.append((printable(entry["file"]), str(len(found)), printable(best)))
    return "\n".join(f"  {line}" for line in columns(lines, right=(1,)))
