"""Workers as actors of a Ray cluster, which may join and leave while the search goes on.

Needs the package `ray` (the extra of that name) here and on every machine of the cluster.
"""

import logging
import os
import pickle
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from detnas.errors import MissingPackageError, UserError
from detnas.search.executors.base import Evaluate, ExecutorError, MakeEvaluate
from detnas.search.executors.pool import Answer, Event, Lost, Ready
from detnas.search.executors.serve import answer, build
from search_space.architecture import Choices

logger = logging.getLogger(__name__)

MAX_FAILED_STARTS = 3  # in a row, where no worker is there or on its way
LOOK_SECONDS = 5.0  # between looks at the cluster's size
MAX_PAUSE_DOUBLINGS = 7  # of that, where workers cannot start
TELL_SECONDS = 60.0  # between messages that no worker is there yet


class _Worker:
    """The actor. `hold` never ends, so its failure tells of the actor's end while it is idle."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._evaluate: Evaluate | None = None

    def build(self) -> dict[str, Any]:
        # From our own driver; read within `build`, which tells what is not installed here.
        self._evaluate, message = build(lambda: pickle.loads(self._payload)())
        return message

    def evaluate(self, choices: Choices) -> dict[str, Any]:
        assert self._evaluate is not None, "only a ready worker is given a candidate"
        return answer(self._evaluate, choices)

    def hold(self) -> None:
        threading.Event().wait()


@dataclass
class _Slot:
    actor: Any
    ready: bool = False


class RayPool:
    """See `Pool`.

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
        self._workers = workers
        self._threads = threads
        self._slots: dict[int, _Slot] = {}
        self._waited: dict[Any, tuple[int, str]] = {}  # by reference: worker, "build" and the like
        self._next = 0
        self._failed_starts = 0
        self._look_at = 0.0
        self._tell_at = time.monotonic() + TELL_SECONDS
        self._actor_type: Any = None

    def __enter__(self) -> Self:
        ray = self._ray
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        local: dict[str, Any] = {}
        if self._address is None:
            workers = self._workers or max(len(os.sched_getaffinity(0)) // self._threads, 1)
            os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `processes`
            local = {"num_cpus": workers * self._threads, "include_dashboard": False}
        with _own_sigterm():
            try:
                _require_listener(self._address)
                ray.init(address=self._address or "local", log_to_driver=True, **local)
            except (OSError, ValueError) as error:
                raise UserError(
                    f"search.executor.address {self._address!r}: no Ray cluster answers ({error}); "
                    "give HOST:PORT of one that `ray start --head` has started, ray://HOST:PORT "
                    "or 'auto'; without an address Ray runs on this machine"
                ) from error
        on_gpus = ray.cluster_resources().get("GPU", 0) > 0
        self._resource, self._share = ("GPU", 1) if on_gpus else ("CPU", self._threads)
        self._actor_type = ray.remote(
            num_gpus=1 if on_gpus else 0,
            num_cpus=1 if on_gpus else self._threads,
            max_restarts=0,
            concurrency_groups={"hold": 1},
        )(_Worker)
        self._grow()
        return self

    def __exit__(self, *error: object) -> None:
        for slot in self._slots.values():
            self._ray.kill(slot.actor)
        self._slots.clear()
        self._ray.shutdown()

    def send(self, worker: int, choices: Choices) -> None:
        """See `Pool.send`."""
        self._watch(self._slots[worker].actor.evaluate.remote(choices), worker, "evaluate")

    def replace(self, worker: int) -> None:
        """See `Pool.replace`."""
        self._end(worker)
        self._start()

    def wait(self, seconds: float) -> list[Event]:
        """See `Pool.wait`."""
        deadline = time.monotonic() + seconds
        while True:
            if time.monotonic() >= self._look_at:
                self._grow()
            events = self._events(min(max(deadline - time.monotonic(), 0.0), LOOK_SECONDS))
            self._say_if_nobody_is_there()
            if events or time.monotonic() >= deadline:
                return events

    def _events(self, seconds: float) -> list[Event]:
        ray = self._ray
        done, _ = ray.wait(list(self._waited), num_returns=1, timeout=seconds)
        if done:
            done, _ = ray.wait(list(self._waited), num_returns=len(self._waited), timeout=0)
        events: list[Event] = []
        for reference in done:
            if reference not in self._waited:  # of a worker that an earlier one has ended
                continue
            event = self._hear(reference)
            if event is not None:
                events.append(event)
        return events

    def _hear(self, reference: Any) -> Event | None:
        worker, what = self._waited.pop(reference)
        try:
            message = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            return self._lose(worker, _first_line(error))
        if what == "evaluate":
            return Answer(worker, message.get("metrics"), message.get("error"))
        if "ready" not in message:
            self._failed_starts += MAX_FAILED_STARTS if "refused" in message else 0
            return self._lose(worker, message.get("refused") or message["broken"])
        self._slots[worker].ready = True
        self._failed_starts = 0
        return Ready(worker, message["ready"], tuple(message["notes"]))

    def _lose(self, worker: int, reason: str) -> Lost | None:
        was_ready = self._slots[worker].ready
        self._end(worker)
        if was_ready:
            self._start()
            return Lost(worker, reason)
        self._failed_starts += 1
        logger.warning("a worker could not start: %s", reason)
        if not self._slots and self._failed_starts >= MAX_FAILED_STARTS:
            raise ExecutorError(f"no worker is left; the last one could not start: {reason}")
        pause = LOOK_SECONDS * 2 ** min(self._failed_starts, MAX_PAUSE_DOUBLINGS)
        self._look_at = time.monotonic() + pause  # and start another
        return None

    def _end(self, worker: int) -> None:
        slot = self._slots.pop(worker)
        self._waited = {r: entry for r, entry in self._waited.items() if entry[0] != worker}
        self._ray.kill(slot.actor)

    def _grow(self) -> None:
        """Have as many workers as asked for, or as the cluster has room for."""
        self._look_at = time.monotonic() + LOOK_SECONDS
        room = int(self._ray.cluster_resources().get(self._resource, 0) // self._share)
        for _ in range((self._workers or max(room, 1)) - len(self._slots)):
            self._start()

    def _start(self) -> None:
        actor = self._actor_type.remote(self._payload)
        worker, self._next = self._next, self._next + 1
        self._slots[worker] = _Slot(actor)
        self._watch(actor.build.remote(), worker, "build")
        self._watch(actor.hold.options(concurrency_group="hold").remote(), worker, "hold")

    def _watch(self, reference: Any, worker: int, what: str) -> None:
        self._waited[reference] = (worker, what)

    def _say_if_nobody_is_there(self) -> None:
        if any(slot.ready for slot in self._slots.values()):
            self._tell_at = time.monotonic() + TELL_SECONDS
        elif time.monotonic() >= self._tell_at:
            self._tell_at = time.monotonic() + TELL_SECONDS
            logger.warning(
                "no worker is ready; each needs %d %s, the cluster has %g",
                *(self._share, self._resource),
                self._ray.cluster_resources().get(self._resource, 0),
            )


def _require_listener(address: str | None) -> None:
    """Raise OSError where nobody listens at host:port, which Ray would take minutes to say."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()


def _first_line(error: BaseException) -> str:
    """Ray's errors go on for a page."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep this process's handling of SIGTERM, which Ray would replace by one that just exits."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
