"""`detnas cost WHAT`, `detnas cost --config CONFIG`: multiply-adds and parameters.

Of an architecture's backbone from its cost tables, or of a config's whole model, by part.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from detnas.commands import options as shared
from detnas.errors import UserError, user_input
from search_space.architecture import costs as architecture_costs
from search_space.architecture import parse_architecture
from search_space.cost import COSTS

if TYPE_CHECKING:
    from detnas.evaluation.complexity import Complexity


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "what",
        nargs="?",
        help="a JSON file, a published name, or choices such as small:2,1,2,0,...",
    )
    what.add_argument(
        "--config", type=Path, help="count the whole model of a config, at its own image size"
    )
    shared.add_input_size(
        parser, None, "224 224, or that of the config; a detector pads it as it pads images"
    )
    shared.add_overrides(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: shared.Options) -> None:
    """Print the computed costs."""
    if options.config is not None:
        _run_config(options)
        return
    if options.cfg_options:
        raise UserError("--cfg-options needs --config")
    height, width = options.input_size or (224, 224)
    with user_input():
        architecture = parse_architecture(options.what)
        costs = architecture_costs(architecture, (3, height, width))
    if options.json:
        network = architecture.network
        space, choices = network.space.name, list(network.choices)
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


def _run_config(options: shared.Options) -> None:
    from detnas.evaluation.complexity import complexity

    options.work_dir = None
    config = shared.load(options)
    if options.input_size is not None and min(options.input_size) < 1:
        raise UserError(f"--input-size is {options.input_size}: both must be at least 1")
    found = complexity(config, options.input_size and tuple(options.input_size))
    if options.json:
        print(json.dumps([asdict(each) | {"all": _sums(each)} for each in found]))
        return
    print("\n\n".join(_table(each, options.input_size) for each in found))


def _sums(counted: "Complexity") -> dict[str, int]:
    return {"macs": sum(counted.macs.values()), "params": sum(counted.params.values())}


def _table(counted: "Complexity", asked: Sequence[int] | None) -> str:
    """One line a part, and the sums."""
    height, width = counted.size
    padded = "" if asked in (None, [height, width]) else f", padded from {asked[0]}x{asked[1]}"
    lines = [f"{counted.what or 'the model'} at {height}x{width}{padded}"]
    lines.append(f"  {'':<14}{'multiply-adds':>18}{'parameters':>16}")
    parts = {name: (macs, counted.params[name]) for name, macs in counted.macs.items()}
    sums = _sums(counted)
    parts["all"] = sums["macs"], sums["params"]
    lines += [f"  {name:<14}{macs:>18,}{params:>16,}" for name, (macs, params) in parts.items()]
    if counted.torch_macs != parts["all"][0]:
        lines.append(f"  multiply-adds by torch's counter: {counted.torch_macs:,}")
    return "\n".join(lines)
