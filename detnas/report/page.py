"""Writes a self-contained HTML page about a search from the files in its folder.

The page reports the history, so the search may still be running or have been stopped.
`best_architecture.json`, `summary.json` and `detections.png` are included if they exist.
"""

from html import escape
from pathlib import Path

from detnas.files import write_text
from detnas.report import sections
from detnas.report.folder import read_folder
from detnas.report.stylesheet import stylesheet

REPORT_FILE = "report.html"
_SECTIONS = (
    sections.header,
    sections.architecture,
    sections.course,
    sections.candidates,
    sections.front,
    sections.generations,
    sections.baseline,
    sections.detections,
    sections.summary,
    sections.failures,
)


def write_report(folder: Path | str) -> Path:
    """Write `report.html` into the folder of a search.

    The page needs no other file and no network access.

    Args:
        folder: contains `history.db`, and optionally `best_architecture.json`, `summary.json` and
            `detections.png`.

    Returns:
        The page's path.

    Raises:
        UserError: there is no history, or one of the files is damaged or of another search.
    """
    read = read_folder(Path(folder))
    body = "\n".join(filter(None, (section(read) for section in _SECTIONS)))
    path = Path(folder) / REPORT_FILE
    write_text(
        path,
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(read.name)} · DetNAS</title>\n"
        f"<style>{stylesheet()}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n",
    )
    return path
