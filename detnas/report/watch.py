"""Writes the page again after each change in the folder, while a process writes there."""

import time
from collections.abc import Callable
from pathlib import Path

from detnas.locks import is_written
from detnas.report.folder import REPORT_FILE
from detnas.report.page import write_report

_WATCHED = (".json", ".db", ".db-wal", ".csv", ".png")
Signature = frozenset[tuple[str, int, int]]


def watch_report(
    folder: Path, seconds: float, show: Callable[[str], None], warn: Callable[[str], None]
) -> Path:
    """Write `report.html` now and after each change, until no process writes into the folder.

    The page loads itself again after as many seconds. The last one, also after an interruption,
    does not.

    Args:
        folder: of a search or an experiment.
        seconds: between two looks at the folder.
        show: gets a line for each page that is written.
        warn: as `write_report`, of the last page.
    Returns:
        The page's path.
    Raises:
        UserError: as `write_report`.
    """
    seen: Signature | None = None
    try:
        while _is_written(folder):
            now = _signature(folder)
            if now != seen:
                show(f"written: {write_report(folder, reload=seconds)}")
                seen = now
            time.sleep(seconds)
    except KeyboardInterrupt:
        write_report(folder)
        raise
    return write_report(folder, warn=warn)


def _is_written(folder: Path) -> bool:
    """Whether a process may write into the folder or that of one of its stages."""
    places = (folder, *(each for each in folder.glob("*") if each.is_dir()))
    return any(is_written(place) is not False for place in places)


def _signature(folder: Path) -> Signature:
    """Name, time and size of all files that the page is made from."""
    found = []
    for file in folder.rglob("*"):
        if file.suffix in _WATCHED and file.name != REPORT_FILE:
            try:
                status = file.stat()
            except FileNotFoundError:  # it was temporary
                continue
            found.append((str(file), status.st_mtime_ns, status.st_size))
    return frozenset(found)
