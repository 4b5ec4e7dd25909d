"""The command line: `detnas train`, `search`, `test`, `export`, `run`, `demo` and the small ones.

Parsing is here, work in `detnas.commands`; of the commands about spaces, in `detnas.cli_space` and
`detnas.commands_space`. Nothing heavy is imported before a command needs it, so `--help` and the
commands that need no model start in well under a second.
"""

import argparse
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detnas import commands
from detnas.cli_space import add_input_size, add_space_commands
from detnas.errors import UserError, user_input
from detnas.version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, 2 for the user's mistakes, 130 interrupted."""
    options = _parser().parse_args(arguments)
    options.arguments = list(sys.argv[1:] if arguments is None else arguments)
    warnings.filterwarnings("ignore", message="faster_coco_eval is not installed")
    _end_on_sigterm()
    try:
        with user_input():
            options.command(options)
    except KeyboardInterrupt:
        print(
            f"detnas: stopped; `detnas {options.name}` goes on, with --resume where it has that",
            file=sys.stderr,
        )
        return commands.INTERRUPTED
    except BrokenPipeError:
        return 0
    except (UserError, OSError) as error:
        is_defect = not isinstance(error, UserError) and error.filename is None
        if options.traceback or is_defect:
            raise
        print(f"detnas {options.name}: error: {_one_line(error)}", file=sys.stderr)
        return commands.USER_ERROR
    return 0


def _end_on_sigterm() -> None:
    """Make SIGTERM, and the end of the terminal, end this process as Ctrl-C does.

    Its forked workers end by it as ever.

    Pools end their workers by it: a worker that raised instead might never end.
    """
    if signal.getsignal(signal.SIGTERM) is _interrupt:
        return
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # nohup has it ignored
        signal.signal(signal.SIGHUP, _interrupt)
    os.register_at_fork(after_in_child=_default_on_sigterm)


def _default_on_sigterm() -> None:
    if signal.getsignal(signal.SIGTERM) is _interrupt:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="detnas", description="One-shot search of detection backbones."
    )
    parser.add_argument("--version", action="version", version=f"detnas {__version__}")
    subparsers = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")

    def command(name: str, function: Any, help: str) -> argparse.ArgumentParser:
        sub = subparsers.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        sub.set_defaults(command=function)
        sub.add_argument(
            "--traceback", action="store_true", help="show where an error was raised, too"
        )
        return sub

    train = command("train", commands.train, "train one stage (pretrain, fine-tune, retrain)")
    _stage_arguments(train)
    train.add_argument("--resume", action="store_true", help="go on from the latest checkpoint")
    _auto_scale_argument(train)
    _launcher_argument(train)

    search = command("search", commands.search, "search the best path of a fine-tuned supernet")
    _stage_arguments(search)
    search.add_argument(
        "--resume", action="store_true", help="go on from the history; begin where there is none"
    )

    test = command("test", commands.test, "score a checkpoint on the test split")
    _stage_arguments(test)
    test.add_argument("checkpoint", type=Path)
    test.add_argument(
        "--architecture", help="the path to score, where the backbone is a supernet (see `cost`)"
    )
    test.add_argument("--json", action="store_true", help="print the metrics as JSON")
    _launcher_argument(test)

    export = command("export", commands.export, "export the best architecture of a search")
    export.add_argument("work_dir", type=Path, help="where `detnas search` wrote")
    export.add_argument(
        "-o", "--output", type=Path, help="JSON file (default: WORK_DIR/best_architecture.json)"
    )
    export.add_argument("--architecture", help="another than the best one (see `cost`)")
    export.add_argument(
        "--weights", type=Path, help="also slice its weights out of the supernet into this file"
    )
    export.add_argument(
        "--supernet", type=Path, help="checkpoint to slice (default: the one that was searched)"
    )

    run = command("run", commands.run, "run the stages of an experiment's folder in order")
    run.add_argument("folder", type=Path, help="such as configs/bccd_retinanet")
    run.add_argument("--work-dir", type=Path, help="default: work_dirs/<name of the folder>")
    _override_arguments(run)
    run.add_argument("--quiet", action="store_true", help="short progress lines instead of logs")
    run.add_argument("--stages", nargs="+", help="only these of the folder's", metavar="STAGE")
    run.add_argument(
        "--check", action="store_true", help="only check, and print what is finished and what not"
    )
    _auto_scale_argument(run)
    _launcher_argument(run)

    demo = command("demo", commands.demo, "the whole method on embedded data, in a few minutes")
    demo.add_argument("--work-dir", type=Path, default=Path("work_dirs/demo"))
    _override_arguments(demo)

    cost = command("cost", commands.cost, "multiply-adds and parameters of an architecture")
    cost.add_argument(
        "what", help="a JSON file, a published name, or choices such as small:2,1,2,0,..."
    )
    add_input_size(cost)
    cost.add_argument("--json", action="store_true", help="print JSON")

    add_space_commands(command)

    weights = command(
        "import-weights", commands.import_weights, "turn the DetNAS authors' weights into ours"
    )
    weights.add_argument("file", type=Path, help="a checkpoint of theirs")
    of = weights.add_mutually_exclusive_group(required=True)
    of.add_argument("--architecture", help="whose network it is (see `cost`)")
    of.add_argument("--supernet", metavar="SPACE", help="the space whose supernet it is")
    weights.add_argument(
        "--channel-shuffle",
        required=True,
        choices=("even_odd", "interleave"),
        help="how the network divides its channels; the file does not tell: even_odd for their "
        "detection networks, interleave for their supernets",
    )
    weights.add_argument("-o", "--output", type=Path, required=True, help="checkpoint to write")

    split = command("split", commands.split, "carve a search split out of annotation files")
    split.add_argument(
        "annotations", type=Path, nargs="+", help="COCO files (.json), or VOC image lists (.txt)"
    )
    split.add_argument(
        "--take", type=int, required=True, help="images of the search split, as 5000"
    )
    split.add_argument("--seed", type=int, default=0, help="chooses them (default: 0)")
    split.add_argument(
        "-o", "--output", type=Path, required=True, help="folder for the new annotation files"
    )
    split.add_argument(
        "--prefix",
        action="append",
        default=[],
        help="text before the file names of a COCO file, as train2014/; once for each of the files",
    )
    split.add_argument("--json", action="store_true", help="print the report as JSON")

    history = command("history", commands.history, "list what a search has evaluated")
    history.add_argument("work_dir", type=Path, help="where `detnas search` writes")
    history.add_argument(
        "--front", nargs="+", metavar="COST", help="only the Pareto front of the score and these"
    )
    form = history.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--csv", action="store_true", help="print CSV, with all costs and metrics")

    report = command("report", commands.report, "write report.html for a search or an experiment")
    report.add_argument("work_dir", type=Path, help="a search's or an experiment's folder")
    return parser


def _stage_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="a config file; it is code, mind where from")
    parser.add_argument(
        "--work-dir", type=Path, help="default: the config's, or work_dirs/<folder>/<config>"
    )
    _override_arguments(parser)


def _launcher_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--launcher",
        choices=("none", "pytorch", "slurm"),
        default="none",
        help="who started the processes of this run: torchrun, srun (see scripts/)",
    )


def _auto_scale_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate to the images of an iteration, all processes together",
    )


def _override_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="override config values by dotted key, as data_root=my/data",
    )
    parser.add_argument("--seed", type=int, help="default: the config's, or 0")


if __name__ == "__main__":
    sys.exit(main())
