"""Evaluates given architectures into a history of their own: resumable, in parallel, growing."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from detnas.search.executors.base import Executor
from detnas.search.history.fingerprint import check_fingerprint, normalised
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import DONE
from detnas.search.history.writer import History
from detnas.search.loop import evaluate_listed
from detnas.search.progress import ProgressCallback
from detnas.search.strategies import Costs
from search_space.architecture import Choices


def evaluate_into(
    file: Path,
    fingerprint: Mapping[str, Any],
    listed: Sequence[Choices],
    make_executor: Callable[[], Executor],
    costs: Costs,
    progress: ProgressCallback | None = None,
) -> SearchHistory:
    """Evaluate those of the architectures that the history has no score of.

    Those that failed are tried again, for the cause may be gone: there is no strategy that has
    learnt from it.

    Args:
        file: the history; it is created if it does not exist.
        fingerprint: all that the scores depend on, as a search records it.
        listed: the architectures; those of earlier runs stay, and interrupted ones are finished.
        make_executor: called only if something is left to evaluate.
        costs: a candidate's costs, recorded with it.
        progress: called after each result.
    Raises:
        UserError: the history was made under another fingerprint, or another process writes it.
        ExecutorError: no worker is left to evaluate on.
    """
    earlier: list[Choices] = []
    if file.is_file():
        history = SearchHistory.read(file)
        check_fingerprint(
            *(file, history.fingerprint, normalised(fingerprint)),
            f"remove {file.parent}, whose scores are then made anew",
        )
        earlier = [row.choices for row in history.baseline]
        if set(listed) <= {row.choices for row in history.baseline if row.status == DONE}:
            return history
    file.parent.mkdir(parents=True, exist_ok=True)
    with make_executor() as executor:  # before there is a history, for workers may be refused
        retrying = partial(History.open, retry_failed=True)
        open_history = retrying if file.is_file() else History.create
        with open_history(file, fingerprint) as writer:
            evaluate_listed(
                list(dict.fromkeys([*earlier, *listed])),
                executor,
                writer,
                costs,
                greater_is_better=bool(fingerprint["greater_is_better"]),
                progress=progress,
            )
    return SearchHistory.read(file)
