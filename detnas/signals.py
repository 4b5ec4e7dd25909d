"""Handlers of signals in this process that the processes it forks do not inherit.

A forked process that keeps a handler may never end: multiprocessing's pools, of which mmdet's VOC
metric makes one for every evaluation, end their workers by SIGTERM and wait for them.
"""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]

_in_forked: dict[int, tuple[Handler, signal.Handlers]] = {}
_blocked = threading.local()


def handle(
    number: int, handler: Handler, in_forked: signal.Handlers = signal.Handlers.SIG_DFL
) -> Callable[[], None]:
    """Handle a signal in this process alone.

    Args:
        number: of the signal.
        handler: see `signal.signal`.
        in_forked: what a forked process does instead.
    Returns:
        What puts the handler before it back.
    """
    before = signal.getsignal(number), _in_forked.get(number)
    signal.signal(number, handler)
    _in_forked[number] = (handler, in_forked)

    def put_back() -> None:
        signal.signal(number, before[0])
        del _in_forked[number]
        if before[1] is not None:
            _in_forked[number] = before[1]

    return put_back


def _before_fork() -> None:
    """Hold signals back: one that came to the new process before `_in_child` would be lost."""
    _blocked.before = signal.pthread_sigmask(signal.SIG_BLOCK, _in_forked)


def _after_fork() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _blocked.before)


def _in_child() -> None:
    for number, (handler, instead) in _in_forked.items():
        if signal.getsignal(number) is handler:
            signal.signal(number, instead)
    _after_fork()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
