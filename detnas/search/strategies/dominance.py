"""Points with several objectives, all minimised: dominance, front ranks, crowding distances.

A point dominates another if it is nowhere worse and somewhere better. Points are float arrays
[points, objectives] of finite numbers.
"""

from types import ModuleType

import numpy as np

from detnas.errors import MissingPackageError


def require_moocore() -> ModuleType:
    """Import moocore, which ranks fronts; only the commands that need it do.

    Raises:
        MissingPackageError: moocore is not installed.
    """
    try:
        import moocore
    except ModuleNotFoundError as error:
        if error.name != "moocore":
            raise
        raise MissingPackageError(
            "search.strategy 'pareto' needs moocore, which is not installed: "
            "run `pip install 'detnas[pareto]'`"
        ) from None
    module: ModuleType = moocore
    return module


def nondominated(points: np.ndarray) -> np.ndarray:
    """Which points no other one dominates: bool [points]; equal points get the same value.

    Works without moocore, for the front of any history; the time is quadratic in the points.
    """
    assert np.isfinite(points).all()
    dominated = [
        bool(((points <= point).all(axis=1) & (points < point).any(axis=1)).any())
        for point in points
    ]
    return ~np.array(dominated, dtype=bool)


def front_ranks(points: np.ndarray) -> np.ndarray:
    """Each point's front, int [points]: 0 if no point dominates it, 1 if only front 0 does, ..."""
    assert np.isfinite(points).all()
    ranks: np.ndarray = require_moocore().pareto_rank(points)
    return ranks


def crowding_distances(front: np.ndarray) -> np.ndarray:
    """Crowding distance of each point of one front, float [points]; a higher one is better.

    As in NSGA-II (Deb et al. 2002, section III-B): the gap between a point's neighbours in each
    objective, as a share of the objective's range, summed up; infinite at the ends of an objective.
    Independent of the points' order: neighbours are the next different values, an objective with
    equal values adds nothing, and of equal points the first one has the distance, the others 0.
    """
    unique, first = np.unique(front, axis=0, return_index=True)
    distances = np.zeros(len(front))
    for objective in unique.T:
        values, places = np.unique(objective, return_inverse=True)
        if len(values) > 1:
            around = np.concatenate([[-np.inf], values, [np.inf]])
            gaps = (around[2:] - around[:-2]) / (values[-1] - values[0])
            distances[first] += gaps[places]
    return distances


def crowded_order(points: np.ndarray) -> list[int]:
    """Indices of points, the best first: by front, then the less crowded, then the earlier."""
    ranks = front_ranks(points)
    crowding = np.empty(len(points))
    for rank in np.unique(ranks):
        crowding[ranks == rank] = crowding_distances(points[ranks == rank])
    order: list[int] = np.lexsort((-crowding, ranks)).tolist()
    return order
