"""What mkdocs must know of pages that are written for a code host.

CHANGELOG.md and CONTRIBUTING.md lie beside the folder of the docs, and are pages of the site, too.
What belongs to an item of a list is indented as far as the item's text, where Python-Markdown wants
four spaces, and eight for code.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
BESIDE = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
"""Pages of the site by their files."""

_ITEM = re.compile(r"(?:[-*]|\d+\.) +")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that lie beside the folder."""
    for source, page in BESIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Adapt one page."""
    for source, name in BESIDE.items():
        markdown = markdown.replace(f"](../{source}", f"]({name}")
    if page.file.src_uri in BESIDE.values():
        markdown = markdown.replace("](docs/", "](")
    return _deepened(markdown)


def _deepened(markdown: str) -> str:
    """Indent what belongs to an item of a list as Python-Markdown expects, by four."""
    lines, width, in_code = [], 0, False
    for line in markdown.splitlines():
        if line.startswith("```"):
            in_code = not in_code
        if in_code:
            lines.append(line)
            continue
        if item := _ITEM.match(line):
            width = len(item[0])
        elif line and not line.startswith(" " * max(width, 1)):
            width = 0
        lines.append(" " * (4 - width) + line if width and not item and line else line)
    return "\n".join(lines) + "\n"
