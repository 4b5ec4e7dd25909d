"""Warm starts: the architectures that a search begins with, from files, names or earlier searches.

Imports neither torch nor OpenMMLab.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, islice, zip_longest
from pathlib import Path

from detnas.errors import UserError
from detnas.search.costs import candidate_costs
from detnas.search.history.file import FILE_NAME, find_history
from detnas.search.history.records import DONE, SEARCH, best_of, read_fingerprint, read_history
from detnas.search.strategies import Choices
from detnas.search.strategies.base import require_inside
from search_space.architecture import parse_architecture
from search_space.published import PUBLISHED
from search_space.sampling import BudgetSampler
from search_space.spaces import SearchSpace


def read_start(sources: Sequence[str], sampler: BudgetSampler, population: int) -> list[Choices]:
    """The first architectures of a search, none twice, at most `population`.

    Architectures come first, as listed. Earlier searches fill what is left of the population with
    their best candidates inside the budget; several take turns, since their scores do not compare.
    The channel shuffle of a source plays no part: the search has its own.

    Args:
        sources: each the path of an architecture's JSON file, a published name, "space:choices",
            or the path of an earlier search's work directory or `history.db`.
        sampler: of the search that is to begin; the sources must be of its space.
        population: candidates in its first generation.

    Raises:
        ValueError: a source cannot be read, is of another space, is an architecture outside the
            budget or an earlier search with no candidate inside it, or there are more
            architectures than the population holds.
    """
    histories = {source: file for source in sources if (file := _history_file(source)) is not None}
    named = [_architecture(source, sampler) for source in sources if source not in histories]
    best = [_best(source, file, sampler, population) for source, file in histories.items()]
    start = list(dict.fromkeys(named))
    if len(start) > population:
        raise UserError(
            f"the search is to start from {len(start)} architectures, more than its population "
            f"({population}): leave some out or raise search.strategy.population"
        )
    return list(islice(dict.fromkeys(chain(start, _in_turns(best))), population))


def _history_file(source: str) -> Path | None:
    """The history that a source names, None where it names an architecture."""
    path = Path(source)
    if source in PUBLISHED or not (path.is_dir() or path.suffix == ".db"):
        return None
    if not path.is_dir():
        return path
    file = find_history(path)
    if not file.is_file():
        raise UserError(f"{source}: holds no {FILE_NAME}; give the work directory of a search")
    return file


def _architecture(source: str, sampler: BudgetSampler) -> Choices:
    architecture = parse_architecture(source)
    _require_space(source, architecture.space, sampler.space)
    require_inside(sampler, candidate_costs(sampler), architecture.choices, source)
    return architecture.choices


def _best(source: str, file: Path, sampler: BudgetSampler, n: int) -> list[Choices]:
    """A history's best `n` candidates inside the budget, ranked as its search ranks them."""
    rows, fingerprint = read_history(file), read_fingerprint(file)
    try:
        space = SearchSpace.from_dict(fingerprint["space"])
        greater_is_better = bool(fingerprint["greater_is_better"])
    except KeyError as error:
        raise UserError(f"{source}: its settings lack {error}, no search made it") from None
    _require_space(source, space, sampler.space)
    done = [row for row in rows if row.role == SEARCH and row.status == DONE]
    if not done:
        raise UserError(
            f"{source}: no candidate has a score; leave it out or let that search go on first"
        )
    left = [row for row in done if sampler.contains(row.choices)]
    if not left:
        budget = " and ".join(map(str, sampler.budgets))
        raise UserError(
            f"{source}: none of its {len(done)} candidates with a score lies within {budget}; "
            "leave it out or widen the budget"
        )
    best: list[Choices] = []
    while len(best) < n and (row := best_of(left, greater_is_better)) is not None:
        left.remove(row)
        best.append(row.choices)
    return best


def _require_space(source: str, space: SearchSpace, wanted: SearchSpace) -> None:
    if space != wanted:
        raise UserError(
            f"{source}: is of the space {space.name!r}, this search is of {wanted.name!r}; "
            "leave it out"
        )


def _in_turns(lists: Sequence[Sequence[Choices]]) -> Iterator[Choices]:
    """The first of each list, then the second of each, and so on."""
    for turn in zip_longest(*lists):
        yield from (choices for choices in turn if choices is not None)
