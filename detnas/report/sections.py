"""The sections of the report page as HTML with escaped text; empty if there is no content."""

from datetime import UTC, datetime
from functools import partial
from html import escape

from detnas.report import tables
from detnas.report.architecture import draw_architecture
from detnas.report.curves import draw_cost_scatter, draw_search
from detnas.report.embedding import embedded, picture
from detnas.report.folder import BEST_FILE, SearchFolder
from detnas.report.style import CHOICE_STYLES, TIMES, cost_name, readable_cost, readable_score
from detnas.search.front import pareto_front
from detnas.search.history.records import DONE, FAILED, RANDOM, best_of
from search_space.budget import Budget
from search_space.cost import DEFAULT_INPUT_SIZE


def header(search: SearchFolder) -> str:
    """The folder's name, the search in one line, and the key figures."""
    rows = search.of_role()
    failed = sum(row.status == FAILED for row in rows)
    waiting = sum(not row.settled for row in search.rows)
    generations = len({row.generation for row in rows})
    finished = max((row.finished for row in search.rows if row.finished), default=None)
    facts = [
        f"{search.strategy} in the {search.space.name} space",
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
    return f'<h1>{escape(search.name)}</h1>\n<p class="muted">{line}</p>\n{_figures(search)}'


def architecture(search: SearchFolder) -> str:
    """A drawing of the best architecture, and its key for the command line."""
    best, row = search.best_architecture, search.best
    if best is None or row is None:
        return ""
    size = next((b.input_size for b in search.budgets if b.cost == "macs"), DEFAULT_INPUT_SIZE)
    draw = partial(draw_architecture, best, costs=row.costs, input_size=size)
    drawn = picture(draw, "The best architecture, block by block")
    note = ""
    if search.stated_best is not None and search.stated_best.choices != best.choices:
        note = (
            f'<p class="note">{BEST_FILE} holds another architecture than the best one of the '
            "history, which is drawn here.</p>"
        )
    return f"<h2>Best architecture</h2>{note}{drawn}<p><code>{escape(best.key)}</code></p>"


def course(search: SearchFolder) -> str:
    """Score against evaluations, against the first cost, and against the strategy's objectives."""
    if search.best is None:
        return ""
    name = search.score_name
    draw = partial(
        draw_search, search.rows, score_name=name, greater_is_better=search.greater_is_better
    )
    caption = "Every candidate in the order of evaluation."
    if search.of_role(RANDOM):
        caption += " At the right: random architectures within the same budget, for comparison."
    curve = picture(draw, f"{name} of every candidate, in the order of evaluation", caption)
    costs = dict.fromkeys((next(iter(search.best.costs)), *search.objectives))
    scatters = "".join(_cost_scatter(search, cost) for cost in costs)
    return f"<h2>Course of the search</h2>{curve}{scatters}"


def candidates(search: SearchFolder) -> str:
    """The best candidates, with a legend of their block choices."""
    if search.best is None:
        return ""
    legend = "".join(
        f'<span class="chips"><i class="{name}">{CHOICE_STYLES[name].mark}</i>'
        f"{escape(CHOICE_STYLES[name].name)}</span>"
        for name in search.space.choices
    )
    top = tables.top_table(search.rows, search.space, search.greater_is_better)
    return f'<h2>Best candidates</h2>{top}<p class="legend muted">{legend}</p>'


def front(search: SearchFolder) -> str:
    """The Pareto front of a search with cost objectives."""
    if search.best is None or not search.objectives:
        return ""
    found = pareto_front(search.rows, search.objectives, search.greater_is_better)
    more = " or ".join(f"more {cost_name(name)}" for name in search.objectives)
    note = f"Every candidate that scores higher than one of these has {more}."
    table = tables.candidate_table(found, search.space)
    return f"<h2>Pareto front</h2><p>{escape(note)}</p>{table}"


def generations(search: SearchFolder) -> str:
    """The outcome of each generation."""
    if not search.of_role():
        return "<h2>Generations</h2><p>Nothing has been proposed yet.</p>"
    table = tables.generation_table(search.rows, search.greater_is_better)
    return f"<h2>Generations</h2>{table}"


def baseline(search: SearchFolder) -> str:
    """The search compared with its random baseline."""
    random = search.of_role(RANDOM)
    if not random:
        return ""
    table = tables.baseline_table(search.rows, search.greater_is_better)
    beaten, best = "", search.best
    scores = [row.score for row in random if row.status == DONE and row.score is not None]
    if best is not None and best.score is not None and scores:
        sign = 1 if search.greater_is_better else -1
        worse = sum(sign * score < sign * best.score for score in scores)
        beaten = f"<p>The best candidate is better than {worse} of {len(scores)} random ones.</p>"
    return f"<h2>Random baseline</h2>{beaten}{table}"


def detections(search: SearchFolder) -> str:
    """The picture of detections, if the folder has one."""
    if search.detections is None:
        return ""
    image = f'<img alt="Detections on validation images" src="{embedded(search.detections)}">'
    return f"<h2>Detections</h2><figure>{image}</figure>"


def summary(search: SearchFolder) -> str:
    """The values of `summary.json`."""
    return f"<h2>Summary</h2>{tables.summary_table(search.summary)}" if search.summary else ""


def failures(search: SearchFolder) -> str:
    """The errors of the candidates that failed."""
    if not any(row.status == FAILED for row in search.rows):
        return ""
    return f"<h2>Failures</h2>{tables.failure_table(search.rows)}"


def _cost_scatter(search: SearchFolder, cost: str) -> str:
    budget = next((b for b in search.budgets if b.cost == cost), Budget(cost))
    draw = partial(
        draw_cost_scatter,
        search.rows,
        score_name=search.score_name,
        cost=cost,
        lower=budget.lower,
        upper=budget.upper,
        greater_is_better=search.greater_is_better,
    )
    name = cost_name(cost)
    caption = (
        f"The same candidates by {name}. The line is the Pareto front: the best score of the "
        "search with that cost or less."
    )
    return picture(draw, f"{search.score_name} against {name}", caption)


def _figures(search: SearchFolder) -> str:
    best = search.best
    if best is None or best.score is None:
        return '<p class="alarm">No candidate has a score.</p>'
    figures = [(f"best {search.score_name}", readable_score(best.score))]
    random = best_of(search.rows, search.greater_is_better, RANDOM)
    if random is not None and random.score is not None:
        difference = best.score - random.score
        sign = "+" if difference >= 0 else "\N{MINUS SIGN}"
        against = f"against the best of {len(search.of_role(RANDOM))} random"
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
