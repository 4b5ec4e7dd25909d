"""Writes a checkpoint when a training is told to stop, so that Ctrl-C or SIGTERM loses nothing."""

import mmap
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.registry import HOOKS
from torch import distributed

from detnas.signals import Handler, handle

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


_of_workers: dict[int, Handler] = {}
"""What loaders' workers do on signals, while a training catches these."""


def initialise_worker(initialise: Callable[[int], None] | None, worker: int) -> None:
    """Initialise a loader's worker, which the iteration that a signal lets end still needs.

    torch's own handlers end it at SIGTERM, which launchers send to all processes.
    """
    if initialise is not None:
        initialise(worker)
    for number, handler in _of_workers.items():
        signal.signal(number, handler)


@HOOKS.register_module()
class InterruptionHook(Hook):
    """Ends the training after one more iteration and its checkpoint once a signal has come.

    Inside `catching`, the first of SIGINT, SIGTERM and SIGHUP is remembered; a second one has its
    usual effect. All processes of a distributed run stop at the same iteration: the first one
    decides. Signals that the program ignores or leaves to the system are left alone, as are loops
    by epochs, which cannot resume within one.
    """

    priority = "LOWEST"  # after the checkpoint of the same iteration

    def __init__(self) -> None:
        self._asked = self._stopping = False
        self._group: Any = None

    @contextmanager
    def catching(self) -> Iterator[None]:
        """Catch signals within this block; in it, workers of loaders ignore them.

        Other processes that are forked in it end at SIGTERM, by which pools end their workers, and
        ignore the others, which a terminal sends to them as to this process.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        training = mmap.mmap(-1, 1)  # forked workers see when it ends
        training[0] = 1
        put_back: list[Callable[[], None]] = []

        def restore() -> None:
            while put_back:
                put_back.pop()()

        def on_signal(number: int, _: FrameType | None) -> None:
            self._asked = True
            restore()
            if is_main_process():
                again = "again to stop at once"
                print(
                    f"stopping after one more iteration and a checkpoint ({again})", file=sys.stderr
                )

        def in_worker(number: int, _: FrameType | None) -> None:
            if not training[0]:
                os._exit(0)

        for number in SIGNALS:
            # What this program ignores or leaves to the system is left alone.
            if callable(signal.getsignal(number)):
                end = (
                    signal.Handlers.SIG_DFL if number == signal.SIGTERM else signal.Handlers.SIG_IGN
                )
                put_back.append(handle(number, on_signal, in_forked=end))
                _of_workers[number] = in_worker
        try:
            yield
        finally:
            training[0] = 0
            _of_workers.clear()
            restore()

    def before_train(self, runner: Any) -> None:
        """Join the processes on their CPUs, so that agreeing does not wait for a GPU."""
        if runner.world_size > 1:
            self._group = distributed.new_group(backend="gloo")

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Ask for a checkpoint of this iteration if the training is to stop."""
        self._stopping = self._agreed()
        if not self._stopping:
            return
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook):
                if hook.by_epoch:
                    raise KeyboardInterrupt
                hook.interval = 1

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Stop, unless this was the last iteration."""
        if self._stopping and runner.iter + 1 < runner.max_iters:
            raise KeyboardInterrupt

    def _agreed(self) -> bool:
        if self._group is None:
            return self._asked
        asked = torch.tensor([int(self._asked)])
        distributed.broadcast(asked, src=0, group=self._group)
        return bool(asked)
