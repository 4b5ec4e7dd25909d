"""The file of a table: a CSV whose first line is "# " and a JSON object.

The object holds the space, the input size of the MACs, and what is known of the scores. The columns
are choices, group, macs, params, then the scores.
"""

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from detnas.errors import UserError, user_input
from detnas.fidelity.table import COST_COLUMNS, FIXED_COLUMNS, Table
from detnas.files import write_text
from search_space.architecture import Architecture, Choices, choices_from_text, choices_to_text
from search_space.cost import InputSize, computed_tables
from search_space.documents import require_format
from search_space.errors import SpaceError
from search_space.spaces import SearchSpace, parse_space
from search_space.validation import convert

FOLDER, FILE_NAME = "fidelity", "table.csv"
"""Where `detnas fidelity` writes the table, below the experiment's work directory."""

FORMAT = "detnas-fidelity-table"
VERSION = 1


class _Header(Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    version: int
    space: dict[str, Any]
    input_size: InputSize
    about: dict[str, Any] = msgspec.field(default_factory=dict)


def write_table(table: Table, path: Path | str) -> None:
    """Write the file, whole or not at all; scores have 6 decimals."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "space": table.space.to_dict(),
        "input_size": list(table.input_size),
        "about": dict(table.about),
    }
    text = io.StringIO()
    text.write(f"# {json.dumps(header)}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*FIXED_COLUMNS, *table.scores])
    costs = [table.costs[name].tolist() for name in COST_COLUMNS]
    for row, choices in enumerate(table.architectures):
        scores = (column[row] for column in table.scores.values())
        writer.writerow(
            [
                choices_to_text(choices),
                table.groups[row],
                *(column[row] for column in costs),
                *("" if score is None else f"{score:.6f}" for score in scores),
            ]
        )
    write_text(path, text.getvalue())


def read_table(path: Path | str) -> Table:
    """Read the file.

    Raises:
        UserError: it does not exist, or a value is invalid; the message names the file and, where
            there is one, the line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such table") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    first, _, rest = text.partition("\n")
    header, space = _read_header(f"{path}, line 1", first)
    lines = _numbered(path, rest)
    _, titles = next(lines, (2, []))
    if tuple(titles[: len(FIXED_COLUMNS)]) != FIXED_COLUMNS or len({*titles}) < len(titles):
        raise UserError(
            f"{path}, line 2: must name the columns {', '.join(FIXED_COLUMNS)}, then different "
            "columns of scores"
        )
    rows: dict[Choices, tuple[str, list[float | None]]] = {}
    for line, values in lines:
        where = f"{path}, line {line}"
        choices, group, scores = _read_row(where, space, titles, values, header.input_size)
        if choices in rows:
            raise UserError(f"{where}: the choices {values[0]} occur twice; remove one of the rows")
        rows[choices] = (group, scores)
    names = titles[len(FIXED_COLUMNS) :]
    columns = {
        name: tuple(scores[place] for _, scores in rows.values())
        for place, name in enumerate(names)
    }
    groups = tuple(group for group, _ in rows.values())
    try:
        return Table(space, tuple(rows), groups, columns, header.input_size, header.about)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _read_header(where: str, line: str) -> tuple[_Header, SearchSpace]:
    with user_input(where):
        try:
            data = json.loads(line.removeprefix("#"))
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where}: must be '# ' and a JSON object ({error})") from None
        require_format(data, "table", FORMAT, VERSION)
        header = convert(data, _Header)
        space = parse_space(header.space)
        computed_tables(space, header.input_size)  # refuses an invalid size
        return header, space


def _numbered(path: Path | str, text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file, each with its line in a file that has one line before them."""
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        for values in reader:
            yield reader.line_num + 1, values
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num + 1}: not a CSV row ({error})") from None


def _read_row(
    where: str, space: SearchSpace, titles: Sequence[str], values: list[str], size: InputSize
) -> tuple[Choices, str, list[float | None]]:
    """Choices, group and scores of a row; its costs are compared with those of its choices."""
    if len(values) != len(titles):
        raise UserError(f"{where}: {len(values)} values for {len(titles)} columns")
    text, group, *numbers = values
    try:
        choices = Architecture(space, choices_from_text(text)).choices
    except SpaceError as error:
        raise UserError(f"{where}: {error}") from None
    except ValueError:
        raise UserError(f"{where}: choices {text!r} must look like '2,1,0'") from None
    read = [_number(where, *each) for each in zip(titles[2:], numbers, strict=True)]
    stated, scores = read[: len(COST_COLUMNS)], read[len(COST_COLUMNS) :]
    computed = [table.of(choices) for table in computed_tables(space, size)]
    for name, value, cost in zip(COST_COLUMNS, stated, computed, strict=True):
        if value != cost:
            raise UserError(f"{where}: the file says {value} {name}, the choices have {cost}")
    return choices, group, scores


def _number(where: str, name: str, text: str) -> float | None:
    try:
        value = float(text) if text else None
    except ValueError:
        value = math.nan
    if value is not None and not math.isfinite(value):
        raise UserError(f"{where}: {name} is {text!r}, must be a number or empty")
    return value
