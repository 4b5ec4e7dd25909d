"""How the time and memory of a pretraining step grow with blocks, choices and image size.

    python scripts/benchmark/cost_growth.py --json growth.json [--curves blocks choices side images]

Each point is a process of its own: a supernet of the small space's widths under the classifier, on
random paths. `blocks` has 5 to 40 blocks of four choices, `choices` 1 to 4 choices in 20 blocks,
`side` images of 96 to 288 pixels. Memory is the peak of resident memory above what the process had
before it built the model, or of torch's allocator on CUDA. `images` is a candidate of
configs/bccd_retinanet scored on 8 to 64 images, recalibrated on 16, after a first one has loaded
them; its data must be there. Medians and ranges over all steps of all processes, which take turns,
are printed.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import torch
from measured import add_common_options, start, write_json
from training_steps import Step, classifier_config, images, labelled, random_paths

from detnas.config import load_config
from detnas.evaluation.evaluator import (
    CandidateEvaluator,
    build_random_model,
    quiet_logger,
    quiet_stdout,
)
from detnas.evaluation.latency import Clock
from detnas.evaluation.settings import EvaluatorSettings
from detnas.networks.checkpoint_file import write_checkpoint
from detnas.networks.freed_memory import keep_freed_memory
from detnas.stages.forecast.pace import random_path
from search_space.spaces import parse_space

CURVES: dict[str, list[int]] = {
    "blocks": [5, 10, 20, 40],
    "choices": [1, 2, 3, 4],
    "side": [96, 160, 224, 288],
    "images": [8, 16, 32, 64],
}
EXPERIMENT = Path(__file__).parents[2] / "configs" / "bccd_retinanet"
MB = 1 << 20
REPEATS = 3
"""Candidates that are timed in a process."""


def main() -> None:
    """Measure the curves, print and write; or measure one point, for `--one`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--curves", nargs="+", default=list(CURVES), choices=CURVES)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5, help="timed in each process")
    parser.add_argument("--one", nargs=2, metavar=("CURVE", "X"), help=argparse.SUPPRESS)
    add_common_options(parser, rounds=2)
    options = parser.parse_args()
    if options.one:
        torch.set_num_threads(options.threads)
        curve, x = options.one[0], int(options.one[1])
        point = scoring(x, options) if curve == "images" else training(curve, x, options)
        print(json.dumps(point))
        return
    start(options)
    write_json(options, {curve: measure(curve, options) for curve in options.curves})


def measure(curve: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The points of a curve."""
    results: dict[int, list[dict[str, Any]]] = {x: [] for x in CURVES[curve]}
    for _ in range(options.rounds):
        for x, found in results.items():
            found.append(in_process(curve, x, options))
    what = "a candidate" if curve == "images" else f"a step of batch {options.batch}"
    print(f"{curve}: ms and peak MB of {what}")
    points = []
    for x, found in results.items():
        times = [ms for each in found for ms in each["ms"]]
        peaks = [each["mb"] for each in found]
        print(
            f"  {x:>4}{statistics.median(times):>10.0f} ms ({min(times):.0f} to {max(times):.0f})"
            f"{statistics.median(peaks):>9.0f} MB ({min(peaks):.0f} to {max(peaks):.0f})",
            flush=True,
        )
        points.append({curve: x, "ms": times, "mb": peaks})
    return points


def in_process(curve: str, x: int, options: argparse.Namespace) -> dict[str, Any]:
    """A point, by a process of its own."""
    command = [sys.executable, str(Path(__file__)), "--one", curve, str(x)]
    for name in ("batch", "steps", "device", "threads", "clock"):
        command += [f"--{name}", str(getattr(options, name))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{curve} {x} failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


class Meter:
    """Times calls, and knows the peak of memory since it was made."""

    def __init__(self, device: torch.device, clock: str) -> None:
        self._device = device
        self._by_processor = clock == "processor" and device.type == "cpu"
        if device.type == "cpu":
            keep_freed_memory()
        else:
            torch.cuda.reset_peak_memory_stats()
        self._before = psutil.Process().memory_info().rss

    def milliseconds(self, run: Any) -> float:
        """Of one call."""
        if self._by_processor:
            begun = time.process_time()
            run()
            return 1e3 * (time.process_time() - begun)
        clock = Clock(self._device)
        run()
        clock.mark()
        return clock.milliseconds()[0]

    def peak_mb(self) -> float:
        """MiB."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated() / MB
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - self._before) / MB


def training(curve: str, x: int, options: argparse.Namespace) -> dict[str, Any]:
    """Steps on random paths."""
    device = torch.device(options.device)
    blocks = x if curve == "blocks" else 20
    choices = parse_space("small").choices[: x if curve == "choices" else 4]
    side = x if curve == "side" else 224
    depths = [blocks // 5, blocks // 5, 2 * blocks // 5, blocks // 5]
    widths = [stage.channels for stage in parse_space("small").stages]
    stages = [list(stage) for stage in zip(widths, depths, strict=True)]
    space = {"name": "grown", "stem": 16, "stages": stages, "choices": list(choices)}
    config = classifier_config("small")
    config.model.backbone["space"] = space
    batch, _ = labelled(images(options.batch, side, side, 0, device), 1000, 0)
    meter = Meter(device, options.clock)
    step = Step(config, batch, device)
    times = []
    for path in random_paths(step.model.backbone.space, options.steps + 1, 0):
        step.set_path(path)
        times.append(meter.milliseconds(step))
    return {"ms": times[1:], "mb": meter.peak_mb()}


def scoring(count: int, options: argparse.Namespace) -> dict[str, Any]:
    """A candidate whose images are in memory."""
    with tempfile.TemporaryDirectory() as folder, quiet_stdout():
        config = load_config(EXPERIMENT / "search.py", None, folder)
        config.train_dataloader.dataset["indices"] = 16
        config.val_dataloader.dataset["indices"] = count
        quiet_logger()
        model = build_random_model(config)
        weights = Path(folder) / "random.pth"
        meta = {"detnas": model.backbone.identity()}
        write_checkpoint({"meta": meta, "state_dict": model.state_dict()}, weights)
        settings = EvaluatorSettings(
            calibration_images=16,
            calibration_batch_size=8,
            batch_shapes="equal",
            threads=options.threads,
        )
        meter = Meter(torch.device(options.device), options.clock)
        evaluator = CandidateEvaluator(config, weights, settings, 0)
        path = random_path(model.backbone.space)
        evaluator(path)
        times = [meter.milliseconds(lambda: evaluator(path)) for _ in range(REPEATS)]
        return {"ms": times, "mb": meter.peak_mb()}


if __name__ == "__main__":
    main()
