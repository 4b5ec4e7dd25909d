"""`detnas import-weights FILE`: the DetNAS authors' weights in DetNAS's layout."""

import argparse
from pathlib import Path

from detnas.commands import options as shared
from detnas.errors import user_input
from search_space.architecture import parse_architecture
from search_space.spaces import get_space


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("file", type=Path, help="a checkpoint of theirs")
    of = parser.add_mutually_exclusive_group(required=True)
    of.add_argument("--architecture", help="whose network it is (see `cost`)")
    of.add_argument("--supernet", metavar="SPACE", help="the space whose supernet it is")
    parser.add_argument(
        "--channel-shuffle",
        required=True,
        choices=("even_odd", "interleave"),
        help="how the network divides its channels; the file does not tell: even_odd for their "
        "detection networks, interleave for their supernets",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="checkpoint to write")


def run(options: shared.Options) -> None:
    """Convert, and print what was written and what left out."""
    from detnas.export.authors import import_weights

    with user_input():
        architecture = parse_architecture(options.architecture) if options.architecture else None
        supernet = get_space(options.supernet) if options.supernet else None
    result = import_weights(
        options.file,
        options.output,
        architecture=architecture,
        supernet=supernet,
        channel_shuffle=options.channel_shuffle,
    )
    print(f"{result.tensors} tensors written: {options.output}")
    if result.classifier:
        print("among them the classifier's")
    if result.left_out:
        print(f"left out: {len(result.left_out)} of the detector, first {result.left_out[0]}")
    if result.counters_added:
        print(f"batch norms without a counter of batches: {result.counters_added}, begun at 0")
