"""Time of a pretraining step of the supernet against other supernets and a fixed network.

    python scripts/benchmark/supernet_steps.py --spaces small large --json steps.json \\
        [--authors FOLDER] [--razor PYTHON]

A step is forward, loss (label smoothing), backward and SGD with momentum, on one random path, which
is the same on all sides in a round; random pixels, batch 16, 224x224. Sides, in turn:
- ours, by mmengine's train_step and OptimWrapper, as the runner steps it: of channel shuffle
  even_odd, the default, and interleave, the authors' supernet's;
- plain (`--plain`): ours of even_odd with torch's gradients of slices and depthwise convolutions;
  what `search_space.operations` does in their place is measured so;
- fixed: our network built for that path alone, with the same weights (even_odd);
- authors (`--authors`): the supernet of megvii-model/DetNAS in a plain loop of torch. The folder
  is a checkout of that repository. Without the loop over all gradients of its train.py, and without
  its drawing of paths;
- razor (`--razor`): MMRazor 1.0.0's SPOS supernet, in the environment whose Python is given; see
  razor_worker.py. Its blocks of stride 2 have other channels, so weights cannot be shared; the
  multiply-adds are printed.

Before timing, the fixed network's loss must equal the supernet's to the last digit; with the
authors' weights, converted by `detnas import`'s function, loss and gradient of the stem must agree
with ours in float64, without dropout. Ratios are to the first side, of the same round.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from measured import add_common_options, interleaved, row_text, rows_of, start, write_json
from razor_worker import multiply_adds
from torch import Tensor, nn
from training_steps import (
    Path_,
    Run,
    Step,
    against_fixed,
    classifier_config,
    images,
    labelled,
    of_supernet,
    on_paths,
    random_paths,
    turn_off_dropout,
)

from detnas.export.authors import import_weights
from search_space.blocks import ShuffleBlock
from search_space.operations import DepthwiseConv2d
from search_space.spaces import SearchSpace, parse_space

LR, CLASSES, WARM_UP = 0.01, 1000, 1
TOLERANCE = 1e-6
AUTHORS_NAMES = {"small": "DETNAS-300M", "large": "DETNAS-1.3G"}
PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


def main() -> None:
    """Measure every space, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spaces", nargs="+", default=["small"], choices=AUTHORS_NAMES)
    parser.add_argument("--authors", type=Path, help="a checkout of megvii-model/DetNAS")
    parser.add_argument("--razor", type=Path, help="the Python of an environment with MMRazor")
    parser.add_argument("--plain", action="store_true", help="add ours with torch's gradients")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument(
        "--precisions", nargs="+", default=["fp32"], choices=["fp32", "bf16", "fp16"]
    )
    parser.add_argument("--uncounted", type=int, default=1, help="runs before one that is timed")
    add_common_options(parser, rounds=9)
    options = parser.parse_args()
    device = start(options)
    figures = {name: measure(name, options, device) for name in options.spaces}
    write_json(options, {"spaces": figures})


@dataclass
class Work:
    """What all sides of a space share, and what has been found of them.

    Attributes:
        name, space: of the supernet.
        paths: one for each round.
        pixels, labels, batch: the images, their classes, and both as a classifier takes them.
        runs: the sides, by name.
        counts: multiply-adds of an image on the first path, with the classifier.
        agreement: how far the outputs of sides with the same weights differ.
    """

    name: str
    space: SearchSpace
    paths: list[Path_]
    pixels: Tensor
    labels: Tensor
    batch: dict[str, Any]
    runs: dict[str, Run] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)
    agreement: dict[str, Any] = field(default_factory=dict)

    def count(self, side: str, model: nn.Module, run: Callable[[], Any]) -> None:
        """Count a side's multiply-adds."""
        self.counts[side] = multiply_adds(model, run) / len(self.pixels)


