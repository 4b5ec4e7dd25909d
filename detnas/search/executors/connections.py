"""A pool of workers behind connections: processes of this machine, and ranks that joined.

Workers that end are started again where that is possible, after a pause that grows. A place whose
first worker is refused, or cannot be started `MAX_FAILED_STARTS` times in a row, is given up; one
that has served is not, for what stops it now may pass.
"""

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Protocol, Self

from detnas.search.executors.base import ExecutorError
from detnas.search.executors.pool import Answer, Event, Lost, Ready
from detnas.search.executors.serve import receive, send
from search_space.architecture import Choices

logger = logging.getLogger(__name__)

MAX_FAILED_STARTS = 3
FIRST_PAUSE = 1.0  # seconds, doubled with each failed start
LONGEST_PAUSE = 600.0
POLL_SECONDS = 0.5  # how soon the end of a process is seen whose children hold its connection
GRACE_SECONDS = 3.0  # for workers to stop by themselves


class Remote(Protocol):
    """A worker's process as its pool sees it."""

    @property
    def starts(self) -> int:
        """How many starts it makes by itself before it says that none has worked."""

    def start(self) -> Connection | None:
        """Start it, or start it anew: the connection to it; None where it cannot be restarted."""

    def renew(self) -> bool:
        """Replace what hangs behind the connection, which stays; False where that cannot be."""

    def ended(self) -> str | None:
        """How it ended ("killed by signal 9"); None while it runs, as far as can be seen."""

    def kill(self) -> None:
        """End it at once, if it has not ended."""

    def join(self, seconds: float) -> None:
        """Wait for its end, for so long at most."""


@dataclass
class _Slot:
    """A worker's place: its process of now, and what became of the ones before."""

    remote: Remote
    connection: Connection | None = None
    ready: bool = False
    served: bool = False  # it has been ready at some time
    number: int = 0  # of the last candidate sent; answers to others are of no interest
    failed_starts: int = 0
    start_at: float = 0.0  # by time.monotonic(); no process runs before
    start_by: float = field(default=float("inf"))
    given_up: bool = False


