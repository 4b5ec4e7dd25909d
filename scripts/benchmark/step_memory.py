"""Peak memory of a supernet's training step against the fixed network's plus the extra weights.

    python scripts/benchmark/step_memory.py --kinds small large retinanet fpn

"small" and "large" are pretraining steps (batch 16, 224x224), "retinanet" and "fpn" fine-tuning
steps of the small space (batch 1, 256x384). Each measurement is a process of its own, which builds
the model, makes a few steps on the path of the most multiply-adds, and reports the peak of its
resident memory above what it had before, or of torch's allocator on CUDA. The extra weights are
those of the choices off the path. SGD has momentum of the path alone then; `--all-momentum` adds a
step on every choice before, and counts the momentum of the choices off the path as extra, too.
Repeats of both take turns; the ratio is of medians.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import torch
from measured import add_common_options, start, write_json
from training_steps import (
    Step,
    classifier_config,
    detector_config,
    fixed,
    images,
    labelled,
    with_boxes,
)

from detnas.networks.freed_memory import keep_freed_memory
from detnas.stages.forecast.pace import largest_path
from search_space.spaces import parse_space

MB = 1 << 20
STEPS = 3


def main() -> None:
    """Measure in processes, or in this one for `--one`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = ["small", "large", "retinanet", "fpn"]
    parser.add_argument("--kinds", nargs="+", default=["small", "large"], choices=kinds)
    parser.add_argument("--all-momentum", action="store_true")
    parser.add_argument(
        "--default-allocator",
        action="store_true",
        help="let the C library return freed memory, as training does",
    )
    parser.add_argument("--one", choices=["supernet", "fixed"], help=argparse.SUPPRESS)
    add_common_options(parser, rounds=5)
    options = parser.parse_args()
    if options.one:
        torch.set_num_threads(options.threads)
        print(json.dumps(one(options.kinds[0], options)))
        return
    start(options)
    write_json(options, {kind: measure(kind, options) for kind in options.kinds})


def measure(kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """Compare both networks of a kind."""
    found: dict[str, list[dict[str, int]]] = {"fixed": [], "supernet": []}
    for _ in range(options.rounds):
        for which, results in found.items():
            results.append(in_process(kind, which, options))
    peaks = {which: [each["peak"] for each in results] for which, results in found.items()}
    weights = {which: results[0]["weights"] for which, results in found.items()}
    extra = (weights["supernet"] - weights["fixed"]) * (2 if options.all_momentum else 1)
    medians = {which: statistics.median(values) for which, values in peaks.items()}
    ratio = medians["supernet"] / (medians["fixed"] + extra)
    shown = ", ".join(
        f"{which} {medians[which] / MB:.0f} MB ({min(values) / MB:.0f} to {max(values) / MB:.0f})"
        for which, values in peaks.items()
    )
    print(f"{kind}: {shown}, extra weights {extra / MB:.0f} MB: ratio {ratio:.3f}", flush=True)
    return {"peaks": peaks, "extra": extra, "ratio": ratio}


def in_process(kind: str, which: str, options: argparse.Namespace) -> dict[str, int]:
    """The answer of a process of its own."""
    command = [sys.executable, str(Path(__file__)), "--kinds", kind, "--one", which]
    command += ["--device", options.device, "--threads", str(options.threads)]
    command += ["--all-momentum"] * options.all_momentum
    command += ["--default-allocator"] * options.default_allocator
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{kind}, {which} failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def one(kind: str, options: argparse.Namespace) -> dict[str, int]:
    """Bytes of the weights, and the peak of a few steps."""
    device = torch.device(options.device)
    if device.type == "cpu" and not options.default_allocator:
        keep_freed_memory()
    space = parse_space("large" if kind == "large" else "small")
    path = largest_path(space)
    if kind in ("retinanet", "fpn"):
        config = detector_config(kind)
        batch = with_boxes(images(1, 256, 384, 0, device), 80, 7, 0)
    else:
        config = classifier_config(kind)
        batch, _ = labelled(images(16, 224, 224, 0, device), 1000, 0)
    before = psutil.Process().memory_info().rss
    is_fixed = options.one == "fixed"
    step = Step(fixed(config, space, path) if is_fixed else config, batch, device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    if not is_fixed:
        others = range(len(space.choices)) if options.all_momentum else ()
        for choice in others:
            step.set_path([choice] * len(path))
            step()
        step.set_path(path)
    for _ in range(STEPS):
        step()
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated()
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    state = [*step.model.parameters(), *step.model.buffers()]
    return {"weights": sum(t.numel() * t.element_size() for t in state), "peak": peak}


if __name__ == "__main__":
    main()
