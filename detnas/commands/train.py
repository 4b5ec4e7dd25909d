"""`detnas train CONFIG`: trains one stage."""

import argparse

from detnas.commands import options as shared
from detnas.errors import user_input


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    shared.add_config(parser)
    parser.add_argument("--resume", action="store_true", help="resume from the latest checkpoint")
    shared.add_auto_scale_lr(parser)
    shared.add_launcher(parser)


def run(options: shared.Options) -> None:
    """Train, and print the file with the final weights."""
    config = shared.load(options)
    from detnas.distributed import process_group
    from detnas.stages.train import train

    with process_group(options.launcher) as is_first, user_input():
        weights = train(config, resume=options.resume)
        if is_first:
            print(f"final weights: {weights}")
