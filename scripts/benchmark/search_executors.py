"""What an executor costs and gains: seconds a candidate in one process, in two, and on Ray.

The demo's RetinaNet and search split, a supernet of random weights, one thread an evaluation. Every
executor evaluates the same candidates in turn, for several rounds; its start is told apart.

    python scripts/benchmark/search_executors.py [--candidates 12] [--rounds 3]
"""

import argparse
import importlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from mmengine.registry import MODELS, init_default_scope

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
    "ray, 2 workers": ExecutorSettings("ray", workers=2),
}


def nothing(choices: tuple[int, ...]) -> dict[str, float]:
    """A scorer that takes no time: what is left is the executor's own."""
    return {"score": float(sum(choices))}


def make_nothing() -> Callable[[tuple[int, ...]], dict[str, float]]:
    return nothing


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


def measure(make: Callable[[], object], score: str, jobs: list[Job], rounds: int) -> None:
    """One line an executor, all of them taking turns."""
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
            f"of local {median / local:6.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    paths = np.random.default_rng(0).integers(0, 4, (options.candidates, 10)).tolist()
    jobs = [Job(i, tuple(path)) for i, path in enumerate(paths)]
    # Ray's workers import the scorer by the name of this file.
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    make_nothing = importlib.import_module(Path(__file__).stem).make_nothing
    print("a scorer that takes no time")
    many = [Job(i, job.choices) for i, job in enumerate(jobs * 20)]
    measure(make_nothing, "score", many, options.rounds)
    print("the demo's evaluator")
    with tempfile.TemporaryDirectory() as folder:
        measure(make_evaluator(Path(folder)), "coco/bbox_mAP", jobs, options.rounds)


if __name__ == "__main__":
    main()
