"""Draws the pictures of a search, and writes a self-contained HTML page about it.

The page reports the history, so the search may still be running or have been stopped.
`best_architecture.json`, `summary.json` and `detections.png` are included if they exist.
"""

import base64
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from detnas.console import SHOWN_CLASSES, tested_metric
from detnas.fidelity.comparison import against_drawn, compare, notes_on, rows_of
from detnas.fidelity.table import Table
from detnas.files import write_text
from detnas.report import content
from detnas.report.architecture import blocks_by_stage, draw_architecture
from detnas.report.curves import draw_cost_scatter, draw_search
from detnas.report.fidelity import draw_fidelity
from detnas.report.folder import REPORT_FILE, read_folder
from detnas.report.style import DARK, LIGHT, cost_name, ink_on, readable_cost, readable_score
from detnas.search.against_random import against_random
from detnas.search.compared_text import conditions, verdict
from detnas.search.compared_text import rows_of as rows_of_networks
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import Evaluation
from detnas.search.results import BEST_FILE, best_candidate
from search_space.choices import CHOICES
from search_space.cost import DEFAULT_INPUT_SIZE

MAX_ERRORS = 10


def draw_search_pictures(search: SearchHistory, folder: Path) -> None:
    """The best architecture, score against evaluations, score against MACs, into `folder`."""
    best = search.architecture(best_candidate(search))
    draw_architecture(best, folder / "architecture.png")
    draw_search(search, folder / "search.png")
    draw_cost_scatter(search, folder / "costs.png")


def write_report(folder: Path | str) -> Path:
    """Write `report.html` into the folder of a search.

    The page needs no other file and no network access.

    Args:
        folder: contains `history.db`, and optionally `best_architecture.json`, `summary.json` and
            `detections.png`.

    Returns:
        The page's path.

    Raises:
        UserError: there is no history, or one of the files is damaged or of another search.
    """
    read = read_folder(Path(folder))
    search = read.history
    best = best_candidate(search) if search.best() else None
    compared = compare(read.fidelity) if read.fidelity else {}
    others = read.comparison
    shown = {key: value for key, value in read.summary.items() if key != "comparison"}
    page = (
        _environment()
        .get_template("report.html")
        .render(
            folder=read,
            search=search,
            best=best,
            best_file=BEST_FILE,
            tested=tested_metric(read.summary),
            random=against_random(search),
            effects=content.effects(search),
            fidelity=list(rows_of(compared)),
            fidelity_also=against_drawn(read.fidelity) if read.fidelity else [],
            fidelity_notes=list(notes_on(compared, read.fidelity)) if read.fidelity else [],
            facts=content.facts(search),
            pictures=_pictures(search, best, read.fidelity if compared else None) if best else {},
            generations=content.generations(search),
            comparison=content.comparison(search),
            networks=[] if others is None else rows_of_networks(others, SHOWN_CLASSES),
            verdict=[] if others is None else [*verdict(others), *others.notes],
            conditions="" if others is None else conditions(others),
            summary=content.flattened(shown),
            errors=Counter(row.error or "" for row in search.failed).most_common(MAX_ERRORS),
            choices=CHOICES,
            light=LIGHT,
            dark=DARK,
        )
    )
    path = Path(folder) / REPORT_FILE
    write_text(path, page)
    return path


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
        "effect_of": content.effect_text,
        "interval": content.interval_text,
        "ink_on": ink_on,
        "signed": lambda value: f"{value:+.4f}".replace("-", "\N{MINUS SIGN}"),
        "score": lambda value: "\N{EN DASH}" if value is None else readable_score(value),
    }
    return environment


def _pictures(search: SearchHistory, best: Evaluation, fidelity: Table | None) -> dict[str, Any]:
    """The page's pictures, each as the data URLs of its light and its dark version."""
    budget = search.macs_budget
    size = DEFAULT_INPUT_SIZE if budget is None else budget.input_size
    architecture = search.architecture(best)
    costs = dict.fromkeys((next(iter(best.costs)), *search.objectives))
    return {
        "architecture": _in_both_themes(
            partial(draw_architecture, architecture, costs=best.costs, input_size=size)
        ),
        "course": _in_both_themes(partial(draw_search, search)),
        "costs": {
            cost: _in_both_themes(partial(draw_cost_scatter, search, cost=cost)) for cost in costs
        },
        "fidelity": _in_both_themes(partial(draw_fidelity, fidelity)) if fidelity else None,
    }


def _in_both_themes(draw: Callable[..., None]) -> list[str]:
    urls = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        for theme in (LIGHT, DARK):
            draw(path, theme=theme)
            urls.append(_data_url(path.read_bytes()))
    return urls


def _data_url(image: bytes) -> str:
    """The content of a PNG file as an address."""
    return f"data:image/png;base64,{base64.b64encode(image).decode('ascii')}"
