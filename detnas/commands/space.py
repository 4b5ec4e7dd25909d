"""`detnas space SPACE`: how many architectures a space has within budgets."""

import argparse
import json

from detnas.commands import options as shared
from search_space.summary import space_summary, summary_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    shared.add_space(parser)
    shared.add_budgets(parser)


def run(options: shared.Options) -> None:
    """Count, and print the space's size and costs."""
    summary = space_summary(*shared.read_sampler(options))
    print(json.dumps(summary) if options.json else summary_table(summary))
