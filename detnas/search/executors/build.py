"""From the settings of an executor to the executor; what is not chosen is not imported."""

import os
from dataclasses import dataclass

from detnas.search.executors.base import Executor, MakeEvaluate
from detnas.search.executors.local import LocalExecutor
from detnas.search.executors.pool import Pool, PoolExecutor
from detnas.search.executors.settings import ExecutorSettings

START_SECONDS = 900.0
"""What a worker has to start in: it imports, reads annotations and weights."""


@dataclass(frozen=True)
class Machine:
    """What this machine has for workers.

    Attributes:
        gpus: devices it sees.
        threads: CPUs that a worker takes.
        own_gpu: index of this process's device, where a launcher gave each one its own.
    """

    gpus: int
    threads: int
    own_gpu: int | None = None


def build_executor(
    settings: ExecutorSettings,
    make_evaluate: MakeEvaluate,
    score: str,
    machine: Machine,
    has_scored: bool = False,
) -> Executor:
    """The executor of a config, to be entered.

    Args:
        settings: the section `search.executor`.
        make_evaluate: builds the scorer, here or in each worker.
        score: the key of the metrics that ranks candidates.
        machine: what there is for workers.
        has_scored: whether the metrics are known to have the score, as from an earlier run.

    Raises:
        ModuleNotFoundError: "ray" without the package.
        Exception: under "local", whatever `make_evaluate` raises.
    """
    if settings.type == "local":
        return LocalExecutor(make_evaluate(), score, settings.attempts, has_scored)
    pool = _pool(settings, make_evaluate, machine)
    return PoolExecutor(pool, score, settings.attempts, settings.timeout, has_scored)


def _pool(settings: ExecutorSettings, make_evaluate: MakeEvaluate, machine: Machine) -> Pool:
    if settings.type == "ray":
        from detnas.search.executors.ray_cluster import RayPool

        return RayPool(make_evaluate, settings.address, settings.workers, machine.threads)
    if settings.type == "distributed":
        from detnas.search.executors.ranks import RankPool

        return RankPool(make_evaluate, machine.own_gpu, START_SECONDS)
    from detnas.search.executors.connections import ConnectionPool
    from detnas.search.executors.processes import ProcessWorker

    cpus = len(os.sched_getaffinity(0))
    workers = settings.workers or machine.gpus or max(cpus // machine.threads, 1)
    devices = [i % machine.gpus if machine.gpus else None for i in range(workers)]
    return ConnectionPool([ProcessWorker(make_evaluate, gpu) for gpu in devices], START_SECONDS)
