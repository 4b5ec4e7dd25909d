"""`detnas sample SPACE`: uniform samples of architectures within budgets."""

import argparse
import json

import numpy as np

from detnas.commands import options as shared
from detnas.errors import UserError, user_input
from search_space.architecture import Architecture
from search_space.budget import readable

MOST = 1_000_000
"""Samples that are drawn at once, and kept in memory."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    shared.add_space(parser)
    shared.add_budgets(parser)
    parser.add_argument("-n", type=int, default=1, help="samples, with replacement (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")


def run(options: shared.Options) -> None:
    """Sample, and print each architecture with its costs."""
    for option, value, least in (("-n", options.n, 1), ("--seed", options.seed, 0)):
        if value < least:
            raise UserError(f"{option} is {value}, must be at least {least}")
    if options.n > MOST:
        raise UserError(f"-n is {options.n}, must be at most {MOST:,}: sample with several seeds")
    sampler, tables = shared.read_sampler(options)
    with user_input():  # together, budgets may admit no architecture
        drawn = sampler.sample(np.random.default_rng(options.seed), options.n).tolist()
    if options.json:
        rows = [{"choices": row, **{t.name: t.of(row) for t in tables}} for row in drawn]
        sizes = {table.name: table.input_size for table in tables if table.input_size}
        result = {"space": sampler.space.name, "input_sizes": sizes, "architectures": rows}
        print(json.dumps(result))
        return
    for row in drawn:
        costs = (f"{readable(table.of(row))} {table.unit}" for table in tables)
        print(f"{Architecture(sampler.space, row).key}  {', '.join(costs)}")
