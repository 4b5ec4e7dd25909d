"""`detnas test CONFIG CHECKPOINT`: evaluates a checkpoint on the test split."""

import argparse
import json
from pathlib import Path

from detnas.commands import options as shared
from detnas.errors import user_input
from detnas.files import make_writable
from search_space.architecture import parse_architecture


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    shared.add_config(parser)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument(
        "--architecture", help="the path to score if the backbone is a supernet (see `cost`)"
    )
    parser.add_argument("--json", action="store_true", help="print the metrics as JSON")
    shared.add_launcher(parser)


def run(options: shared.Options) -> None:
    """Score, print the metrics, and write them to `test_metrics.json`."""
    with user_input():
        named = options.architecture
        choices = parse_architecture(named).unscaled_choices(named) if named else None
    config = shared.load(options)
    from detnas.distributed import on_rank_0, process_group
    from detnas.stages.scalars import show_test
    from detnas.stages.test import score_checkpoint, write_metrics

    with process_group(options.launcher) as is_first, user_input():
        on_rank_0(lambda: make_writable(config.work_dir))
        metrics = score_checkpoint(config, options.checkpoint, choices)
        if is_first:
            text = json.dumps(metrics, indent=2)
            lines = "\n".join(f"{key:<24} {value:.4f}" for key, value in metrics.items())
            print(text if options.json else lines, flush=True)
        write_metrics(metrics, Path(config.work_dir))
        show_test(config, metrics)
