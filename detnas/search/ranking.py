"""The one order of candidates, for strategies and for histories."""

from collections.abc import Mapping

RankKey = tuple[float, float, tuple[int, ...]]


def rank_key(score: float, costs: Mapping[str, float], place: tuple[int, ...]) -> RankKey:
    """Sorts the best candidate first: by score, then by the first cost, then by its place.

    Args:
        score: the higher the better.
        costs: by name; the lower the better.
        place: in the order of proposal.
    """
    return (-score, next(iter(costs.values())), place)
