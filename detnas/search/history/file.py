"""The history's SQLite file: created atomically, checked when opened, upgraded, backed up."""

import json
import logging
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from detnas.errors import UserError
from detnas.files import replacing
from detnas.search.history.checksums import COLUMNS, broken_row, register, seal_on_write
from detnas.search.history.records import read_rows, recorded_fingerprint

logger = logging.getLogger(__name__)

FILE_NAME = "history.db"
"""Name of the history in the work directory of a search."""

APPLICATION_ID = 0x44654E41  # "DeNA"
SCHEMA_VERSION = 4
SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER);
CREATE TABLE evaluations (
    id INTEGER PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('search', 'random')),
    generation INTEGER NOT NULL,
    position INTEGER NOT NULL,
    choices TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('proposed', 'running', 'done', 'failed', 'dropped')),
    score REAL,
    metrics TEXT NOT NULL DEFAULT '{}',
    costs TEXT NOT NULL,
    error TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    proposed REAL,
    started REAL,
    finished REAL,
    checksum INTEGER,
    UNIQUE (role, generation, position),
    CHECK ((status = 'done') = (score IS NOT NULL)),
    CHECK ((status = 'failed') = (error IS NOT NULL))
);
CREATE UNIQUE INDEX no_candidate_twice ON evaluations (choices) WHERE role = 'search';
"""

FIRST_SEALED = 3
"""The first version whose rows have checksums."""
SCHEMA_3 = SCHEMA.replace(", 'dropped'", "")

_COPIES = " ".join(
    f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns)} FROM old_{table}; "
    f"DROP TABLE old_{table}; "
    f"UPDATE {table} SET checksum = row_checksum({', '.join(columns)});"
    for table, columns in COLUMNS.items()
)
_REBUILT = (
    "DROP INDEX no_candidate_twice; ALTER TABLE meta RENAME TO old_meta; "
    f"ALTER TABLE evaluations RENAME TO old_evaluations; {SCHEMA} {_COPIES}"
)
UPGRADES = {
    1: "ALTER TABLE evaluations ADD COLUMN proposed REAL;",
    2: _REBUILT,  # gave rows their checksums
    3: _REBUILT,  # knew no dropped candidates
}
"""SQL from each older version to the next one; older versions are also read without it."""

SIDE_FILES = ("-wal", "-shm", "-journal")


class DamagedHistoryError(UserError):
    """The history is not a readable database; the message names its backup if there is one."""


class HistoryWriteError(UserError, OSError):
    """The history could not be written (a full disk, say); its earlier contents are safe."""


def backup_path(path: Path) -> Path:
    """The path of a history's backup: history.backup.db beside history.db."""
    return path.with_suffix(f".backup{path.suffix}")


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open a database in SQLite's mode "ro", "rw" or "rwc"; transactions start explicitly."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30)
    connection.row_factory = sqlite3.Row
    register(connection)
    return connection


def create_file(path: Path, meta: Mapping[str, Any]) -> None:
    """Write an empty history to a temporary file and rename it.

    Args:
        path: the file to create; its directory must exist.
        meta: rows of the table `meta`; values are stored as JSON.

    Raises:
        HistoryWriteError: the file cannot be written; no part of it remains.
    """
    # SQLite would replay the log of a deleted history into the new one.
    for suffix in SIDE_FILES:
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    try:
        with replacing(path) as temporary, closing(connect(temporary, "rwc")) as connection:
            connection.executescript(f"BEGIN; {SCHEMA}")
            seal_on_write(connection)
            rows = [(key, json.dumps(value)) for key, value in meta.items()]
            connection.executemany("INSERT INTO meta (key, value) VALUES (?, ?)", rows)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
    except (sqlite3.OperationalError, OSError) as error:
        raise HistoryWriteError(f"{path} cannot be written ({error}); fix that first") from error


def require_history(path: Path) -> None:
    """Raise UserError if there is no file at `path`; it names those that are below its folder."""
    if path.is_file():
        return
    patterns = (f"*/{FILE_NAME}", f"*/*/{FILE_NAME}") if path.name == FILE_NAME else ()
    below = sorted(file for pattern in patterns for file in path.parent.glob(pattern))
    hint = "give the work directory of a search"
    if below:
        hint = f"there are {', '.join(str(each.parent) for each in below[:4])}"
    raise UserError(f"{path}: no such history; {hint}")


