"""Draws the pictures of a search, and writes a self-contained HTML page about its experiment.

The page reports what there is, so stages may still be running or have been stopped. A damaged file
is named at its top.
"""

import base64
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from detnas.console import duration, tested_metric
from detnas.errors import one_line
from detnas.fidelity.comparison import against_drawn, compare, notes_on, rows_of
from detnas.fidelity.table import Table
from detnas.files import write_text
from detnas.report import content, error_types
from detnas.report.architecture import blocks_by_stage, draw_architecture
from detnas.report.curves import are_drawable, draw_cost_scatter, draw_search
from detnas.report.detections import CLASS_COLOURS
from detnas.report.fidelity import draw_fidelity
from detnas.report.folder import REPORT_FILE, ReportFolder, read_folder
from detnas.report.inline import Figures
from detnas.report.losses import draw_losses
from detnas.report.pattern import effects_sentence, pattern, pattern_sentence
from detnas.report.random_text import points
from detnas.report.random_text import verdict as verdict_on_random
from detnas.report.shots import LABELLED, shot_labels
from detnas.report.stages import versions
from detnas.report.style import (
    DARK,
    LIGHT,
    cost_name,
    ink_on,
    readable_cost,
    readable_score,
    readable_size,
)
from detnas.report.summary_file import measured
from detnas.search.against_random import LARGEST, against_random, are_comparable
from detnas.search.compared import Comparison
from detnas.search.compared_text import HEAD, conditions, verdict
from detnas.search.compared_text import rows_of as rows_of_networks
from detnas.search.history.reading import SearchHistory
from detnas.search.results import BEST_FILE, best_candidate
from detnas.version import __version__
from search_space.choices import CHOICES

MAX_ERRORS = 10
_SCORE_COLUMNS = 5  # of the table of networks, with their names
MAX_ROWS = 1500
"""Of the history's table; `detnas history` lists all of them."""


def draw_search_pictures(search: SearchHistory, folder: Path) -> None:
    """The best architecture, score against evaluations, score against MACs, into `folder`."""
    best = search.architecture(best_candidate(search))
    draw_architecture(best, folder / "architecture.png")
    if are_drawable(search):
        draw_search(search, folder / "search.png")
        draw_cost_scatter(search, folder / "costs.png")


def write_report(
    folder: Path | str,
    reload: float | None = None,
    warn: Callable[[str], None] = lambda line: None,
) -> Path:
    """Write `report.html` into the folder of a search or an experiment.

    The page needs no other file and no network access.

    Args:
        folder: contains a history, or stages that were begun; all else is optional.
        reload: seconds after which the page loads itself again, unless its reader turns that off;
            None does not.
        warn: gets a line for each file that is damaged or of another search; the page is written
            without it, and has the line, too.

    Returns:
        The page's path.

    Raises:
        UserError: there is nothing to report.
    """
    read, figures = read_folder(Path(folder)), Figures()
    values = {
        **_common(read, figures),
        **_of_the_search(read, figures),
        **_of_the_test(read),
        "reload": reload,
    }
    lines = list(map(one_line, read.problems.messages))
    for line in lines:
        warn(line)
    values["problems"] = [line.replace(f"{folder}/", "") for line in lines]
    path = Path(folder) / REPORT_FILE
    write_text(path, _environment().get_template("report.html").render(values))
    return path


def _common(read: ReportFolder, figures: Figures) -> dict[str, Any]:
    losses = partial(draw_losses, read.losses)
    shown = {key: value for key, value in read.summary.items() if key != "comparison"}
    return {
        "folder": read,
        "loss_figure": figures.draw(losses) if read.losses else None,
        "versions": versions(read.stages),
        "summary": list(content.flattened(shown)),
        "written": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "version": __version__,
        "choices": CHOICES,
        "light": LIGHT,
        "dark": DARK,
        "class_colours": CLASS_COLOURS,
        "most_labels": LABELLED,
    }


