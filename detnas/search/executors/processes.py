"""Workers as processes of this machine, one per GPU or several on its CPUs.

They are spawned, not forked: neither CUDA nor torch's threads survive a fork.
"""

import logging
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Any, Self

from detnas.search.executors.base import ExecutorError, Job, MakeEvaluate
from detnas.search.executors.pool import Event, Lost
from detnas.search.executors.restarts import Restarts
from detnas.search.executors.worker import (
    NAME,
    UNGUARDED,
    UNGUARDED_REASON,
    NotStarted,
    Started,
    build_scorer,
    score,
)

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5  # delay in noticing the end of a process whose children hold its connection
GRACE_SECONDS = 3.0  # for workers to stop by themselves
KILL_SECONDS = 3.0  # a process that hangs in a driver or a network filesystem survives SIGKILL
COORDINATOR_ENDED = 3  # exit status of a worker whose coordinator has ended

# Variables of torchrun, by which libraries choose devices and log files; workers are no ranks.
LAUNCHER = ("RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")


class State(Enum):
    """State of a worker. A GONE worker is started again, unless it is given up."""

    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    GONE = "gone"


@dataclass
class _Worker:
    """A worker's place. It has `process` and `connection` unless its state is GONE."""

    gpu: int | None
    state: State = State.GONE
    deadline: float = 0.0  # by time.monotonic(): of the next start if GONE, of this if STARTING
    restarts: Restarts = field(default_factory=Restarts)
    process: BaseProcess = field(init=False)
    connection: Connection = field(init=False)


class ProcessWorkers:
    """See `pool.Workers`.

    Args:
        make_evaluate: builds the scorer in each process.
        gpus: for each worker the index of its device among those that this process sees; None
            leaves all visible.
        start_timeout: seconds for a worker to become ready.
    """

    def __init__(
        self, make_evaluate: MakeEvaluate, gpus: Sequence[int | None], start_timeout: float
    ) -> None:
        self._payload = pickle.dumps(make_evaluate)
        self._workers = [_Worker(gpu) for gpu in gpus]
        self._start_timeout = start_timeout
        self._reason = "there was none"

    def __enter__(self) -> Self:
        return self  # `wait` starts the workers

    def __exit__(self, *error: object) -> None:
        """Tell workers to stop, after an error at once; kill those that do not."""
        present = [worker for worker in self._workers if worker.state is not State.GONE]
        for worker in present:
            if error and error[0] is not None:
                worker.connection.close()  # ends it at once, busy or not
                continue
            with suppress(OSError):
                worker.connection.send(None)
        deadline = time.monotonic() + GRACE_SECONDS
        for worker in present:
            worker.process.join(max(deadline - time.monotonic(), 0.0))
            _end(worker)

    def send(self, worker: int, job: Job) -> None:
        """See `Workers.send`."""
        one = self._workers[worker]
        assert one.state is State.READY
        one.state = State.BUSY
        with suppress(OSError):  # `wait` reports its end
            one.connection.send(job)

    def replace(self, worker: int) -> None:
        """See `Workers.replace`."""
        self._lose(worker, "it was replaced")

    def wait(self, seconds: float) -> list[Event]:
        """See `Workers.wait`."""
        deadline = time.monotonic() + seconds
        while True:
            self._start_due()
            if all(worker.restarts.given_up for worker in self._workers):
                raise ExecutorError(f"no worker is left; {self._reason}")
            events = self._events(min(max(deadline - time.monotonic(), 0.0), POLL_SECONDS))
            if events or time.monotonic() >= deadline:
                return events

    def _start_due(self) -> None:
        now = time.monotonic()
        for number, worker in enumerate(self._workers):
            is_due = worker.state is State.GONE and worker.deadline <= now
            if is_due and not worker.restarts.given_up:
                try:
                    _start(worker, self._payload)
                except OSError as error:  # no process or file can be had at the moment
                    self._plan_start(number, f"{type(error).__name__}: {error}")
                else:
                    worker.deadline = now + self._start_timeout

    def _events(self, seconds: float) -> list[Event]:
        present = [(i, w) for i, w in enumerate(self._workers) if w.state is not State.GONE]
        numbers = {worker.connection: i for i, worker in present}
        if not numbers:
            time.sleep(seconds)
            return []
        heard = wait(list(numbers), seconds)
        events = [
            self._hear(number) if connection in heard else self._check(number)
            for connection, number in numbers.items()
        ]
        return [event for event in events if event is not None]

    def _hear(self, number: int) -> Event | None:
        """Read a worker's message, or the end of its connection."""
        worker = self._workers[number]
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join(1.0)
            if worker.process.exitcode == UNGUARDED:
                raise ExecutorError(UNGUARDED_REASON) from None
            return self._lose(number, _how_it_ended(worker.process) or "its connection broke")
        if isinstance(message, NotStarted):
            return self._lose(number, message.reason, message.refused)
        if isinstance(message, Started):
            worker.restarts.succeed()
        worker.state = State.READY
        return number, message

    def _check(self, number: int) -> Event | None:
        """Check a worker that has sent no message."""
        worker = self._workers[number]
        end = _how_it_ended(worker.process)
        if end is None and worker.state is State.STARTING and worker.deadline <= time.monotonic():
            end = f"not ready after {self._start_timeout:g} s"
        return None if end is None else self._lose(number, end)

    def _lose(self, number: int, reason: str, refused: bool = False) -> Event | None:
        """End a worker's process and plan the next one."""
        worker = self._workers[number]
        was_starting = worker.state is State.STARTING
        _end(worker)
        if not was_starting:
            worker.deadline = time.monotonic()
            self._reason = f"the last one was lost: {reason}"
            return number, Lost(reason)
        self._plan_start(number, reason, refused)
        return None

    def _plan_start(self, number: int, reason: str, refused: bool = False) -> None:
        """Plan the next start of a worker that could not start."""
        worker = self._workers[number]
        worker.deadline = time.monotonic() + worker.restarts.fail(refused)
        self._reason = f"the last one could not start: {reason}"
        what = "is given up" if worker.restarts.given_up else "is tried again"
        logger.warning("worker %d could not start (%s) and %s", number, reason, what)


