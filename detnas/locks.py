"""Locks that admit one writer to a file or a folder."""

import fcntl
import os
import re
import socket
import time
from pathlib import Path
from typing import IO

from detnas.errors import UserError
from detnas.files import remove_half_written

ORPHANS_SECONDS = 15.0


def lock_writer(lock_file: Path, what: Path, writer: str) -> IO[str]:
    """Take a lock until the returned file is closed or the process ends.

    Forked children share the lock, and data loader workers outlive a killed parent by seconds. If
    the process named in the lock file has ended, this function waits for them. What it left half
    written in the lock's folder is removed.

    Args:
        lock_file: made if it does not exist, and left behind.
        what: is locked; named in the error.
        writer: such as "search".
    Raises:
        UserError: another one holds the lock.
    """
    lock = lock_file.open("a+")
    deadline = time.monotonic() + ORPHANS_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
            if _is_gone(holder) and time.monotonic() < deadline:
                time.sleep(0.2)
                continue
            lock.close()
            raise UserError(
                f"{what} is in use by another {writer} ({holder}); wait for it or stop it"
            ) from None
    lock.truncate(0)
    lock.write(f"process {os.getpid()} on {socket.gethostname()} since {time.ctime()}")
    lock.flush()
    remove_half_written(lock_file.parent)
    return lock


def is_written(folder: Path) -> bool | None:
    """Whether a process writes into a folder, by the lock files in it.

    It takes no lock, so that it disturbs no writer.

    Returns:
        None if that is not known: the locks are of another machine.
    """
    states = {_is_held(lock) for lock in folder.glob("*.lock")}
    return True if True in states else None if None in states else False


def _is_held(lock_file: Path) -> bool | None:
    match = re.match(r"process \d+ on (\S+) ", lock_file.read_text(errors="replace"))
    held = Path("/proc/locks")
    is_elsewhere = match is not None and match[1] != socket.gethostname()
    if is_elsewhere or not held.is_file():
        return None
    inode = f":{lock_file.stat().st_ino}"
    locks = (line.split() for line in held.read_text().splitlines())
    return any("FLOCK" in fields and fields[5].endswith(inode) for fields in locks)


def _is_gone(holder: str) -> bool:
    """Whether the process named in a lock file has ended on this machine."""
    match = re.match(r"process (\d+) on (\S+) ", holder)
    if match is None or match[2] != socket.gethostname():
        return False
    return not Path(f"/proc/{match[1]}").exists() and Path("/proc").is_dir()
