"""The sections of the report page as HTML with escaped text; empty if there is no content."""

from datetime import UTC, datetime
from functools import partial
from html import escape

from detnas.report import tables
from detnas.report.architecture import draw_architecture
from detnas.report.curves import draw_cost_scatter, draw_search
from detnas.report.embedding import embedded, picture
from detnas.report.folder import ReportFolder
from detnas.report.style import TIMES, cost_name, readable_cost, readable_score
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import RANDOM
from detnas.search.results import BEST_FILE
from search_space.budget import Budget
from search_space.choices import CHOICES
from search_space.cost import DEFAULT_INPUT_SIZE

TOP = 10


def header(folder: ReportFolder) -> str:
    """The folder's name, the search in one line, and the numbers that a reader looks for first."""
    search = folder.history
    rows = search.candidates
    failed = sum(row in search.failed for row in rows)
    waiting = sum(not row.settled for row in search.rows)
    generations = len({row.generation for row in rows})
    finished = max((row.finished for row in search.rows if row.finished), default=None)
    facts = [
        f"{search.strategy['type']} in the {search.space.name} space",
        *map(_budget_text, search.budgets),
        f"{_count(len(rows), 'candidate')} in {_count(generations, 'generation')}",
        f"{failed} failed" if failed else "",
        f"{waiting} still waiting" if waiting else "",
        "" if search.seed is None else f"seed {search.seed}",
        f"last result {datetime.fromtimestamp(finished, UTC):%Y-%m-%d %H:%M} UTC"
        if finished
        else "",
    ]
    line = escape(" · ".join(fact for fact in facts if fact))
    return f'<h1>{escape(folder.name)}</h1>\n<p class="muted">{line}</p>\n{_figures(search)}'


def architecture(folder: ReportFolder) -> str:
    """The best architecture drawn, and the key that names it on the command line."""
    search, row = folder.history, folder.history.best()
    if row is None:
        return ""
    best = search.architecture(row)
    size = next((b.input_size for b in search.budgets if b.cost == "macs"), DEFAULT_INPUT_SIZE)
    draw = partial(draw_architecture, best, costs=row.costs, input_size=size)
    drawn = picture(draw, "The best architecture, block by block")
    note = ""
    if folder.stated_best is not None and folder.stated_best.choices != best.choices:
        note = (
            f'<p class="note">{BEST_FILE} holds another architecture than the best one of the '
            "history, which is drawn here.</p>"
        )
    return f"<h2>Best architecture</h2>{note}{drawn}<p><code>{escape(best.key)}</code></p>"


def course(folder: ReportFolder) -> str:
    """Score against evaluations, against the first cost, and against the strategy's objectives."""
    search, best = folder.history, folder.history.best()
    if best is None:
        return ""
    name = search.score_name
    draw = partial(draw_search, search)
    caption = "Every candidate in the order evaluated."
    if search.baseline:
        caption += " At the right, random architectures within the same budget, never parents."
    curve = picture(draw, f"{name} of every candidate, in the order evaluated", caption)
    costs = dict.fromkeys((next(iter(best.costs)), *search.objectives))
    scatters = "".join(_cost_scatter(search, cost) for cost in costs)
    return f"<h2>Course of the search</h2>{curve}{scatters}"


def candidates(folder: ReportFolder) -> str:
    """The best ten, with the legend of their squares."""
    search = folder.history
    if search.best() is None:
        return ""
    legend = "".join(
        f'<span class="chips"><i class="{name}">{CHOICES[name].mark}</i>'
        f"{escape(CHOICES[name].label)}</span>"
        for name in search.space.choices
    )
    top = tables.candidate_table(search.ranked()[:TOP], search.space, best=0)
    return f'<h2>Best candidates</h2>{top}<p class="legend muted">{legend}</p>'


def front(folder: ReportFolder) -> str:
    """The best trade-offs of a search that has objectives beside the score."""
    search = folder.history
    if search.best() is None or not search.objectives:
        return ""
    more = " or ".join(f"more {cost_name(name)}" for name in search.objectives)
    note = f"Whatever scores higher than one of these has {more}."
    table = tables.candidate_table(search.front(search.objectives), search.space)
    return f"<h2>Pareto front</h2><p>{escape(note)}</p>{table}"


def generations(folder: ReportFolder) -> str:
    """The outcome of each generation."""
    if not folder.history.candidates:
        return "<h2>Generations</h2><p>Nothing has been proposed yet.</p>"
    table = tables.generation_table(folder.history)
    return f"<h2>Generations</h2>{table}"


def baseline(folder: ReportFolder) -> str:
    """The search beside its random baseline, and how many of that the best one beats."""
    search, best = folder.history, folder.history.best()
    if not search.baseline:
        return ""
    beaten, scores = "", search.scores(RANDOM)
    if best is not None and best.score is not None and scores:
        sign = 1 if search.greater_is_better else -1
        worse = sum(sign * score < sign * best.score for score in scores)
        beaten = f"<p>The best candidate is better than {worse} of {len(scores)} random ones.</p>"
    return f"<h2>Random baseline</h2>{beaten}{tables.baseline_table(search)}"


def detections(folder: ReportFolder) -> str:
    """The picture of detections, where the folder holds one."""
    if folder.detections is None:
        return ""
    image = f'<img alt="Detections on validation images" src="{embedded(folder.detections)}">'
    return f"<h2>Detections</h2><figure>{image}</figure>"


def summary(folder: ReportFolder) -> str:
    """The values of `summary.json`."""
    return f"<h2>Summary</h2>{tables.summary_table(folder.summary)}" if folder.summary else ""


def failures(folder: ReportFolder) -> str:
    """The errors of the candidates that failed."""
    failed = folder.history.failed
    return f"<h2>Failures</h2>{tables.failure_table(failed)}" if failed else ""


def _cost_scatter(search: SearchHistory, cost: str) -> str:
    draw = partial(draw_cost_scatter, search, cost=cost)
    name = cost_name(cost)
    caption = (
        f"The same candidates by {name}. The line is the Pareto front: the best score of the "
        "search with that cost or less."
    )
    return picture(draw, f"{search.score_name} against {name}", caption)


def _figures(search: SearchHistory) -> str:
    best, random = search.best(), search.best(RANDOM)
    if best is None or best.score is None:
        return '<p class="alarm">No candidate has a score.</p>'
    figures = [(f"best {search.score_name}", readable_score(best.score))]
    if random is not None and random.score is not None:
        difference = best.score - random.score
        sign = "+" if difference >= 0 else "\N{MINUS SIGN}"
        against = f"against the best of {len(search.baseline)} random"
        figures.append((against, sign + readable_score(abs(difference))))
    figures += [(cost_name(name), readable_cost(name, cost)) for name, cost in best.costs.items()]
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in figures
    )
    return f'<dl class="figures">{items}</dl>'


def _budget_text(budget: Budget) -> str:
    lower = "" if budget.lower is None else f"{readable_cost(budget.cost, budget.lower)} ≤ "
    upper = "" if budget.upper is None else f" ≤ {readable_cost(budget.cost, budget.upper)}"
    _, height, width = budget.input_size
    size = "" if budget.cost == "params" else f" at {width}{TIMES}{height}"
    return f"{lower}{cost_name(budget.cost)}{size}{upper}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
