"""Safe writing of a history: SQLite's journal mode, and a lock that admits one writer."""

import logging
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import IO

from detnas.locks import lock_writer

logger = logging.getLogger(__name__)

NETWORK_FILESYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "9p"}
    | {"fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.juicefs", "afs", "orangefs"}
)
"""Filesystems on which the write-ahead log is not safe: machines share no memory."""


def enable_wal(connection: sqlite3.Connection, path: Path) -> None:
    """Use the write-ahead log if the filesystem allows it, else the rollback journal, and log that.

    Both modes sync every transaction to the disk.
    """
    connection.execute("PRAGMA synchronous = FULL")
    if filesystem_of(path) in NETWORK_FILESYSTEMS:  # SQLite does not detect the failure
        _use_journal(connection, path)
        return
    # Without shared memory SQLite either keeps the old mode or reports a locking error.
    with suppress(sqlite3.OperationalError):
        if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] == "wal":
            return
    _use_journal(connection, path)


def _use_journal(connection: sqlite3.Connection, path: Path) -> None:
    mode = connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
    logger.warning(
        "%s: no write-ahead log on this filesystem, using the rollback journal (%s)", path, mode
    )


def filesystem_of(path: Path) -> str:
    """The type of the filesystem of a path, such as "ext4"; "" if it is not known."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    absolute = path.resolve()
    found, deepest = "", 0
    for line in mounts:
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4].replace("\\040", " "))
        if absolute.is_relative_to(point) and len(point.parts) >= deepest:
            found, deepest = after.split()[0], len(point.parts)
    return found


def leave_wal(connection: sqlite3.Connection) -> None:
    """Merge the write-ahead log into the history, so that users can copy it as one file."""
    connection.execute("PRAGMA busy_timeout = 0")
    with suppress(sqlite3.OperationalError):  # while a reader is open, the log stays and is valid
        connection.execute("PRAGMA journal_mode = DELETE")


def lock_history(path: Path) -> IO[str]:
    """Lock a history, whether it exists or not; see `lock_writer`."""
    return lock_writer(Path(f"{path}.lock"), path, "search")
