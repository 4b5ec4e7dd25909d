"""What a worker does in its process: answers candidates with metrics.

Messages are JSON, never pickles. To the worker: {"choices": [...], "number": n} or {"stop": true}.
From it, first {"ready": name, "notes": [...]}, {"refused": reason} or {"broken": reason}; then, for
each candidate, {"metrics": {...}, "number": n} or {"error": "Type: message", "number": n}. Ranks
that pass messages on are also told {"renew": true}, and say {"lost": reason}; see `ranks`.
"""

import json
import os
import socket
import sys
import threading
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from detnas.errors import UserError
from detnas.search.executors.base import (
    Evaluate,
    MakeEvaluate,
    describe,
    spoils_the_process,
)
from search_space.architecture import Choices

# Exit statuses of a worker: its coordinator left it in mid-work; its device is of no more use.
COORDINATOR_ENDED, SPOILT = 3, 4


def send(connection: Connection, message: dict[str, Any]) -> None:
    """Send a message; OSError where nobody is there to read it."""
    connection.send_bytes(json.dumps(message).encode())


def receive(connection: Connection) -> dict[str, Any]:
    """The next message; EOFError or OSError where the other side has ended."""
    return dict(json.loads(connection.recv_bytes()))


def worker_name() -> str:
    """Where a worker is, as the history records it: "host:pid"."""
    return f"{socket.gethostname()}:{os.getpid()}"


def serve(connection: Connection, make_evaluate: MakeEvaluate) -> bool:
    """Evaluate what comes until told to stop.

    A coordinator that ends without a word, by SIGKILL say, or gives this worker up, ends this
    process at once, whatever it does: a thread waits for that.

    Returns:
        Whether it served; False where the scorer could not be built, which the coordinator says.
    """
    asked: SimpleQueue[dict[str, Any]] = SimpleQueue()
    threading.Thread(target=_read, args=(connection, asked), daemon=True).start()
    evaluate, message = build(make_evaluate)
    _reply(connection, message)
    if evaluate is None:
        return False
    while "stop" not in (message := asked.get()):
        said = answer(evaluate, tuple(message["choices"]))
        _reply(connection, {**said, "number": message["number"]})
    return True


def build(make_evaluate: MakeEvaluate) -> tuple[Evaluate | None, dict[str, Any]]:
    """The scorer and the message that it is ready; None and why not."""
    try:
        evaluate = make_evaluate()
    except Exception as error:
        kind = "refused" if isinstance(error, UserError) else "broken"
        return None, {kind: describe(error)}
    return evaluate, {"ready": worker_name(), "notes": list(getattr(evaluate, "notes", ()))}


def answer(evaluate: Evaluate, choices: Choices) -> dict[str, Any]:
    """The message that answers a candidate; ends a process whose device it has spoilt."""
    try:
        return {"metrics": dict(evaluate(choices))}
    except Exception as error:  # any error of a candidate is a result of the search
        if spoils_the_process(error):
            print(f"worker {worker_name()}: {describe(error)}", file=sys.stderr, flush=True)
            os._exit(SPOILT)  # the coordinator starts another
        return {"error": describe(error)}


def _reply(connection: Connection, message: dict[str, Any]) -> None:
    try:
        send(connection, message)
    except OSError:
        os._exit(COORDINATOR_ENDED)


def _read(connection: Connection, asked: "SimpleQueue[dict[str, Any]]") -> None:
    try:
        while True:
            message = receive(connection)
            asked.put(message)
            if "stop" in message:
                return
    except (EOFError, OSError):
        os._exit(COORDINATOR_ENDED)
