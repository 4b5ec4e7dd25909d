"""Prints a history as a table, CSV or JSON."""

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from detnas.errors import one_line, printable
from detnas.search.history.records import Evaluation, best_of
from search_space.architecture import choices_to_text

PLAIN = ("role", "generation", "position", "choices", "status", "score")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
RECORD = ("error", "attempts", "worker", "proposed", "started", "finished")


def history_json(rows: Sequence[Evaluation]) -> str:
    """A list of objects with the fields of `Evaluation`; scores have full precision.

    Generations count from 1 here and below; that of the random baseline is 0.
    """
    return json.dumps(list(map(_fields, rows)))


def history_csv(rows: Sequence[Evaluation]) -> str:
    """One line per evaluation, with a column for every cost and metric; times in seconds (UTC).

    A metric with the name of another column becomes "metric:NAME".
    """
    costs = list(dict.fromkeys(name for row in rows for name in row.costs))
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
    taken = {*PLAIN, *RECORD, *costs}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    named = [f"metric:{name}" if name in taken else name for name in metrics]
    writer.writerow(map(_cell, [*PLAIN, *costs, *named, *RECORD]))
    for row in rows:
        values = {**_fields(row), "choices": choices_to_text(row.choices)}
        cells = [
            *(values[name] for name in PLAIN),
            *(row.costs.get(name) for name in costs),
            *(row.metrics.get(name) for name in metrics),
            *(values[name] for name in RECORD),
        ]
        writer.writerow(map(_cell, cells))
    return text.getvalue()


def _cell(value: Any) -> Any:
    """Without control characters; what spreadsheets take for a formula begins with a quote."""
    if not isinstance(value, str):
        return value
    return printable(f"'{value}" if value.startswith(_FORMULA_STARTS) else value)


def _fields(row: Evaluation) -> dict[str, Any]:
    return {**asdict(row), "generation": row.number}


def history_table(rows: Sequence[Evaluation], greater_is_better: bool = True) -> str:
    """Aligned columns: position, status, score, seconds, cost and choices, and the error if any.

    The last line has the counts and the best candidate.
    """
    cost = next(iter(rows[0].costs)) if rows else "macs"
    head = f"{'role':<7}{'gen':>4}{'pos':>5}  {'status':<9}{'score':>10}{'seconds':>9}{cost:>15}"
    return "\n".join(
        [f"{head}  choices", *(_line(row, cost) for row in rows), _summary(rows, greater_is_better)]
    )


def _summary(rows: Sequence[Evaluation], greater_is_better: bool) -> str:
    counts = Counter(row.status for row in rows)
    counted = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    best = best_of(rows, greater_is_better)
    shown = f"; best {best.score:.5f}: {choices_to_text(best.choices)}" if best else ""
    return f"{len(rows)} candidates: {counted or 'none'}{shown}"


def _line(row: Evaluation, cost: str) -> str:
    score = "" if row.score is None else f"{row.score:.5f}"
    seconds = ""
    if row.started is not None and row.finished is not None:
        seconds = f"{row.finished - row.started:.1f}"
    value = row.costs[cost]
    shown = f"{value:,.0f}" if value == int(value) else f"{value:,.3f}"
    return (
        f"{row.role:<7}{row.number:>4}{row.position:>5}  {row.status:<9}{score:>10}"
        f"{seconds:>9}{shown:>15}  {choices_to_text(row.choices)}"
        + (f"  {one_line(row.error)}" if row.error else "")
    )
