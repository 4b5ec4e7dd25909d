"""Folders that appear complete or not at all."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detnas.errors import UserError


def refuse_existing(path: Path) -> None:
    """Raise UserError if a path exists and is not an empty folder."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path} exists and is not an empty folder; remove it or name another")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`, and rename it to `path` when the block succeeds.

    When the block raises, the temporary folder is removed.

    Raises:
        UserError: before the block, if `path` exists and is not an empty folder.
    """
    refuse_existing(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as temporary:
        # Only the owner can read a temporary folder; a folder inside it has the usual permissions.
        folder = Path(temporary) / path.name
        folder.mkdir()
        yield folder
        refuse_existing(path)  # another process may have made it meanwhile
        if path.exists():
            path.rmdir()
        folder.rename(path)