class ConnectionPool:
    """See `Pool`.

    Args:
        remotes: the workers, one each.
        start_timeout: seconds for a worker to become ready.
    """

    def __init__(self, remotes: Sequence[Remote], start_timeout: float) -> None:
        self._slots = [_Slot(remote) for remote in remotes]
        self._start_timeout = start_timeout
        self._reason = "there was none"

    def add(self, remotes: Sequence[Remote]) -> None:
        """More workers, before the pool is entered."""
        self._slots += [_Slot(remote) for remote in remotes]

    def __enter__(self) -> Self:
        try:
            self._start_due()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """Idle workers are told to stop; all are ended after a short grace."""
        for slot in self._slots:
            if slot.connection is None:
                continue
            with suppress(OSError):
                send(slot.connection, {"stop": True})
            if error and error[0] is not None:
                slot.connection.close()  # which ends a worker in mid-candidate
        deadline = time.monotonic() + GRACE_SECONDS
        for slot in self._slots:
            slot.remote.join(max(deadline - time.monotonic(), 0.0))
            slot.remote.kill()
            if slot.connection is not None:
                slot.connection.close()
                slot.connection = None

    def send(self, worker: int, choices: Choices) -> None:
        """See `Pool.send`."""
        slot = self._slots[worker]
        assert slot.connection is not None, "only a ready worker is given a candidate"
        slot.number += 1
        with suppress(OSError):  # `wait` meets the same end
            send(slot.connection, {"choices": list(choices), "number": slot.number})

    def is_ready(self, worker: int) -> bool:
        """Whether it can be sent a candidate."""
        return self._slots[worker].ready

    def replace(self, worker: int) -> None:
        """See `Pool.replace`."""
        slot = self._slots[worker]
        if slot.remote.renew():
            self._expect(slot)
        else:
            self._end(worker, "it hung", failed_start=False)

    def _expect(self, slot: _Slot) -> None:
        """Wait for a worker to become ready; what came from the one before is not listened to."""
        slot.ready = False
        slot.start_by = time.monotonic() + self._start_timeout * slot.remote.starts

    def wait(self, seconds: float) -> list[Event]:
        """See `Pool.wait`."""
        deadline = time.monotonic() + seconds
        while True:
            self._start_due()
            if all(slot.given_up for slot in self._slots):
                raise ExecutorError(f"no worker is left; {self._reason}")
            events = self._events(min(max(deadline - time.monotonic(), 0.0), POLL_SECONDS))
            if events or time.monotonic() >= deadline:
                return events

    def _start_due(self) -> None:
        now = time.monotonic()
        for slot in self._slots:
            if slot.connection is not None or slot.given_up or slot.start_at > now:
                continue
            slot.connection = slot.remote.start()
            self._expect(slot)
            slot.given_up = slot.connection is None

    def _events(self, seconds: float) -> list[Event]:
        by_connection = {
            slot.connection: worker
            for worker, slot in enumerate(self._slots)
            if slot.connection is not None and not slot.given_up
        }
        if not by_connection:
            time.sleep(seconds)
            return []
        events: list[Event] = []
        heard = {by_connection[c] for c in wait(list(by_connection), seconds)}  # type: ignore[index]
        for worker in by_connection.values():
            slot = self._slots[worker]
            if worker in heard:
                event = self._hear(worker)
            elif (end := slot.remote.ended()) is not None:
                event = self._end(worker, end, failed_start=not slot.ready)
            elif not slot.ready and slot.start_by <= time.monotonic():
                event = self._end(worker, f"not ready after {self._start_timeout:g} s", True)
            else:
                continue
            if event is not None:
                events.append(event)
        return events

    def _hear(self, worker: int) -> Event | None:
        slot = self._slots[worker]
        assert slot.connection is not None, "it has been waited for"
        try:
            message = receive(slot.connection)
        except (EOFError, OSError):
            slot.remote.join(1.0)
            end = slot.remote.ended() or "its connection broke"
            return self._end(worker, end, failed_start=not slot.ready)
        if "ready" in message:
            slot.ready, slot.served, slot.failed_starts = True, True, 0
            return Ready(worker, message["ready"], tuple(message["notes"]))
        if "refused" in message and slot.remote.starts > 1:
            return self._let_sit_out(worker, message["refused"])
        if "refused" in message or "broken" in message:
            slot.given_up = "refused" in message and not slot.served
            return self._end(worker, message.get("refused") or message["broken"], True)
        if not slot.ready:  # of one that has been replaced
            return None
        if "lost" in message:
            self._expect(slot)
            return Lost(worker, message["lost"])
        if message["number"] != slot.number:
            return None
        return Answer(worker, message.get("metrics"), message.get("error"))

    def _let_sit_out(self, worker: int, reason: str) -> Lost | None:
        """Give up a rank, which stays connected to hear when all stop."""
        slot = self._slots[worker]
        was_ready, slot.ready, slot.given_up = slot.ready, False, True
        self._reason = f"the last one gave up: {reason}"
        if was_ready:
            return Lost(worker, reason)
        logger.warning("worker %d sits out: %s", worker, reason)
        return None

    def _end(self, worker: int, reason: str, failed_start: bool) -> Lost | None:
        """End a worker's process and plan the next one."""
        slot = self._slots[worker]
        was_ready, slot.ready = slot.ready, False
        if slot.connection is not None:
            slot.connection.close()
            slot.connection = None
        slot.remote.kill()
        slot.failed_starts += failed_start
        if not slot.served and slot.failed_starts >= MAX_FAILED_STARTS:
            slot.given_up = True
        pause = min(FIRST_PAUSE * 2 ** min(slot.failed_starts, 20), LONGEST_PAUSE)
        slot.start_at = time.monotonic() + (pause if failed_start else 0.0)
        if not was_ready:
            self._reason = f"the last one could not start: {reason}"
            what = "is given up" if slot.given_up else "is tried again"
            logger.warning("worker %d could not start (%s) and %s", worker, reason, what)
            return None
        self._reason = f"the last one was lost: {reason}"
        return Lost(worker, reason)