def measure(name: str, options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Compare all sides in one space."""
    space = parse_space(name)
    paths = random_paths(space, options.rounds + WARM_UP, options.seed)
    pixels = images(options.batch, options.side, options.side, options.seed, device)
    batch, labels = labelled(pixels, CLASSES, options.seed)
    work = Work(name, space, paths, pixels, labels, batch)
    with ExitStack() as stack:
        for precision in options.precisions:
            ours = add_ours(work, precision, options.plain)
            if options.authors is not None:
                add_authors(work, options.authors, ours, precision)
            if options.razor is not None:
                add_razor(work, options, precision, stack)
        counts = ", ".join(f"{side} {count / 1e6:.1f}M" for side, count in work.counts.items())
        print(f"{name}: multiply-adds of the first path with classifier: {counts}")
        print(f"{name}: differences on the same weights: {work.agreement}", flush=True)
        uncounted = options.uncounted
        runs = {side: on_paths(paths, uncounted, run) for side, run in work.runs.items()}
        times = interleaved(runs, device, options.rounds, options.clock, uncounted, WARM_UP)
    rows = rows_of(list(runs), times)
    for row in rows:
        print(row_text(row), flush=True)
    return {
        "rows": rows,
        "multiply_adds": work.counts,
        "agreement": work.agreement,
        "times": times,
    }


def marked(side: str, precision: str) -> str:
    """The name of a side in a precision."""
    return side if precision == "fp32" else f"{side}, {precision}"


def add_ours(work: Work, precision: str, plain: bool) -> Step:
    """Add our supernet with either shuffle, and the fixed network; returns that of the authors'."""
    device = work.pixels.device
    config = classifier_config(
        work.name, {"amp": None if precision == "fp32" else precision, "lr": LR}
    )
    ours = Step(config, work.batch, device)
    work.runs[marked("ours, even_odd", precision)] = of_supernet(ours)
    of_fixed, gap = against_fixed(config, ours, work.space, work.paths, work.batch)
    work.runs[marked("fixed, even_odd", precision)] = of_fixed
    work.agreement[marked("fixed", precision)] = gap
    ours.set_path(work.paths[0])
    work.count("ours", ours.model, ours.loss)
    if plain:
        by_torch = Step(config, work.batch, device)
        for module in by_torch.model.modules():
            if isinstance(module, ShuffleBlock):
                module._split = lambda x: (x[:, 0::2], x[:, 1::2])
            elif isinstance(module, DepthwiseConv2d):
                module.__class__ = nn.Conv2d
        work.runs[marked("ours, torch's gradients", precision)] = of_supernet(by_torch)
    config.model.backbone["channel_shuffle"] = "interleave"
    ours = Step(config, work.batch, device)
    work.runs[marked("ours, interleave", precision)] = of_supernet(ours)
    return ours


def add_authors(work: Work, folder: Path, ours: Step, precision: str) -> None:
    """Add the authors' supernet, and compare it with ours of its shuffle."""
    theirs = authors_supernet(folder, AUTHORS_NAMES[work.name]).to(work.pixels.device)
    if precision == "fp32":
        work.agreement["authors"] = agreement(theirs, ours, work)
        work.count("authors", theirs, lambda: theirs(work.pixels, work.paths[0]))
    work.runs[marked("authors", precision)] = of_authors(
        theirs, work.pixels, work.labels, precision
    )


def add_razor(work: Work, options: argparse.Namespace, precision: str, stack: ExitStack) -> None:
    """Add MMRazor's supernet, in a process that ends with `stack`."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    torch.save({"pixels": work.pixels.cpu(), "labels": work.labels.cpu()}, folder / "batch.pth")
    worker = stack.enter_context(razor(options, work.space, folder / "batch.pth", precision))
    work.counts["razor"] = ask(worker, {"count": work.paths[0]})["macs"]

    def run(path: Path_) -> float:
        return float(ask(worker, {"path": path})[options.clock])

    work.runs[marked("razor", precision)] = run


def authors_modules(folder: Path) -> tuple[ModuleType, ModuleType]:
    """The authors' modules `detnasnet` and `utils`, whose imports are relative."""
    root = folder / "Supernet-ImageNet"
    if not (root / "detnasnet.py").is_file():
        raise SystemExit(f"{folder} is no checkout of megvii-model/DetNAS: no {root}/detnasnet.py")
    package = ModuleType("authors_supernet")
    package.__path__ = [str(root)]
    package.__spec__ = ModuleSpec("authors_supernet", None, is_package=True)
    sys.modules["authors_supernet"] = package
    loaded = (
        importlib.import_module(f"authors_supernet.{name}") for name in ("detnasnet", "utils")
    )
    net, utils = loaded
    return net, utils


def authors_supernet(folder: Path, size: str) -> Any:
    """The authors' supernet, with random weights, in training mode."""
    net, utils = authors_modules(folder)
    model = net.ShuffleNetV2DetNAS(size)
    model.parameter_groups = utils.get_parameters(model)
    model.criterion = utils.CrossEntropyLabelSmooth(CLASSES, 0.1)
    return model.train()


def of_authors(model: Any, pixels: Tensor, labels: Tensor, precision: str) -> Run:
    """The authors' step on a path."""
    optimiser = torch.optim.SGD(model.parameter_groups, lr=LR, momentum=0.9, weight_decay=4e-5)
    scaler = torch.amp.GradScaler(pixels.device.type, enabled=precision == "fp16")
    dtype = PRECISIONS.get(precision)

    def run(path: Path_) -> None:
        with torch.autocast(pixels.device.type, dtype) if dtype else nullcontext():
            loss = model.criterion(model(pixels, path).float(), labels)
        optimiser.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()

    return run


def agreement(theirs: Any, ours: Step, work: Work) -> dict[str, float]:
    """The relative differences of loss and stem gradient on the first path, same weights.

    Ours keeps the authors' weights, and both have no dropout here.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, converted = Path(folder) / "theirs.pth", Path(folder) / "ours.pth"
        torch.save(theirs.state_dict(), given)
        import_weights(given, converted, supernet=work.space, channel_shuffle="interleave")
        state_dict = torch.load(converted, weights_only=True)["state_dict"]
        ours.model.load_state_dict(state_dict)
    models = (theirs, ours.model)
    for model in models:
        turn_off_dropout(model.double())  # rounding hides what differs: gradients are chaotic
    path = work.paths[0]
    ours.set_path(path)
    runs: list[Callable[[], Tensor]] = [
        lambda: theirs.criterion(theirs(work.pixels.double(), path), work.labels),
        lambda: ours.loss(torch.float64),
    ]
    stems = theirs.first_conv.conv, ours.model.backbone.stem[0]
    outputs = []
    for run, model, stem in zip(runs, models, stems, strict=True):  # one graph at a time
        loss = run()
        loss.backward()
        outputs.append({"loss": loss.detach(), "gradient": stem.weight.grad})
        del loss
        model.zero_grad()
        model.float().train()
    one, other = outputs
    found = {
        name: float((one[name] - other[name]).abs().max() / one[name].abs().max()) for name in one
    }
    if max(found.values()) > TOLERANCE:
        raise SystemExit(f"the authors' supernet and ours differ on the same weights: {found}")
    return found


def razor(
    options: argparse.Namespace, space: SearchSpace, batch: Path, precision: str
) -> subprocess.Popen[str]:
    """Start MMRazor's supernet in its environment, and wait until it is built."""
    settings = {
        "stages": [[stage.channels, stage.blocks] for stage in space.stages],
        "stem": space.stem,
        "batch": str(batch),
        "lr": LR,
        "threads": options.threads,
        "device": options.device,
        "precision": precision,
    }
    worker = subprocess.Popen(
        [
            str(options.razor),
            str(Path(__file__).with_name("razor_worker.py")),
            json.dumps(settings),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # as `keep_freed_memory` sets it in this process
        env={**os.environ, "MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "2147483647"},
    )
    read(worker)
    return worker


def ask(worker: subprocess.Popen[str], question: dict[str, Any]) -> dict[str, Any]:
    """Send a question, and return the answer."""
    assert worker.stdin is not None
    worker.stdin.write(json.dumps(question) + "\n")
    worker.stdin.flush()
    return read(worker)


def read(worker: subprocess.Popen[str]) -> dict[str, Any]:
    """The next answer."""
    assert worker.stdout is not None
    line = worker.stdout.readline()
    if not line:
        raise SystemExit(f"MMRazor's process ended with status {worker.wait()}")
    return dict(json.loads(line))


if __name__ == "__main__":
    main()
