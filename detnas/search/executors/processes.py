"""Workers as processes of this machine, one a GPU or several on its CPUs.

They are spawned, not forked: neither CUDA nor torch's threads survive a fork.
"""

import logging
import multiprocessing
import os
import pickle
import signal
from multiprocessing.connection import Connection

from detnas.search.executors.base import MakeEvaluate
from detnas.search.executors.serve import serve

logger = logging.getLogger(__name__)

KILL_SECONDS = 3.0  # a process that hangs in a driver or on a dead share outlives SIGKILL

# A launcher's variables, by which libraries choose devices and log files; no rank evaluates here.
LAUNCHER = ("RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")


class ProcessWorker:
    """A worker in a process of its own; see `connections.Remote`.

    Args:
        make_evaluate: builds the scorer there.
        gpu: index among the devices that this process sees; None leaves them all visible.
    """

    starts = 1

    def __init__(self, make_evaluate: MakeEvaluate, gpu: int | None = None) -> None:
        self._payload = pickle.dumps(make_evaluate)
        self._gpu = gpu
        self._context = multiprocessing.get_context("spawn")
        self._process: multiprocessing.process.BaseProcess | None = None

    def start(self) -> Connection:
        """See `Remote.start`."""
        ours, theirs = self._context.Pipe()
        # Not a daemon: those may not have children, and data loaders do.
        self._process = self._context.Process(
            target=_main, args=(theirs, self._payload, _visible_device(self._gpu))
        )
        self._process.start()
        theirs.close()
        return ours

    def renew(self) -> bool:
        """See `Remote.renew`."""
        return False

    def ended(self) -> str | None:
        """See `Remote.ended`."""
        if self._process is None or self._process.exitcode is None:
            return None
        code = self._process.exitcode
        return f"killed by signal {-code}" if code < 0 else f"exit status {code}"

    def kill(self) -> None:
        """See `Remote.kill`."""
        if self._process is None or not self._process.is_alive():
            return
        self._process.kill()
        self._process.join(KILL_SECONDS)
        if self._process.is_alive():
            logger.warning("process %s does not end, and is left behind", self._process.pid)
            # Else this process could not end before it does.
            multiprocessing.process._children.discard(self._process)  # type: ignore[attr-defined]

    def join(self, seconds: float) -> None:
        """See `Remote.join`."""
        if self._process is not None:
            self._process.join(seconds)


def _visible_device(index: int | None) -> str | None:
    """What CUDA_VISIBLE_DEVICES must be for a process to see only the `index`-th device of ours."""
    if index is None:
        return None
    ours = os.environ.get("CUDA_VISIBLE_DEVICES")
    return ours.split(",")[index].strip() if ours else str(index)


def _main(connection: Connection, payload: bytes, device: str | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the coordinator's to handle
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for name in LAUNCHER:
        os.environ.pop(name, None)
    # Threads of several workers on the same CPUs do not spin while they wait for each other.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if device is not None:  # before anything imports torch
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    make_evaluate: MakeEvaluate = pickle.loads(payload)  # from our own parent
    serve(connection, make_evaluate)
