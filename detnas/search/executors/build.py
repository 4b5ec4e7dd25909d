"""Builds an executor from its settings; other types are not imported."""

import os
from dataclasses import dataclass

from detnas.search.executors.base import Executor, MakeEvaluate
from detnas.search.executors.local import LocalExecutor
from detnas.search.executors.pool import PoolExecutor, Workers
from detnas.search.executors.settings import ExecutorSettings

START_SECONDS = 900.0
"""Time limit for the start of a worker: it imports torch, reads annotations and weights."""


@dataclass(frozen=True)
class Machine:
    """The resources of this machine.

    Attributes:
        gpus: number of visible devices.
        threads: CPUs per worker.
    """

    gpus: int
    threads: int


def build_executor(
    settings: ExecutorSettings,
    make_evaluate: MakeEvaluate,
    score: str,
    machine: Machine,
    has_scored: bool = False,
) -> Executor:
    """The executor of a config, a context manager.

    Args:
        settings: the section `search.executor`.
        make_evaluate: builds the scorer, here or in each worker.
        score: the key of the metrics that ranks candidates.
        machine: the resources of this machine.
        has_scored: whether the metrics are known to have the score, as from an earlier run.

    Raises:
        MissingPackageError: the type is "ray" and the package is missing.
        Exception: under "local", whatever `make_evaluate` raises.
    """
    if settings.type == "local":
        executor = LocalExecutor(make_evaluate(), score, settings.attempts, has_scored)
        if machine.gpus > 1:
            executor.notes = (
                *executor.notes,
                f"one of {machine.gpus} GPUs is used; search.executor.type=processes uses all",
            )
        return executor
    workers = _workers(settings, make_evaluate, machine)
    finish = getattr(make_evaluate, "finish", None)
    return PoolExecutor(workers, score, settings.attempts, settings.timeout, has_scored, finish)


def _workers(settings: ExecutorSettings, make_evaluate: MakeEvaluate, machine: Machine) -> Workers:
    if settings.type == "ray":
        from detnas.search.executors.ray_cluster import RayWorkers

        return RayWorkers(make_evaluate, settings.address, settings.workers, machine.threads)
    from detnas.search.executors.processes import ProcessWorkers

    cpus = len(os.sched_getaffinity(0))
    count = settings.workers or machine.gpus or max(cpus // machine.threads, 1)
    gpus = [i % machine.gpus if machine.gpus else None for i in range(count)]
    return ProcessWorkers(make_evaluate, gpus, START_SECONDS)