def _start(worker: _Worker, payload: bytes) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    # Not a daemon: those may not have children, and data loaders do.
    arguments = (theirs, payload, _visible_device(worker.gpu))
    process = context.Process(target=_main, name=NAME, args=arguments)
    try:
        process.start()
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    worker.connection, worker.process, worker.state = ours, process, State.STARTING


def _end(worker: _Worker) -> None:
    """End a worker's process at once, if it has not ended."""
    worker.state = State.GONE
    worker.connection.close()
    if not worker.process.is_alive():
        return
    worker.process.kill()
    worker.process.join(KILL_SECONDS)
    if worker.process.is_alive():
        logger.warning("process %s does not end, and is left behind", worker.process.pid)
        # Otherwise this process would wait for it at exit.
        multiprocessing.process._children.discard(worker.process)  # type: ignore[attr-defined]


def _how_it_ended(process: BaseProcess) -> str | None:
    """ "killed by signal 9", "exit status 1"; None while it runs."""
    code = process.exitcode
    if code is None:
        return None
    return f"killed by signal {-code}" if code < 0 else f"exit status {code}"


def _visible_device(index: int | None) -> str | None:
    """What CUDA_VISIBLE_DEVICES must be for a process to see only the `index`-th device of ours."""
    if index is None:
        return None
    ours = os.environ.get("CUDA_VISIBLE_DEVICES")
    return ours.split(",")[index].strip() if ours else str(index)


def _main(connection: Connection, payload: bytes, device: str | None) -> None:
    """The worker's process: evaluates until told to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the coordinator to handle
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for name in LAUNCHER:
        os.environ.pop(name, None)
    # Threads of several workers on the same CPUs do not spin while they wait for each other.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if device is not None:  # before anything imports torch
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    asked: SimpleQueue[Job | None] = SimpleQueue()
    threading.Thread(target=_read, args=(connection, asked), daemon=True).start()
    evaluate, message = build_scorer(lambda: pickle.loads(payload)())  # from our own parent
    _reply(connection, message)
    if evaluate is not None:
        while (job := asked.get()) is not None:
            _reply(connection, score(evaluate, job))


def _read(connection: Connection, asked: "SimpleQueue[Job | None]") -> None:
    """Pass on what the coordinator sends; end this process at once, busy or not, when it ends."""
    try:
        while True:
            job: Job | None = connection.recv()
            asked.put(job)
            if job is None:
                return
    except (EOFError, OSError):
        os._exit(COORDINATOR_ENDED)


def _reply(connection: Connection, message: Any) -> None:
    try:
        connection.send(message)
    except OSError:
        os._exit(COORDINATOR_ENDED)