def open_checked(path: Path, mode: str) -> sqlite3.Connection:
    """Open an existing history in mode "ro" or "rw"; "rw" upgrades an older version.

    Raises:
        UserError: the file does not exist, or its version is unknown.
        DamagedHistoryError: the file is damaged, or is not a history.
    """
    require_history(path)
    connection = connect(path, mode)
    if mode == "ro" and _must_be_rolled_back(connection):
        connection.close()
        connection = connect(path, "rw")  # SQLite rolls back on opening, under its locks
    try:
        version = _check_integrity(connection, path)
        if mode == "rw":
            _upgrade(connection, path, version)
            seal_on_write(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _must_be_rolled_back(connection: sqlite3.Connection) -> bool:
    """Whether a kill left half a transaction in a rollback journal; mode "ro" cannot undo it."""
    try:
        connection.execute("PRAGMA schema_version")
    except sqlite3.OperationalError as error:
        return "readonly" in str(error)
    except sqlite3.DatabaseError:
        return False
    return False


def _upgrade(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """Upgrade a history to `SCHEMA_VERSION` in one transaction."""
    if version == SCHEMA_VERSION:
        return
    steps = " ".join(UPGRADES[old] for old in range(version, SCHEMA_VERSION))
    try:
        connection.executescript(
            f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT"
        )
    except sqlite3.Error as error:
        raise HistoryWriteError(
            f"{path} has version {version} and cannot be upgraded ({error}); fix that first"
        ) from error
    logger.info("%s: upgraded from version %d to %d", path, version, SCHEMA_VERSION)


def _check_integrity(connection: sqlite3.Connection, path: Path) -> int:
    """Raise an error if the history is damaged; return its version."""
    try:
        problem = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.OperationalError as error:
        raise UserError(f"{path} cannot be opened: {error}") from error
    except sqlite3.DatabaseError as error:
        raise damaged(path, error) from error
    if problem != "ok":
        raise damaged(path, problem)
    if application != APPLICATION_ID:
        raise damaged(path, "it is not the history of a DetNAS search")
    if version != SCHEMA_VERSION and version not in UPGRADES:
        raise UserError(
            f"{path} is a history of version {version}; this program reads versions up to "
            f"{SCHEMA_VERSION}; use the detnas version that wrote it"
        )
    _check_tables(connection, path, version)
    _check_rows(connection, path, version)
    return int(version)


def _check_tables(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """A flipped bit in a table's definition would show only when a row is written."""
    try:
        tables = _tables(connection)
    except sqlite3.Error as error:
        raise damaged(path, error) from error
    if version >= FIRST_SEALED:
        with closing(sqlite3.connect(":memory:")) as expected:
            expected.executescript(SCHEMA if version == SCHEMA_VERSION else SCHEMA_3)
            is_right = tables == _tables(expected)
    else:
        is_right = not any("checksum" in sql for *_, sql in tables)
    if not is_right:
        raise damaged(path, f"its tables are not those of version {version}")


def _tables(connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    rows = connection.execute(
        "SELECT type, name, tbl_name, sql FROM main.sqlite_master "
        "WHERE name NOT GLOB 'sqlite_stat*'"  # of ANALYZE
    )
    return sorted(tuple(str(value) for value in row) for row in rows)


def _check_rows(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """Compare every row with its checksum, and decode it."""
    try:
        broken = broken_row(connection) if version >= FIRST_SEALED else None
        ids = [row.id for row in read_rows(connection)]
        recorded_fingerprint(connection)
    except (sqlite3.Error, ValueError, RecursionError) as error:
        raise damaged(path, f"one of its rows cannot be read: {error}") from error
    if broken:
        raise damaged(path, f"{broken} differs from its checksum")
    if sorted(ids) != list(range(1, len(ids) + 1)):
        raise damaged(path, "rows of its evaluations are missing")


def damaged(path: Path, problem: object) -> DamagedHistoryError:
    """The error for a damaged history; it says how to go on."""
    problem = str(problem).splitlines()[0]
    backup = backup_path(path)
    if not backup.exists():
        return DamagedHistoryError(
            f"{path} is damaged ({problem}) and has no backup; search in another work directory"
        )
    return DamagedHistoryError(
        f"{path} is damaged ({problem}); to resume from the backup of the last finished "
        f"generation, delete {path}* and rename {backup} to {path.name}"
    )


def write_backup(connection: sqlite3.Connection, path: Path) -> None:
    """Copy an open history to its backup, through a temporary file."""
    with (
        replacing(backup_path(path)) as temporary,
        closing(connect(temporary, "rwc")) as target,
    ):
        connection.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")
