"""The architectures that a search starts from: from files, names or earlier searches."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice, zip_longest
from pathlib import Path

from detnas.errors import UserError, user_input
from detnas.search.costs import CandidateCosts
from detnas.search.history.file import FILE_NAME
from detnas.search.history.reading import SearchHistory, find_history
from detnas.search.strategies.base import require_inside
from search_space.architecture import PUBLISHED, Choices, parse_architecture
from search_space.sampling import BudgetSampler
from search_space.spaces import SearchSpace


def read_start(sources: Sequence[str], sampler: BudgetSampler, population: int) -> list[Choices]:
    """The first architectures of a search, none twice, at most `population`.

    Architectures come first, as listed. Earlier searches fill the rest of the population with
    their best candidates inside the budget; several searches take turns, since their scores cannot
    be compared. The channel shuffle of a source is ignored: the search has its own.

    Args:
        sources: each the path of an architecture's JSON file, a published name, "space:choices",
            or the path of an earlier search's work directory or `history.db`.
        sampler: of the new search; the sources must be of its space.
        population: candidates in its first generation.

    Raises:
        UserError: a source cannot be read or is of another space, an architecture is outside the
            budget, an earlier search has no candidate inside it, or there are more architectures
            than the population holds.
    """
    histories = [source for source in sources if _is_history(source)]
    named = [_architecture(source, sampler) for source in sources if source not in histories]
    best = [_best(source, sampler, population) for source in histories]
    start = list(dict.fromkeys(named))
    if len(start) > population:
        raise UserError(
            f"the search is to start from {len(start)} architectures, more than its population "
            f"({population}): leave some out or raise search.strategy.population"
        )
    return list(islice(dict.fromkeys(chain(start, _in_turns(best))), population))


def _is_history(source: str) -> bool:
    """Whether a source names a search; else it names an architecture."""
    path = Path(source)
    if source in PUBLISHED or not (path.is_dir() or path.suffix == ".db"):
        return False
    if path.is_dir() and not find_history(path).is_file():
        raise UserError(f"{source}: holds no {FILE_NAME}; give the work directory of a search")
    return True


def _architecture(source: str, sampler: BudgetSampler) -> Choices:
    with user_input():
        architecture = parse_architecture(source)
        choices = architecture.unscaled_choices(source)
    _require_space(source, architecture.space, sampler.space)
    require_inside(sampler, CandidateCosts(sampler), choices, source)
    return choices


def _best(source: str, sampler: BudgetSampler, n: int) -> list[Choices]:
    """The best `n` candidates of an earlier search inside the budget."""
    history = SearchHistory.read(source)
    _require_space(source, history.space, sampler.space)
    done = history.ranked()
    if not done:
        raise UserError(
            f"{source}: no candidate has a score; leave it out or resume that search first"
        )
    inside = [row.choices for row in done if sampler.contains(row.choices)]
    if not inside:
        budget = " and ".join(map(str, sampler.budgets))
        raise UserError(
            f"{source}: none of its {len(done)} candidates with a score lies within {budget}; "
            "leave it out or widen the budget"
        )
    return inside[:n]


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
