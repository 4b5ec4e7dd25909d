"""Checksums of a history's rows: SQLite writes them with every change, opening compares them.

A flipped bit in a score or a choice can leave a database that SQLite and JSON accept.
"""

import json
import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import fields

from detnas.search.history.records import Evaluation

COLUMNS: Mapping[str, Sequence[str]] = {
    "meta": ("key", "value"),
    "evaluations": tuple(field.name for field in fields(Evaluation)),
}
"""The columns that a row's checksum covers, by table."""


def row_checksum(*values: object) -> int:
    """CRC-32 of the values of a row, in the order of `COLUMNS`."""
    return zlib.crc32(json.dumps(values, default=repr).encode())


def register(connection: sqlite3.Connection) -> None:
    """Make `row_checksum` a function of the connection's SQL."""
    connection.create_function("row_checksum", -1, row_checksum, deterministic=True)


def seal_on_write(connection: sqlite3.Connection) -> None:
    """Give each row that the connection writes from now on its checksum, in its transaction."""
    for table, columns in COLUMNS.items():
        new = ", ".join(f"NEW.{name}" for name in columns)
        for event in ("INSERT", f"UPDATE OF {', '.join(columns)}"):
            connection.execute(
                f"CREATE TEMP TRIGGER seal_{table}_{event[:6]} AFTER {event} ON main.{table} BEGIN "
                f"UPDATE {table} SET checksum = row_checksum({new}) WHERE rowid = NEW.rowid; END"
            )


def broken_row(connection: sqlite3.Connection) -> str | None:
    """A row that differs from its checksum, as "row 7 of evaluations"; None if there is none."""
    for table, columns in COLUMNS.items():
        found = connection.execute(
            f"SELECT rowid FROM {table} "
            f"WHERE checksum IS NOT row_checksum({', '.join(columns)}) LIMIT 1"
        ).fetchone()
        if found is not None:
            return f"row {found[0]} of {table}"
    return None
