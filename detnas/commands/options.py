"""Arguments that several commands share, and functions that read them."""

import argparse
import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detnas.errors import UserError, user_input

if TYPE_CHECKING:
    from mmengine.config import Config

    from detnas.stages.experiment import Experiment
    from search_space.cost import CostTable
    from search_space.sampling import BudgetSampler

Options = argparse.Namespace


def add_config(parser: argparse.ArgumentParser) -> None:
    """The config of one stage, `--work-dir`, and the overrides; `load` reads them."""
    parser.add_argument(
        "config", type=Path, help="a config file; it is executed, so only run trusted ones"
    )
    parser.add_argument(
        "--work-dir", type=Path, help="default: the config's, or work_dirs/<folder>/<config>"
    )
    add_overrides(parser)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """`--cfg-options` and `--seed`."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="override config values by dotted key, such as data_root=my/data",
    )
    parser.add_argument("--seed", type=int, help="default: the config's, or 0")


def add_experiment(parser: argparse.ArgumentParser) -> None:
    """An experiment's folder, and which of its stages; `experiment` reads it."""
    parser.add_argument("folder", type=Path, help="an experiment, such as configs/bccd_retinanet")
    parser.add_argument("--work-dir", type=Path, help="default: work_dirs/<name of the folder>")
    add_overrides(parser)
    parser.add_argument("--stages", nargs="+", help="only these stages", metavar="STAGE")
    parser.add_argument(
        "--retrain-top",
        type=int,
        default=0,
        metavar="K",
        help="train the K best candidates without the search split, which then chooses among them",
    )
    add_auto_scale_lr(parser)


def experiment(options: Options) -> "Experiment":
    """The experiment that the arguments name."""
    from detnas.stages.experiment import Experiment

    work_dir = options.work_dir or Path("work_dirs") / options.folder.resolve().name
    return Experiment(options.folder, work_dir, overrides(options), options.seed)


def add_auto_scale_lr(parser: argparse.ArgumentParser) -> None:
    """`--auto-scale-lr`, which `overrides` includes."""
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate to the images per iteration, summed over processes",
    )


def add_launcher(parser: argparse.ArgumentParser) -> None:
    """`--launcher`, for `detnas.distributed.process_group`."""
    parser.add_argument(
        "--launcher",
        choices=("none", "pytorch", "slurm"),
        default="none",
        help="what starts the processes: torchrun (pytorch), srun (slurm); see scripts/",
    )


def add_input_size(
    parser: argparse.ArgumentParser,
    default: tuple[int, int] | None = (224, 224),
    shown: str = "224 224",
) -> None:
    """`--input-size H W` of commands that compute costs."""
    parser.add_argument(
        "--input-size",
        type=int,
        nargs=2,
        default=default,
        metavar=("H", "W"),
        help=f"image size (default: {shown})",
    )


def add_space(parser: argparse.ArgumentParser) -> None:
    """The space and `--input-size`."""
    parser.add_argument("space", help="small, large, large-wide or tiny")
    add_input_size(parser)


def add_budgets(parser: argparse.ArgumentParser) -> None:
    """`--budget` and `--latency-table`, which `read_sampler` reads, and `--json`."""
    parser.add_argument(
        "--budget",
        action="append",
        default=[],
        metavar="COST=LOWER..UPPER",
        help="such as macs=..260e6, params=1e6..1.6e6 or latency_ms=..20; may be repeated",
    )
    parser.add_argument(
        "--latency-table", type=Path, metavar="FILE", help="written by `measure-latency`"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def load(options: Options) -> "Config":
    """The resolved config of a stage."""
    from detnas.config import load_config

    return load_config(options.config, overrides(options), options.work_dir, options.seed)


def overrides(options: Options) -> dict[str, Any]:
    """Config values by dotted key, from `--cfg-options` and `--auto-scale-lr`."""
    values = {}
    for item in options.cfg_options:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise UserError(f"--cfg-options takes KEY=VALUE, not '{item}'")
        for opening, closing in ("()", "[]", "{}"):
            if value.count(opening) != value.count(closing):
                raise UserError(f"--cfg-options {item}: its '{opening}{closing}' do not match")
        values[key] = _value(value)
    if getattr(options, "auto_scale_lr", False):
        values["auto_scale_lr.enable"] = True
    return values


def _value(text: str) -> Any:
    """Parse a value as OpenMMLab does: a Python literal, true, a,b for a list, or text."""
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        if "," in text and not set(text) & set(":()[]{}"):
            return [_value(part) for part in text.split(",")]
        return text
    return list(value) if isinstance(value, tuple) and not text.startswith("(") else value


def read_sampler(options: Options) -> tuple["BudgetSampler", list["CostTable"]]:
    """The sampler of a space within its budgets, and the tables of the costs to print.

    A latency budget has the input size of the latency table, all others `--input-size`.
    """
    from search_space.budget import parse_budget
    from search_space.cost import computed_tables
    from search_space.latency import NAME, load_latency_table
    from search_space.sampling import BudgetSampler
    from search_space.spaces import get_space

    with user_input():
        space, input_size = get_space(options.space), (3, *options.input_size)
        latency = None
        if options.latency_table is not None:
            latency = load_latency_table(options.latency_table, space)
        budgets = []
        for text in options.budget:
            budget = parse_budget(text, input_size)
            if latency and budget.cost == NAME:
                budget = parse_budget(text, latency.settings.input_size)
            budgets.append(budget)
        measured = [latency.costs] if latency else []
        sampler = BudgetSampler(space, budgets, measured)
        return sampler, [*computed_tables(space, input_size), *measured]
