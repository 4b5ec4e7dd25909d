"""`detnas cost WHAT`: multiply-adds and parameters of an architecture."""

import argparse
import json

from detnas.commands import options as shared
from detnas.errors import user_input
from search_space.architecture import costs as architecture_costs
from search_space.architecture import parse_architecture
from search_space.cost import COSTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "what", help="a JSON file, a published name, or choices such as small:2,1,2,0,..."
    )
    shared.add_input_size(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: shared.Options) -> None:
    """Print the computed costs."""
    height, width = options.input_size
    with user_input():
        architecture = parse_architecture(options.what)
        costs = architecture_costs(architecture, (3, height, width))
    if options.json:
        space, choices = architecture.space.name, list(architecture.choices)
        result = {"space": space, "choices": choices, **costs}
        print(json.dumps(result))
        return
    print(architecture.key)
    listed = (
        f"{costs[cost.name]:,} {cost.unit}"
        + (f" at {height}x{width}" if cost.depends_on_input_size else "")
        for cost in COSTS.values()
        if cost.name in costs
    )
    print(f"{', '.join(listed)} (backbone alone)")
