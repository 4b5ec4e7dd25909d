"""Write the reference pages of the docs from the code: every command, config key, name in Python.

python scripts/docs/write_reference.py            # write the pages
python scripts/docs/write_reference.py --check    # list pages that differ; exit status 1 if any do
"""

import argparse
import sys
from pathlib import Path

import command_reference
import config_reference
import python_reference

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {
    "reference_commands.md": command_reference.page,
    "reference_configs.md": config_reference.page,
    "reference_python.md": python_reference.page,
}


def main() -> int:
    """Write or compare the pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; list what differs")
    check = parser.parse_args().check
    differs = False
    for name, page in PAGES.items():
        path, text = DOCS / name, page()
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        differs = True
        print(
            f"docs/{name} {'differs: run scripts/docs/write_reference.py' if check else 'written'}"
        )
        if not check:
            path.write_text(text, encoding="utf-8")
    return 1 if check and differs else 0


if __name__ == "__main__":
    sys.exit(main())