def _of_the_search(read: ReportFolder, figures: Figures) -> dict[str, Any]:
    search = read.history
    if search is None:
        return {"search": None, "best": None, "facts": [], "random": None, "failures": []}
    best = read.best
    random = against_random(search)
    compared = compare(read.fidelity) if read.fidelity else {}
    effects = content.effects(search)
    found = pattern(search)
    rows = search.rows if len(search.rows) <= MAX_ROWS else search.ranked()[:MAX_ROWS]
    return {
        "search": search,
        "best": best,
        "of_supernet": search.fingerprint.get("supernet_sha256") is not None,
        "best_file": BEST_FILE,
        "facts": list(content.facts(search)),
        "cost_names": content.cost_names(search),
        "random": random,
        "random_verdict": verdict_on_random(random) if random else "",
        "random_points": list(points(random)) if random else [],
        "too_large": None if are_comparable(search.all_scores) else LARGEST,
        "effects": effects,
        "effects_sentence": effects_sentence(effects, search.greater_is_better),
        "pattern": found,
        "pattern_sentence": pattern_sentence(found) if found else "",
        "fidelity": list(rows_of(compared)),
        "fidelity_also": against_drawn(read.fidelity) if read.fidelity else [],
        "fidelity_notes": list(notes_on(compared, read.fidelity)) if read.fidelity else [],
        "pictures": _pictures(read, read.fidelity if compared else None, figures) if best else {},
        "generations": content.generations(search),
        "comparison": content.comparison(search),
        "rows": rows,
        "failures": Counter(row.error or "" for row in search.failed).most_common(MAX_ERRORS),
    }


def _of_the_test(read: ReportFolder) -> dict[str, Any]:
    others = read.comparison
    found = read.errors
    return {
        "tested": tested_metric(measured(read.summary)),
        "networks": {} if others is None else _network_tables(others),
        "verdict": [] if others is None else [*verdict(others), *others.notes],
        "conditions": "" if others is None else conditions(others),
        "others": [] if others is None else [(each.label, each.by_class) for each in others.others],
        "class_precisions": error_types.class_precisions(
            measured(read.summary)["test_metrics"], found
        ),
        "types": error_types.type_rows(found) if found else [],
        "types_sentence": error_types.types_sentence(found) if found else "",
        "confusions": error_types.confusions(found) if found else [],
        "has_matrix": found is not None and len(found.classes) <= error_types.MATRIX_CLASSES,
    }


def _network_tables(comparison: Comparison) -> dict[str, list[tuple[str, ...]]]:
    """The comparison as tables that fit the page; classes have a table of their own."""
    rows = rows_of_networks(comparison, classes=0)
    parts = {
        "Scores of the networks": _columns(rows, 1, _SCORE_COLUMNS),
        "Costs of the networks": _columns(rows, _SCORE_COLUMNS, len(HEAD)),
    }
    if len(rows[0]) > len(HEAD):
        parts["Scores by size of objects"] = _columns(rows, len(HEAD), None)
    return parts


def _columns(rows: list[tuple[str, ...]], first: int, last: int | None) -> list[tuple[str, ...]]:
    """The columns from `first` to before `last`, after the names."""
    return [(row[0], *row[first:last]) for row in rows]


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("detnas.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "blocks_by_stage": blocks_by_stage,
        "cost": lambda value, name: readable_cost(name, value),
        "cost_name": cost_name,
        "counted": content.counted,
        "data_url": _data_url,
        "duration": duration,
        "effect_of": content.effect_text,
        "flattened": content.flattened,
        "interval": content.interval_text,
        "ink_on": ink_on,
        "shot_labels": shot_labels,
        "size": lambda sides: readable_size(*sides),
        "score": lambda value: "\N{EN DASH}" if value is None else readable_score(value),
    }
    return environment


def _pictures(read: ReportFolder, fidelity: Table | None, figures: Figures) -> dict[str, Any]:
    """The figures of a search that has a score, each as a wide and a narrow SVG."""
    search = read.history
    assert search is not None
    course, by_cost = None, {}
    if are_drawable(search):
        course = figures.draw(partial(draw_search, search))
        for cost in dict.fromkeys((next(iter(search.require_best().costs)), *search.objectives)):
            with read.problems:
                by_cost[cost] = figures.draw(partial(draw_cost_scatter, search, cost=cost))
    return {
        "course": course,
        "costs": by_cost,
        "fidelity": figures.draw(partial(draw_fidelity, fidelity)) if fidelity else None,
    }


def _data_url(image: bytes) -> str:
    """The content of a JPEG file as an address."""
    return f"data:image/jpeg;base64,{base64.b64encode(image).decode('ascii')}"
