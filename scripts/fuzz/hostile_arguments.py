"""Calls the command line with hostile arguments: each call works, or ends in one printable line.

    python scripts/fuzz/hostile_arguments.py [--cases 200] [--seed 0]

Commands that train or search are called with `--check` or not at all, and a measurement is a short
one unless an argument says otherwise. Calls run in one
process, in an empty folder, with a limit of 4 GiB beyond what is loaded and of 60 s each.
"""

import argparse
import contextlib
import io
import json
import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from flip_history import search
from fuzzing import Outcomes, limit_memory, limited, run_cases

from detnas.cli import main
from search_space.architecture import parse_architecture

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
COMMANDS = (
    *(
        "benchmark-latency",
        "check",
        "config",
        "cost",
        "export",
        "history",
        "import-weights",
        "init",
        "pick",
    ),
    *("predict", "report", "run", "sample", "space", "split"),
)
HOSTILE = (
    *("", " ", "-1", "0", "1e400", "nan", "inf", "-inf", "9" * 400, "9" * 5000, "0x10", "1_0"),
    *(
        "\x1b[31mred\x1b[0m",
        "a\nb",
        "\udcff",
        "\U0001f4a5",
        "..",
        "../../etc/passwd",
        "/",
        "/dev/null",
    ),
    *("/dev/stdin", "x" * 300, "[" * 5000, "{" * 100, "None", "True", "{}", "[]", "=1", "a=", "--"),
    *("small", "small@0", "small@nan", "small@1e9", "small@0.5", "tiny-skip", "tiny:", "tiny:0"),
    *("tiny:" + "0," * 5000, "tiny:-1,0", "tiny:0,0,0,0,0,0,0,0,0,9", "tiny:٣", "detnasnet-300m"),
    *("macs=", "macs=..", "macs=1..0", "macs=nan..inf", "macs=..1e400", "macs=1e6", "=..1", "macs"),
    *("latency_ms=..1", "params=..1e6", "224", "224,224", "-3,5", "0,0", "1e9,1e9", "224x224"),
    *("model=1", "space=5", "search=7", "param_scheduler=7", "train_dataloader=[1]", "model.x.y=1"),
    *("custom_hooks=3", "max_iters=-1", "max_iters=1e400", "batch_size=0", "image_scale=9"),
    *(
        "a" + ".a" * 3000 + "=1",
        "data_root=\x1b[2J",
        "_base_=x",
        "model.backbone=None",
        "x=[1",
        "1%",
    ),
    *("200%", "0.5", "1.5", "empty.json", "deep.json", "text.txt", "folder", "tiny.json", "no.pth"),
)
PATH = "tiny:0,1,2,3,0,1,2,3,0,1"
VALID: dict[str, Sequence[str]] = {
    "annotations": ("boxes.json",),
    "architecture": ("1.0", PATH, "tiny.json"),
    "at_most": ("3",),
    "batch_size": ("1", "2"),
    "beside": (PATH, "3x3", "resnet50"),
    "budget": ("macs=..60e6", "params=..9e6"),
    "checkpoint": ("text.txt",),
    "cfg_options": ("max_iters=3", "search.generations=2"),
    "config": [str(CONFIGS / "demo" / name) for name in ("search.py", "finetune.py")],
    "device": ("cpu",),
    "detector": ("retinanet", "gfl"),
    "diff": (str(CONFIGS / "demo/pretrain.py"),),
    "draw": ("by-class", "uniform"),
    "efficientdet": ("d0", "d3"),
    "file": ("text.txt",),
    "format": ("torch",),
    "folder": [str(CONFIGS / name) for name in ("demo", "bccd_retinanet")],
    "front": ("macs",),
    "images": ("folder", "text.txt"),
    "input_size": ("64", "224"),
    "latency_table": ("deep.json",),
    "launcher": ("none",),
    "n": ("1", "20"),
    "watch": ("1",),
    "new_folder": ("new/mine",),
    "new_work_dir": ("new/search",),
    "output": ("new/out.json",),
    "pretrained": ("crops", "none"),
    "prefix": ("images",),
    "retrain_top": ("2",),
    "rounds": ("1", "2"),
    "scale": ("d3", "2.5"),
    "search_on": ("2",),
    "seed": ("0", "7"),
    "space": ("tiny", "small@0.5", "small@1.2x1.4", "tiny-skip"),
    "stages": ("search",),
    "stock": ("resnet18=none",),
    "supernet": ("text.txt", "tiny"),
    "threads": ("1", "2"),
    "take": ("1", "50%"),
    "time": ("1h", "30min"),
    "train": ("boxes.json", "folder"),
    "val": ("boxes.json",),
    "weights": ("slice.pth",),
    "what": (PATH, "tiny.json", "detnasnet-300m-coco-fpn"),
    "work_dir": ("searched",),
}
"""Values that an option takes, by its name in the parser."""

