"""The command line: parses the arguments, runs the command, and turns errors into exit statuses.

Only the module of the command that was called is imported, so `--help` and the commands that need
no model start in well under a second.
"""

import argparse
import errno
import shlex
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from detnas.commands import INTERRUPTED, USER_ERROR
from detnas.errors import SeveralErrors, UserError, one_line
from detnas.signals import handle
from detnas.version import __version__

DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of writing; those of an open file do not name it."""

RESUMING = ("train", "search", "run", "fidelity", "demo")
"""Commands that go on where they were stopped; others begin again."""

COMMANDS = {
    "init": "make an experiment's folder from your annotations and images",
    "train": "train one stage (pretrain, fine-tune, retrain)",
    "search": "search the best path of a fine-tuned supernet",
    "test": "score a checkpoint on the test split",
    "predict": "detect on image files with a trained detector",
    "export": "export an architecture or networks of a search",
    "pick": "pick the best candidate of a search within other budgets",
    "check": "check an experiment, and measure what its stages take",
    "run": "run the stages of an experiment's folder in order",
    "fidelity": "compare a supernet's scores with networks trained on their own",
    "demo": "run the whole method on embedded data in a few minutes",
    "config": "print a resolved config, or the differences between two",
    "cost": "print multiply-adds and parameters of an architecture",
    "space": "count the architectures of a space within budgets",
    "sample": "sample architectures of a space uniformly within budgets",
    "measure-latency": "measure the latency of every block of a space",
    "benchmark-latency": "compare the latency of the found network with that of others",
    "import-weights": "convert weights of the DetNAS authors, or of EfficientDet",
    "split": "take a search split out of annotation files",
    "history": "list the candidates of a search",
    "report": "write report.html for a search or an experiment",
}
"""Help of each command; `measure-latency` is the module `detnas.commands.measure_latency`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, 2 after a UserError, 130 if interrupted."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    _end_on_sigterm()
    try:
        options.run(options)
    except KeyboardInterrupt:
        command = ["detnas", *options.arguments]
        if options.name in ("train", "search") and "--resume" not in command:
            command.append("--resume")
        again = shlex.join(command)
        if getattr(options, "launcher", "none") != "none":
            again = "the launcher's command again, with --resume for `train`"
        what = "to go on" if options.name in RESUMING else "to begin again"
        print(f"detnas: stopped; {what}: {again}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        return 0
    except (UserError, OSError) as error:
        is_defect = isinstance(error, OSError) and not (
            isinstance(error, UserError) or error.filename or error.errno in DISK_IS_FULL
        )
        if options.traceback or is_defect:
            raise
        for problem in error.messages if isinstance(error, SeveralErrors) else [str(error)]:
            print(f"detnas {options.name}: error: {one_line(problem)}", file=sys.stderr)
        return USER_ERROR
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a command, its `name`, its `run`, and the `arguments` themselves."""
    parser = argparse.ArgumentParser(
        prog="detnas", description="One-shot search of detection backbones."
    )
    parser.add_argument("--version", action="version", version=f"detnas {__version__}")
    subparsers = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")
    called = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, help in COMMANDS.items():
        command = subparsers.add_parser(
            name, help=help, description=f"{help[0].upper()}{help[1:]}."
        )
        if name != called:
            continue
        module = import_module(f"detnas.commands.{name.replace('-', '_')}")
        command.set_defaults(run=module.run, arguments=list(arguments))
        command.add_argument(
            "--traceback", action="store_true", help="print the traceback of errors"
        )
        module.add_arguments(command)
    return parser.parse_args(arguments)


def _end_on_sigterm() -> None:
    """Make SIGTERM and SIGHUP stop this process as Ctrl-C does."""
    if signal.getsignal(signal.SIGTERM) is _interrupt:
        return
    handle(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # nohup ignores it
        handle(signal.SIGHUP, _interrupt)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
