"""What an executor costs and gains: seconds a candidate in one process, in two, and on Ray.

    python scripts/benchmark/search_executors.py [--candidates 12] [--rounds 3] [--sleeping 64]

- A scorer that takes no time: what is left is the executor's own.
- The demo's RetinaNet and search split, a supernet of random weights, one thread an evaluation.
- `--sleeping`: so many workers of Ray whose scorer sleeps for `--seconds`, as on so many GPUs; ten
  candidates each, against the time in which they would be done if the executor took none.

In the first two every executor evaluates the same candidates in turn, for several rounds, and all
must give the same scores. The start of an executor is told apart.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.registry import MODELS, init_default_scope
from sleeping_scorer import make_sleeping

from detnas.config import load_config
from detnas.data.digits import write_digits
from detnas.evaluation.settings import EvaluatorSettings
from detnas.search.executors.base import Executor, Job, JobResult
from detnas.search.executors.build import Machine, build_executor
from detnas.search.executors.settings import ExecutorSettings
from detnas.stages.candidate_worker import MakeCandidateEvaluator
from detnas.stages.hashes import input_hashes, versions

CONFIG = Path(__file__).parents[2] / "configs/demo/search.py"
EXECUTORS = {
    "local": ExecutorSettings("local"),
    "processes, 2 workers": ExecutorSettings("processes", workers=2),
    "ray, 1 worker": ExecutorSettings("ray", workers=1),
    "ray, 2 workers": ExecutorSettings("ray", workers=2),
}
CANDIDATES_A_SLEEPER = 10


def make_evaluator(folder: Path) -> MakeCandidateEvaluator:
    """The demo's evaluator, on a supernet of random weights."""
    write_digits(folder / "data")
    options = {"data_root": str(folder / "data/detection"), "model.test_cfg.score_thr": 0.0}
    config = load_config(CONFIG, options, folder / "search")
    weights = folder / "supernet.pth"
    torch.manual_seed(0)
    init_default_scope("mmdet")
    model = MODELS.build(config.model)
    meta = {"detnas": model.backbone.identity()}
    torch.save({"state_dict": model.state_dict(), "meta": meta}, weights)
    settings = EvaluatorSettings(128, 16, threads=1)
    return MakeCandidateEvaluator(
        config.to_dict(),
        str(weights),
        settings,
        0,
        input_hashes(config, str(weights)),
        versions(),
        str(Path.cwd()),
    )


def seconds_of(executor: Executor, jobs: list[Job]) -> tuple[float, dict[int, float | None]]:
    """How long all jobs take together, and their scores."""
    scores: dict[int, float | None] = {}

    def on_result(result: JobResult) -> None:
        scores[result.id] = result.score

    began = time.perf_counter()
    executor.run(jobs, lambda *_: None, on_result)
    return time.perf_counter() - began, scores


def measure(
    make: Callable[[], object], score: str, jobs: list[Job], rounds: int
) -> dict[str, dict[str, Any]]:
    """One line an executor, all of them taking turns; returns the seconds."""
    machine = Machine(torch.cuda.device_count(), 1)
    taken: dict[str, list[float]] = {name: [] for name in EXECUTORS}
    found = []
    with ExitStack() as stack:
        running = {}
        starts = {}
        for name, settings in EXECUTORS.items():
            began = time.perf_counter()
            executor = build_executor(settings, make, score, machine)  # type: ignore[arg-type]
            running[name] = stack.enter_context(executor)
            starts[name] = time.perf_counter() - began
        for executor in running.values():  # decodes the images, which are then kept
            seconds_of(executor, jobs[:4])
        for _ in range(rounds):
            for name, executor in running.items():
                seconds, scores = seconds_of(executor, jobs)
                taken[name].append(seconds / len(jobs))
                found.append(scores)
    assert all(scores == found[0] for scores in found), "executors must agree to the last digit"
    local = statistics.median(taken["local"])
    for name, seconds in taken.items():
        median = statistics.median(seconds)
        print(
            f"  {name:<22} start {starts[name]:5.1f} s   candidate {1000 * median:9.2f} ms   "
            f"of local {median / local:6.2f} "
            f"({min(seconds) / local:.2f} to {max(seconds) / local:.2f})",
            flush=True,
        )
    return {name: {"start": starts[name], "candidate": taken[name]} for name in EXECUTORS}


def sleep(workers: int, seconds: float, rounds: int) -> dict[str, Any]:
    """One line for many workers of Ray that sleep; returns the seconds."""
    settings = ExecutorSettings("ray", workers=workers)
    jobs = [Job(i, (i,)) for i in range(workers * CANDIDATES_A_SLEEPER)]
    best = CANDIDATES_A_SLEEPER * seconds
    began = time.perf_counter()
    make = partial(make_sleeping, seconds)
    with build_executor(settings, make, "score", Machine(0, 1)) as executor:
        start = time.perf_counter() - began
        seconds_of(executor, jobs[:workers])  # all workers are there
        taken = []
        for _ in range(rounds):
            found, scores = seconds_of(executor, jobs)
            assert scores == {job.id: float(job.id) for job in jobs}
            taken.append(found)
    median = statistics.median(taken)
    print(
        f"  ray, {workers} workers, {len(jobs)} candidates of {seconds:g} s: start "
        f"{start:.1f} s, then {median:.2f} s ({min(taken):.2f} to {max(taken):.2f}), "
        f"{median / best:.3f} of the least, {best:g} s",
        flush=True,
    )
    return {"start": start, "taken": taken, "least": best}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--candidates", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sleeping", type=int, help="workers of Ray that sleep, alone")
    parser.add_argument("--seconds", type=float, default=2.0, help="that they sleep")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    # Ray's workers import the scorer by the name of its file.
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    if options.sleeping:
        figures = sleep(options.sleeping, options.seconds, options.rounds)
    else:
        figures = of_executors(options)
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def of_executors(options: argparse.Namespace) -> dict[str, Any]:
    """The executors beside each other."""
    paths = np.random.default_rng(0).integers(0, 4, (options.candidates, 10)).tolist()
    jobs = [Job(i, tuple(path)) for i, path in enumerate(paths)]
    print("a scorer that takes no time")
    many = [Job(i, job.choices) for i, job in enumerate(jobs * 20)]
    nothing = measure(partial(make_sleeping, 0.0), "score", many, options.rounds)
    print("the demo's evaluator")
    with tempfile.TemporaryDirectory() as folder:
        real = measure(make_evaluator(Path(folder)), "coco/bbox_mAP", jobs, options.rounds)
    return {"no time": nothing, "demo": real}


if __name__ == "__main__":
    main()
