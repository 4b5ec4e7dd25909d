"""What a worker does, wherever it runs: builds the scorer, then scores candidates.

Imports no torch, so that a worker can choose its device before anything does.
"""

import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from detnas.errors import UserError
from detnas.search.executors.base import Evaluate, Job, MakeEvaluate, describe, spoils_the_process

NAME = "detnas-worker"  # of the processes of a search

SPOILT = 4  # exit status of a worker whose device can no longer be used
UNGUARDED = 5  # exit status of a worker that meets the search while it imports the script
UNGUARDED_REASON = (
    "a worker process imports this script and meets the search again: make the call under "
    '`if __name__ == "__main__":`'
)


@dataclass(frozen=True)
class Started:
    """The worker can take candidates; `name` is "host:pid", `notes` are for the user to read."""

    name: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class NotStarted:
    """The scorer could not be built; `refused` where another try would fail as well."""

    reason: str
    refused: bool


@dataclass(frozen=True)
class Outcome:
    """Metrics of a candidate, or the error ("Type: message") that its evaluation raised."""

    metrics: Mapping[str, float] | None = None
    error: str = ""


def build_scorer(make_evaluate: MakeEvaluate) -> tuple[Evaluate | None, Started | NotStarted]:
    """The scorer and the message that the worker is ready; None and why it is not."""
    try:
        evaluate = make_evaluate()
    except Exception as error:
        return None, NotStarted(describe(error), refused=isinstance(error, UserError))
    return evaluate, Started(worker_name(), tuple(getattr(evaluate, "notes", ())))


def score(evaluate: Evaluate, job: Job) -> Outcome:
    """Evaluate a candidate. Ends the process if the evaluation has made its device unusable."""
    try:
        return Outcome(dict(job.evaluated_by(evaluate)))
    except Exception as error:  # any error of a candidate is a result of the search
        if spoils_the_process(error):
            print(f"worker {worker_name()}: {describe(error)}", file=sys.stderr, flush=True)
            os._exit(SPOILT)  # the coordinator starts another worker
        return Outcome(error=describe(error))


def worker_name() -> str:
    """Where a worker is, as the history records it: "host:pid"."""
    return f"{socket.gethostname()}:{os.getpid()}"
