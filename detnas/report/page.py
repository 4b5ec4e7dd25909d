"""One self-contained HTML page on a search, made from what lies in its folder.

The history is what the page tells of, so a search that still runs, or that was stopped, has a page
too. `best_architecture.json`, `summary.json` and `detections.png` are used where they are there.
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
    """Write `report.html` into a search's folder, whole or not at all.

    The page needs no other file and nothing from the network.

    Args:
        folder: holds `history.db`, and what there is of `best_architecture.json`,
            `summary.json` and `detections.png`.

    Returns:
        The page's path.

    Raises:
        ValueError: there is no history, or one of the files is damaged or of another search.
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
