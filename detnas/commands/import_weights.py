"""`detnas import-weights FILE`: converts weights of the DetNAS authors, and of EfficientDet."""

import argparse
from pathlib import Path

from detnas.commands import options as shared
from detnas.errors import UserError, user_input
from search_space.architecture import parse_architecture
from search_space.spaces import get_space


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("file", type=Path, help="checkpoint of the authors, or of effdet")
    of = parser.add_mutually_exclusive_group(required=True)
    of.add_argument("--architecture", help="architecture of the network (see `cost`)")
    of.add_argument("--supernet", metavar="SPACE", help="space of the supernet")
    of.add_argument(
        "--efficientdet",
        metavar="MODEL",
        help="d0 to d7x: the file is of rwightman/efficientdet-pytorch",
    )
    parser.add_argument(
        "--channel-shuffle",
        choices=("even_odd", "interleave"),
        help="of the authors' network, whose file does not state it: even_odd for their detection "
        "networks, interleave for their supernets",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="checkpoint to write")


def run(options: shared.Options) -> None:
    """Convert, and print the numbers of written and omitted tensors."""
    if options.efficientdet is not None:
        from detnas.export.efficientdet import import_efficientdet

        written = import_efficientdet(options.file, options.output, options.efficientdet)
        print(f"{written} tensors written: {options.output}")
        return
    if options.channel_shuffle is None:
        raise UserError("--channel-shuffle is needed: the authors' files do not state it")
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
        print("including the classifier")
    if result.left_out:
        print(f"omitted detector tensors: {len(result.left_out)}, first {result.left_out[0]}")
    if result.counters_added:
        print(f"batch norms without a batch counter: {result.counters_added}, set to 0")
