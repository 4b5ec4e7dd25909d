"""Workers as actors of a Ray cluster, which may join and leave while the search runs.

Needs the package `ray` (the extra of that name) here and on every machine of the cluster.
"""

import logging
import os
import pickle
import signal
import socket
import threading
import time
from typing import Any, Self

from detnas.errors import MissingPackageError, UserError
from detnas.search.executors.base import Evaluate, ExecutorError, Job, MakeEvaluate
from detnas.search.executors.pool import Event, Lost
from detnas.search.executors.restarts import Restarts
from detnas.search.executors.worker import NotStarted, Outcome, Started, build_scorer, score

logger = logging.getLogger(__name__)

LOOK_SECONDS = 5.0  # between looks at the cluster's size
WARN_SECONDS = 60.0  # between warnings that no worker is ready


class _Worker:
    """The actor. `hold` never returns, so its failure reports the actor's end while it is idle."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._evaluate: Evaluate | None = None

    def build(self) -> Started | NotStarted:
        # The payload is from our own driver. Reading it may fail too, on a package not installed.
        self._evaluate, message = build_scorer(lambda: pickle.loads(self._payload)())
        return message

    def score(self, job: Job) -> Outcome:
        assert self._evaluate is not None, "only a worker that has started is given a candidate"
        return score(self._evaluate, job)

    def hold(self) -> None:
        threading.Event().wait()


class RayWorkers:
    """See `pool.Workers`.

    Args:
        make_evaluate: builds the scorer in each worker.
        address: of a running cluster ("auto", "10.0.0.1:6379", "ray://..."); None starts one on
            this machine, which ends with the search.
        workers: how many; those for which the cluster has no room yet start when it has. None
            takes one for each GPU, or for each `threads` CPUs, and more as machines join.
        threads: CPUs of a worker where the cluster has no GPU.
    """

    def __init__(
        self, make_evaluate: MakeEvaluate, address: str | None, workers: int | None, threads: int
    ) -> None:
        try:
            import ray
        except ModuleNotFoundError:
            raise MissingPackageError(
                "search.executor.type 'ray' needs the package ray: pip install 'detnas[ray]'"
            ) from None
        self._ray: Any = ray
        self._payload = pickle.dumps(make_evaluate)
        self._address = address
        self._limit = workers
        self._threads = threads
        self._actors: dict[int, Any] = {}
        self._started: set[int] = set()
        self._pending: dict[Any, int] = {}  # calls by reference: the worker
        self._next = 0
        self._restarts = Restarts()
        self._look_at = 0.0
        self._warn_at = time.monotonic() + WARN_SECONDS

    def __enter__(self) -> Self:
        self._connect()
        on_gpus = self._ray.cluster_resources().get("GPU", 0) > 0
        self._resource, self._share = ("GPU", 1) if on_gpus else ("CPU", self._threads)
        resources = {"num_gpus": int(on_gpus), "num_cpus": 1 if on_gpus else self._threads}
        make_actor = self._ray.remote(**resources, max_restarts=0, concurrency_groups={"hold": 1})
        self._actor_type: Any = make_actor(_Worker)
        self._grow()
        return self

    def __exit__(self, *error: object) -> None:
        for actor in self._actors.values():
            self._ray.kill(actor)
        self._actors.clear()
        self._ray.shutdown()

    def _connect(self) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        local: dict[str, Any] = {}
        if self._address is None:
            workers = self._limit or max(len(os.sched_getaffinity(0)) // self._threads, 1)
            os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `processes`
            local = {"num_cpus": workers * self._threads, "include_dashboard": False}
        sigterm = signal.getsignal(signal.SIGTERM)
        try:
            _require_listener(self._address)
            self._ray.init(address=self._address or "local", log_to_driver=True, **local)
        except (OSError, ValueError) as error:
            raise UserError(
                f"search.executor.address {self._address!r}: no Ray cluster answers ({error}); "
                "give HOST:PORT of one that `ray start --head` has started, ray://HOST:PORT "
                "or 'auto'; without an address Ray runs on this machine"
            ) from error
        finally:  # Ray replaces our handler with one that exits
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, sigterm)

    def send(self, worker: int, job: Job) -> None:
        """See `Workers.send`."""
        self._pending[self._actors[worker].score.remote(job)] = worker

    def replace(self, worker: int) -> None:
        """See `Workers.replace`."""
        self._end(worker)
        self._start()

    def wait(self, seconds: float) -> list[Event]:
        """See `Workers.wait`."""
        deadline = time.monotonic() + seconds
        while True:
            if time.monotonic() >= self._look_at:
                self._grow()
            events = self._events(min(max(deadline - time.monotonic(), 0.0), LOOK_SECONDS))
            self._warn_if_no_worker_is_ready()
            if events or time.monotonic() >= deadline:
                return events

    def _events(self, seconds: float) -> list[Event]:
        wait = self._ray.wait
        if not self._pending:
            time.sleep(min(seconds, max(self._look_at - time.monotonic(), 0.0)))
            return []
        done, _ = wait(list(self._pending), num_returns=1, timeout=seconds)
        if done:
            done, _ = wait(list(self._pending), num_returns=len(self._pending), timeout=0)
        # Ending a worker drops its other calls, which may be among those done.
        events = [self._hear(call) for call in done if call in self._pending]
        return [event for event in events if event is not None]

    def _hear(self, call: Any) -> Event | None:
        worker = self._pending.pop(call)
        try:
            message = self._ray.get(call)
        except self._ray.exceptions.RayError as error:
            return self._lose(worker, _first_line(error))
        if isinstance(message, NotStarted):
            return self._lose(worker, message.reason, message.refused)
        if isinstance(message, Started):
            self._started.add(worker)
            self._restarts.succeed()
        return worker, message

    def _lose(self, worker: int, reason: str, refused: bool = False) -> Event | None:
        had_started = worker in self._started
        self._end(worker)
        if had_started:
            self._start()
            return worker, Lost(reason)
        logger.warning("a worker could not start: %s", reason)
        self._look_at = time.monotonic() + self._restarts.fail(refused)  # and start another
        if not self._actors and self._restarts.given_up:
            raise ExecutorError(f"no worker is left; the last one could not start: {reason}")
        return None

    def _end(self, worker: int) -> None:
        self._started.discard(worker)
        self._pending = {call: of for call, of in self._pending.items() if of != worker}
        self._ray.kill(self._actors.pop(worker))

    def _grow(self) -> None:
        """Have as many workers as asked for, or as the cluster has room for."""
        self._look_at = time.monotonic() + LOOK_SECONDS
        room = int(self._available() // self._share)
        for _ in range((self._limit or max(room, 1)) - len(self._actors)):
            self._start()

    def _start(self) -> None:
        actor = self._actor_type.remote(self._payload)
        worker, self._next = self._next, self._next + 1
        self._actors[worker] = actor
        self._pending[actor.build.remote()] = worker
        self._pending[actor.hold.options(concurrency_group="hold").remote()] = worker

    def _warn_if_no_worker_is_ready(self) -> None:
        if not self._started and time.monotonic() < self._warn_at:
            return
        self._warn_at = time.monotonic() + WARN_SECONDS
        if not self._started:
            needed, there = f"{self._share} {self._resource}", self._available()
            logger.warning("no worker is ready; each needs %s, the cluster has %g", needed, there)

    def _available(self) -> float:
        return float(self._ray.cluster_resources().get(self._resource, 0))


def _require_listener(address: str | None) -> None:
    """Raise OSError if no process listens at host:port; Ray would take minutes to fail."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()


def _first_line(error: BaseException) -> str:
    """The first line of one of Ray's errors, which fill a page."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
