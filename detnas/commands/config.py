"""`detnas config CONFIG`: prints a resolved config."""

import argparse
from pathlib import Path

from detnas.commands import options as shared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    shared.add_config(parser)
    parser.add_argument(
        "--diff",
        type=Path,
        metavar="OTHER",
        help="print only the differences between this config and CONFIG; the other options apply "
        "to CONFIG alone",
    )


def run(options: shared.Options) -> None:
    """Print the resolved config as a config file, or its differences from another."""
    values = shared.load(options).to_dict()
    from detnas.config import load_config
    from detnas.config_listing import config_text, differences

    if options.diff is None:
        print(config_text(values), end="")
        return
    for line in differences(load_config(options.diff).to_dict(), values):
        print(line)
