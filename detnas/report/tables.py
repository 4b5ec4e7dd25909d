"""The tables of the report as HTML with escaped text."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import groupby
from statistics import fmean, stdev
from typing import Any

from detnas.report.style import CHOICE_STYLES, cost_name, readable_cost, readable_score
from detnas.search.history.records import DONE, FAILED, RANDOM, SEARCH, Evaluation, best_of
from search_space.spaces import SearchSpace

TOP = 10
NONE = "\N{EN DASH}"


def top_table(rows: Sequence[Evaluation], space: SearchSpace, greater_is_better: bool) -> str:
    """The best candidates, ranked as the search ranks them."""
    left = [row for row in rows if row.role == SEARCH and row.status == DONE]
    top: list[Evaluation] = []
    while len(top) < TOP and (best := best_of(left, greater_is_better)) is not None:
        left.remove(best)
        top.append(best)
    return candidate_table(top, space, best=0)


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


def generation_table(rows: Sequence[Evaluation], greater_is_better: bool) -> str:
    """The number of evaluations, best and mean score, and failures of each generation."""
    generations: list[tuple[int, list[Evaluation]]] = [
        (number, list(group))
        for number, group in groupby(
            (row for row in rows if row.role == SEARCH), lambda row: row.generation
        )
    ]
    winner = best_of(rows, greater_is_better)
    place = next((i for i, (_, rows) in enumerate(generations) if winner in rows), None)
    body = [[str(number), *_outcome(group, greater_is_better)] for number, group in generations]
    head = ["generation", "evaluated", "best", "mean", "failed", "waiting"]
    return table(head, body, best=place)


def baseline_table(rows: Sequence[Evaluation], greater_is_better: bool) -> str:
    """The search compared with random architectures."""
    body = []
    for name, role in (("search", SEARCH), ("random architectures", RANDOM)):
        group = [row for row in rows if row.role == role]
        evaluated, best, mean, failed, _ = _outcome(group, greater_is_better, role)
        scores = _scores(group)
        spread = readable_score(stdev(scores)) if len(scores) > 1 else NONE
        body.append([name, evaluated, best, mean, spread, failed])
    head = ["", "evaluated", "best", "mean", "standard deviation", "failed"]
    return table(head, body, text=[0])


def failure_table(rows: Sequence[Evaluation]) -> str:
    """Each error and its number of candidates, the most frequent first."""
    errors = [row.error or "" for row in rows if row.status == FAILED]
    counted = sorted({error: errors.count(error) for error in errors}.items(), key=lambda e: -e[1])
    body = [[str(count), escape(error)] for error, count in counted[:TOP]]
    return table(["candidates", "error"], body, text=[1], long=True)


def summary_table(summary: Mapping[str, Any]) -> str:
    """The values of a JSON object, by dotted names."""
    body = [[escape(name), escape(text)] for name, text in _flatten(summary)]
    return table(["", ""], body, text=[0, 1], long=True)


def chips(space: SearchSpace, choices: Sequence[int]) -> str:
    """An architecture as coloured squares, one per block, grouped by stage."""
    squares = []
    for spec, choice in zip(space.block_specs(), choices, strict=True):
        name = space.choices[choice]
        style = CHOICE_STYLES[name]
        square = f'<i class="{name}" title="{escape(style.name)}">{style.mark}</i>'
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


def _outcome(
    rows: Sequence[Evaluation], greater_is_better: bool, role: str = SEARCH
) -> tuple[str, str, str, str, str]:
    """The cells evaluated, best, mean, failed and waiting; a dash if there is no score."""
    best, scores = best_of(rows, greater_is_better, role), _scores(rows)
    settled = sum(row.settled for row in rows)
    return (
        str(settled),
        NONE if best is None or best.score is None else readable_score(best.score),
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
