"""Draws the pictures of a search, and writes a self-contained HTML page about its experiment.

The page reports what there is, so stages may still be running or have been stopped.
"""

import base64
import io
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from detnas.console import duration, tested_metric
from detnas.fidelity.comparison import against_drawn, compare, notes_on, rows_of
from detnas.fidelity.table import Table
from detnas.files import write_text
from detnas.report import content, error_types
from detnas.report.architecture import blocks_by_stage, draw_architecture
from detnas.report.curves import draw_cost_scatter, draw_search
from detnas.report.detections import CLASS_COLOURS
from detnas.report.fidelity import draw_fidelity
from detnas.report.folder import REPORT_FILE, ReportFolder, read_folder
from detnas.report.inline import Figures
from detnas.report.losses import draw_losses
from detnas.report.pattern import effects_sentence, pattern, pattern_sentence
from detnas.report.stages import versions
from detnas.report.style import DARK, LIGHT, cost_name, ink_on, readable_cost, readable_score
from detnas.search.against_random import against_random
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
    draw_search(search, folder / "search.png")
    draw_cost_scatter(search, folder / "costs.png")


def write_report(folder: Path | str, reload: float | None = None) -> Path:
    """Write `report.html` into the folder of a search or an experiment.

    The page needs no other file and no network access.

    Args:
        folder: contains a history, or stages that were begun; all else is optional.
        reload: seconds after which the page loads itself again, unless its reader turns that off;
            None does not.

    Returns:
        The page's path.

    Raises:
        UserError: there is nothing to report, or one of the files is damaged or of another search.
    """
    read, figures = read_folder(Path(folder)), Figures()
    values = {
        **_common(read, figures),
        **_of_the_search(read, figures),
        **_of_the_test(read),
        "reload": reload,
    }
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
    }


def _of_the_search(read: ReportFolder, figures: Figures) -> dict[str, Any]:
    search = read.history
    if search is None:
        return {"search": None, "best": None, "facts": [], "random": None, "failures": []}
    best = best_candidate(search) if search.best() else None
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
        "random": against_random(search),
        "effects": effects,
        "effects_sentence": effects_sentence(effects, search.greater_is_better),
        "pattern": found,
        "pattern_sentence": pattern_sentence(found) if found else "",
        "fidelity": list(rows_of(compared)),
        "fidelity_also": against_drawn(read.fidelity) if read.fidelity else [],
        "fidelity_notes": list(notes_on(compared, read.fidelity)) if read.fidelity else [],
        "pictures": _pictures(search, read.fidelity if compared else None, figures) if best else {},
        "generations": content.generations(search),
        "comparison": content.comparison(search),
        "rows": rows,
        "failures": Counter(row.error or "" for row in search.failed).most_common(MAX_ERRORS),
    }


def _of_the_test(read: ReportFolder) -> dict[str, Any]:
    others = read.comparison
    found = read.errors
    return {
        "tested": tested_metric(read.summary),
        "networks": {} if others is None else _network_tables(others),
        "verdict": [] if others is None else [*verdict(others), *others.notes],
        "conditions": "" if others is None else conditions(others),
        "others": [] if others is None else [(each.label, each.by_class) for each in others.others],
        "class_precisions": error_types.class_precisions(
            read.summary.get("test_metrics") or {}, found
        ),
        "types": error_types.type_rows(found) if found else [],
        "types_sentence": error_types.types_sentence(found) if found else "",
        "confusions": error_types.confusions(found) if found else [],
        "has_matrix": found is not None and len(found.classes) <= error_types.MATRIX_CLASSES,
        "old_detections": _as_jpeg(read.detections) if read.detections and not read.shown else None,
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
        "data_url": _data_url,
        "duration": duration,
        "effect_of": content.effect_text,
        "flattened": content.flattened,
        "interval": content.interval_text,
        "ink_on": ink_on,
        "signed": lambda value: f"{value:+.4f}".replace("-", "\N{MINUS SIGN}"),
        "score": lambda value: "\N{EN DASH}" if value is None else readable_score(value),
    }
    return environment


def _pictures(search: SearchHistory, fidelity: Table | None, figures: Figures) -> dict[str, Any]:
    """The figures of a search that has a score, each as a wide and a narrow SVG."""
    best = search.require_best()
    costs = dict.fromkeys((next(iter(best.costs)), *search.objectives))
    return {
        "course": figures.draw(partial(draw_search, search)),
        "costs": {
            cost: figures.draw(partial(draw_cost_scatter, search, cost=cost)) for cost in costs
        },
        "fidelity": figures.draw(partial(draw_fidelity, fidelity)) if fidelity else None,
    }


def _as_jpeg(image: bytes) -> bytes:
    copy = io.BytesIO()
    with Image.open(io.BytesIO(image)) as opened:
        opened.convert("RGB").save(copy, "JPEG", quality=80)
    return copy.getvalue()


def _data_url(image: bytes) -> str:
    """The content of a JPEG file as an address."""
    return f"data:image/jpeg;base64,{base64.b64encode(image).decode('ascii')}"
