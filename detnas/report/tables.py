"""The tables of the report as HTML with escaped text."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import groupby
from statistics import fmean, stdev
from typing import Any

from detnas.report.style import cost_name, readable_cost, readable_score
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import FAILED, Evaluation
from search_space.choices import CHOICES
from search_space.spaces import SearchSpace

MAX_ERRORS = 10
NONE = "\N{EN DASH}"


def candidate_table(done: Sequence[Evaluation], space: SearchSpace, best: int | None = None) -> str:
    """Scored candidates, numbered in the order given; the one at index `best` is highlighted."""
    body: list[list[str]] = []
    for number, row in enumerate(done, start=1):
        assert row.score is not None
        costs = (readable_cost(name, value) for name, value in row.costs.items())
        cells = [str(number), readable_score(row.score), *costs, str(row.generation)]
        body.append([*map(escape, cells), chips(space, row.choices)])
    names = [cost_name(name) for name in done[0].costs]
    head = ["", "score", *names, "generation", "blocks, stage by stage"]
    return table(head, body, text=[len(head) - 1], best=best)


def generation_table(search: SearchHistory) -> str:
    """Each generation: how many were evaluated, their best and mean score, how many failed."""
    winner, place = search.best(), None
    body: list[list[str]] = []
    for number, group in groupby(search.candidates, lambda row: row.generation):
        rows = list(group)
        place = len(body) if winner in rows else place
        body.append([str(number), *_outcome(rows, search.greater_is_better)])
    head = ["generation", "evaluated", "best", "mean", "failed", "waiting"]
    return table(head, body, best=place)


def baseline_table(search: SearchHistory) -> str:
    """The search beside the random architectures that it is compared with."""
    body = []
    for name, rows in (("search", search.candidates), ("random architectures", search.baseline)):
        evaluated, best, mean, failed, _ = _outcome(rows, search.greater_is_better)
        scores = _scores(rows)
        spread = readable_score(stdev(scores)) if len(scores) > 1 else NONE
        body.append([name, evaluated, best, mean, spread, failed])
    head = ["", "evaluated", "best", "mean", "standard deviation", "failed"]
    return table(head, body, text=[0])


def failure_table(failed: Iterable[Evaluation]) -> str:
    """Each error and how many candidates failed with it, the most frequent first."""
    counted = Counter(row.error or "" for row in failed).most_common(MAX_ERRORS)
    body = [[str(count), escape(error)] for error, count in counted]
    return table(["candidates", "error"], body, text=[1], long=True)


def summary_table(summary: Mapping[str, Any]) -> str:
    """The values of a JSON object, by dotted names."""
    body = [[escape(name), escape(text)] for name, text in _flatten(summary)]
    return table(["", ""], body, text=[0, 1], long=True)


def chips(space: SearchSpace, choices: Sequence[int]) -> str:
    """An architecture as coloured squares, one per block, grouped by stage."""
    squares = []
    for spec, choice in zip(space.block_specs(), choices, strict=True):
        block = CHOICES[space.choices[choice]]
        square = f'<i class="{block.name}" title="{escape(block.label)}">{block.mark}</i>'
        squares.append((spec.stage, square))
    stages = [
        f"<span>{''.join(square for _, square in stage)}</span>"
        for _, stage in groupby(squares, lambda square: square[0])
    ]
    return f'<span class="chips">{"".join(stages)}</span>'


def table(
    head: Sequence[str],
    body: Iterable[Sequence[str]],
    text: Sequence[int] = (),
    best: int | None = None,
    long: bool = False,
) -> str:
    """An HTML table of cells that are already HTML.

    Args:
        head: the names of the columns, plain text.
        text: indices of text columns, which are left-aligned; with `long` they may wrap.
        best: index of the row to highlight.
    """

    def cell(tag: str, column: int, content: str) -> str:
        kinds = ["text"] if column in text else []
        kinds += ["long"] if long and column in text else []
        kind = f' class="{" ".join(kinds)}"' if kinds else ""
        return f"<{tag}{kind}>{content}</{tag}>"

    header = "".join(cell("th", i, escape(name)) for i, name in enumerate(head))
    lines = []
    for number, row in enumerate(body):
        kind = ' class="best"' if number == best else ""
        cells = "".join(cell("td", i, content) for i, content in enumerate(row))
        lines.append(f"<tr{kind}>{cells}</tr>")
    header = f"<thead><tr>{header}</tr></thead>" if any(head) else ""
    rows = "\n".join(lines)
    return f'<div class="scroll"><table>{header}<tbody>\n{rows}\n</tbody></table></div>'


def _outcome(rows: Sequence[Evaluation], greater_is_better: bool) -> tuple[str, str, str, str, str]:
    """Evaluated, best, mean, failed, waiting; a dash where there is no score."""
    scores = _scores(rows)
    best = max if greater_is_better else min
    settled = sum(row.settled for row in rows)
    return (
        str(settled),
        readable_score(best(scores)) if scores else NONE,
        readable_score(fmean(scores)) if scores else NONE,
        str(sum(row.status == FAILED for row in rows)),
        str(len(rows) - settled),
    )


def _scores(rows: Iterable[Evaluation]) -> list[float]:
    return [row.score for row in rows if row.score is not None]


def _flatten(value: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, item in value.items():
        if isinstance(item, Mapping):
            yield from _flatten(item, f"{prefix}{name}.")
        else:
            text = f"{item:.6g}" if isinstance(item, float) else str(item)
            yield f"{prefix}{name}", text
