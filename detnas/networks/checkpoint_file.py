"""A checkpoint's file: written whole or not at all, and compared with its checksums when read."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import torch

from detnas.errors import UserError
from detnas.files import replacing

_ZIP_START = b"PK\x03\x04"
_PICKLE_START = b"\x80"  # files of torch before 1.6
_NAMED = re.compile(r"GLOBAL ([\w.]+)|looks up attribute (.+)")


def write_checkpoint(content: Mapping[str, Any], path: Path | str) -> None:
    """Save by `torch.save`, and flush to the disk before the file gets its name.

    Raises:
        OSError: the disk is full, say; it names the file. Torch's own writer raises a RuntimeError.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save(content, file)


def check_whole(path: Path) -> None:
    """Compare the checksums of all that a file of `torch.save` holds: torch does not.

    Files of torch before 1.6 have no checksums; what `torch.load` makes of them is all there is.

    Raises:
        UserError: a checksum is wrong, the archive is damaged, or it is compressed, as torch's
            never are: a small file could fill the memory.
    """
    with path.open("rb") as file:
        if file.read(len(_ZIP_START)) != _ZIP_START:
            return
    compressed: list[str] = []
    problem = None
    try:
        with ZipFile(path) as archive:
            compressed = [m.filename for m in archive.infolist() if m.compress_type != ZIP_STORED]
            if not compressed and (damaged := archive.testzip()) is not None:
                problem = f"the checksum of {damaged} is wrong"
    except Exception as error:  # zipfile raises errors of many types for damaged archives
        problem = str(error) or repr(error)
    if compressed:
        raise UserError(
            f"checkpoint {path} is compressed ({compressed[0]}), which torch's own are not; it is "
            "not loaded"
        )
    if problem is not None:
        raise UserError(f"checkpoint {path} is damaged; it is not loaded: {problem}")


def why_not_loaded(path: Path, error: Exception) -> str:
    """What is wrong with a file that `torch.load` has refused, to be said after its name.

    Torch's own message is not repeated: it advises to load the file without protection.
    """
    with path.open("rb") as file:
        start = file.read(len(_ZIP_START))
    if not start:
        return "is damaged: it is empty"
    if start != _ZIP_START and not start.startswith(_PICKLE_START):
        return "is damaged, or is not a checkpoint: it does not begin as files of torch.save do"
    if named := _NAMED.search(str(error)):
        return (
            "contains more than weights and plain data; it is not loaded: it names "
            f"{(named[1] or named[2])[:200]}, which could run code of its author"
        )
    if "TorchScript" in str(error):
        return "is a TorchScript archive, not a checkpoint; it is not loaded"
    return "is damaged, or is not a checkpoint of torch; it is not loaded"
