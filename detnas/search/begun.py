"""The history that a search begins or continues in its work directory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detnas.errors import UserError
from detnas.search.executors.base import MissingScoreError
from detnas.search.history.journal import lock_history
from detnas.search.history.reading import SearchHistory


def earlier_history(file: Path, resume: bool) -> SearchHistory | None:
    """The history to continue; None where there is none yet.

    Raises:
        UserError: there is one and `resume` is not set, or another search writes it.
    """
    if not file.exists():
        return None
    if not resume:
        raise UserError(
            f"{file} already exists; resume it with --resume, or search in another work directory"
        )
    lock_history(file).close()  # refuse a second writer before the workers start
    return SearchHistory.read(file)


@contextmanager
def removed_if_unscorable(file: Path) -> Iterator[None]:
    """Remove a new history whose score no metric has: it would block the corrected run."""
    try:
        yield
    except MissingScoreError:
        if not SearchHistory.read(file).scores():
            for part in file.parent.glob(f"{file.name}*"):
                part.unlink(missing_ok=True)
        raise