SHORT = {
    "benchmark-latency": (
        *("--beside", "3x3", "--engines", "torch", "--rounds", "1", "--input-size", "32", "32"),
    )
}
"""What precedes the drawn arguments of a command that would measure for long."""
LIMIT_S = 60


def parser_of(name: str) -> argparse.ArgumentParser:
    """The parser of a command's own options."""
    parser = argparse.ArgumentParser()
    import_module(f"detnas.commands.{name.replace('-', '_')}").add_arguments(parser)
    return parser


def draw_arguments(generator: np.random.Generator) -> list[str]:
    """A command with some of its options; one or two of them are hostile."""
    name = str(generator.choice(COMMANDS))
    arguments = [name]
    actions = [action for action in parser_of(name)._actions if action.dest != "help"]
    hostile = set(generator.integers(len(actions), size=int(generator.integers(1, 3))).tolist())
    for index, action in enumerate(actions):
        is_hostile = index in hostile and action.nargs != 0
        optional = action.option_strings and not action.required
        if optional and not is_hostile and generator.random() < 0.7:
            continue
        arguments += action.option_strings[-1:]
        if action.nargs == 0:
            continue
        count = action.nargs if isinstance(action.nargs, int) else 1
        values = HOSTILE if is_hostile else action.choices or VALID.get(action.dest, HOSTILE)
        arguments += [str(values[int(generator.integers(len(values)))]) for _ in range(count)]
    return (
        [*arguments, "--check"] if name == "run" else [name, *SHORT.get(name, ()), *arguments[1:]]
    )


def write_files(folder: Path) -> None:
    """What some of the arguments name."""
    (folder / "folder").mkdir()
    (folder / "empty.json").touch()
    (folder / "deep.json").write_text("[" * 200_000)
    (folder / "text.txt").write_text("\x1b[31m\n")
    parse_architecture(PATH).save(folder / "tiny.json")
    (folder / "searched").mkdir()
    search(folder / "searched")
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5]}
    image = {"id": 1, "file_name": "\x1b[2J.jpg", "width": 9, "height": 9}
    content = {"images": [image], "annotations": [box], "categories": [{"id": 1, "name": "=1+1"}]}
    (folder / "boxes.json").write_text(json.dumps(content))


def call(arguments: list[str]) -> tuple[int | str | None, str]:
    """The exit status, and what was printed on standard error."""
    error = io.StringIO()
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(error),
        limited(LIMIT_S),
    ):
        try:
            status: int | str | None = main(arguments)
        except SystemExit as end:
            status = end.code
    return status, error.getvalue()


def run(cases: int, seed: int, outcomes: Outcomes) -> None:
    """Draw and call."""
    limit_memory()
    generator = np.random.default_rng(seed)
    with TemporaryDirectory() as temporary:
        os.chdir(temporary)
        write_files(Path(temporary))
        for _ in range(cases):
            arguments = draw_arguments(generator)
            with outcomes.case(f"detnas {' '.join(arguments)[:300]!r}"):
                status, error = call(arguments)
                if status not in (0, 2):
                    outcomes.find(arguments, f"exit status {status}: {error}")
                if not error.replace("\n", "").isprintable():
                    outcomes.find(arguments, f"control characters: {error!r}")
                if "Traceback" in error:
                    outcomes.find(arguments, error)
                outcomes.add(f"exit status {status}")
        os.chdir("/")


if __name__ == "__main__":
    run_cases(__doc__, run)
