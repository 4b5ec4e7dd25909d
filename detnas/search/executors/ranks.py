"""Workers as the ranks of one job that torchrun or srun started: rank 0 coordinates, all evaluate.

Every rank, the first one too, evaluates in a process of its own: outside of the process group, in
whose collectives a lone evaluation would wait, and where one that ends or hangs can be replaced.
The other ranks connect to rank 0 and pass messages on. A rank that ends itself cannot be started
from here: where the launcher then ends all, the search goes on with `--resume` (dist_search.sh does
so by itself).
"""

import os
import pickle
import secrets
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, answer_challenge, deliver_challenge
from typing import Any, Self

from mmengine.dist import broadcast_object_list, get_world_size

from detnas.search.executors.base import ExecutorError, MakeEvaluate
from detnas.search.executors.connections import MAX_FAILED_STARTS, ConnectionPool, Remote
from detnas.search.executors.pool import Answer, Ready
from detnas.search.executors.processes import ProcessWorker
from detnas.search.executors.serve import COORDINATOR_ENDED, receive, send

JOIN_SECONDS = 300.0  # for the other ranks to connect, which they do at once
HANDSHAKE_SECONDS = 10.0
PASS_ON_SECONDS = 0.05  # at most, until a rank sees what rank 0 has sent


@dataclass(frozen=True)
class Invitation:
    """What rank 0 sends to the others: where it listens, its key, and how to build the scorer."""

    address: tuple[str, int]
    key: bytes
    payload: bytes
    start_timeout: float


class RankWorker:
    """Another rank, once it has connected; see `connections.Remote`."""

    starts = MAX_FAILED_STARTS + 1

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._started = False

    def start(self) -> Connection | None:
        """The connection, once."""
        if self._started:
            return None
        self._started = True
        return self._connection

    def renew(self) -> bool:
        """Have the rank replace its process."""
        with suppress(OSError):
            send(self._connection, {"renew": True})
        return True

    def ended(self) -> str | None:
        """A rank's end shows in its connection only."""
        return None

    def kill(self) -> None:
        """Closing its connection ends it."""

    def join(self, seconds: float) -> None:
        """It is the launcher's to wait for."""


class RankPool(ConnectionPool):
    """Rank 0's side, entered while the others are in `serve_rank`.

    Args:
        make_evaluate: builds the scorer in each rank.
        gpu: the device of this rank's evaluations, as `ProcessWorker` takes it.
        start_timeout: as `ConnectionPool`.
    """

    def __init__(self, make_evaluate: MakeEvaluate, gpu: int | None, start_timeout: float) -> None:
        self._make_evaluate = make_evaluate
        own: list[Remote] = [ProcessWorker(make_evaluate, gpu)]
        super().__init__(own, start_timeout)

    def __enter__(self) -> Self:
        several_machines = os.environ.get("LOCAL_WORLD_SIZE") != os.environ.get("WORLD_SIZE")
        listening = socket.create_server(("" if several_machines else "127.0.0.1", 0))
        host = os.environ.get("MASTER_ADDR", "") if several_machines else "127.0.0.1"
        key = secrets.token_bytes(32)
        payload = pickle.dumps(self._make_evaluate)
        port = listening.getsockname()[1]
        invite(Invitation((host, port), key, payload, self._start_timeout))
        with listening:
            self.add([RankWorker(c) for c in _accept(listening, key, get_world_size() - 1)])
        return super().__enter__()


def invite(invitation: Invitation | None) -> None:
    """Let the other ranks go on from `serve_rank`; None says that there is no search to serve."""
    broadcast_object_list([invitation])


def serve_rank(gpu: int | None = None) -> None:
    """The other ranks' side of a search: evaluate until rank 0 has done.

    Args:
        gpu: as `ProcessWorker` takes it.

    Raises:
        SystemExit: rank 0 has failed; it says why.
    """
    message: list[Any] = [None]
    broadcast_object_list(message)
    invitation: Invitation | None = message[0]
    if invitation is None:
        raise SystemExit(1)
    with Client(invitation.address, authkey=invitation.key) as coordinator:
        _keep_alive(coordinator)
        worker = ProcessWorker(pickle.loads(invitation.payload), gpu)  # rank 0 is ours
        pool = ConnectionPool([worker], invitation.start_timeout)
        try:
            with pool:
                _pass_on(coordinator, pool)
        except ExecutorError as error:
            _sit_out(coordinator, str(error))
        except (EOFError, OSError):
            raise SystemExit(COORDINATOR_ENDED) from None


def _pass_on(coordinator: Connection, pool: ConnectionPool) -> None:
    """Between rank 0 and the one worker of a pool, until told to stop."""
    number = 0
    while True:
        while coordinator.poll():
            message = receive(coordinator)
            if "stop" in message:
                return
            if "renew" in message:
                pool.replace(0)
            elif pool.is_ready(0):
                number = message["number"]
                pool.send(0, message["choices"])
            else:
                send(coordinator, {"lost": "its process had ended"})
        for event in pool.wait(PASS_ON_SECONDS):
            if isinstance(event, Ready):
                send(coordinator, {"ready": event.name, "notes": list(event.notes)})
            elif isinstance(event, Answer):
                said = {"metrics": event.metrics, "error": event.error}
                said = {key: value for key, value in said.items() if value is not None}
                send(coordinator, {**said, "number": number})
            else:
                send(coordinator, {"lost": event.reason})


def _sit_out(coordinator: Connection, reason: str) -> None:
    """Let the others search on: a rank that ended would take them along."""
    with suppress(EOFError, OSError):
        send(coordinator, {"refused": reason})
    while "stop" not in receive(coordinator):
        pass


def _accept(listening: socket.socket, key: bytes, count: int) -> Sequence[Connection]:
    listening.settimeout(JOIN_SECONDS)
    accepted: list[Connection] = []
    while len(accepted) < count:
        peer, _ = listening.accept()
        connection = Connection(peer.detach())
        if not _knows(connection, key):  # a stranger
            connection.close()
            continue
        _keep_alive(connection)
        accepted.append(connection)
    return accepted


def _knows(connection: Connection, key: bytes) -> bool:
    """Whether who has connected has the key; one who says nothing for a while has not."""
    known: list[bool] = []

    def ask() -> None:
        with suppress(AuthenticationError, EOFError, OSError):
            deliver_challenge(connection, key)
            answer_challenge(connection, key)
            known.append(True)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(HANDSHAKE_SECONDS)
    return bool(known)


def _keep_alive(connection: Connection) -> None:
    """Have the system see the end of a machine that cannot say so, within some minutes."""
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            same.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
            same.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
            same.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 8)
