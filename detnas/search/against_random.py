"""What random search would have found: the comparison that every search owes its user.

A search's best of many is compared with the best of equally many random architectures. The first
generation is drawn uniformly within the budgets, so it is a random sample that costs nothing; the
random baseline adds to it. `detnas.report.random_text` says what the numbers show.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import frexp, inf, ldexp
from statistics import fmean, stdev

import numpy as np

from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import DONE, DROPPED, SEARCH, Evaluation
from detnas.search.ranking import best_of_probabilities

RESAMPLES = 2000
CONFIDENCE = 0.95
LARGEST = 1e150
"""Scores beyond it are not compared: their squares are no numbers."""


@dataclass(frozen=True)
class EqualCount:
    """The best of a search's first evaluations against that of as many random architectures.

    The search's first generation is among both.

    Attributes:
        evaluations: of either.
        search: best score of the search's first ones.
        random: best score of as many random ones; the expected one of a uniform selection where
            there are more.
    """

    evaluations: int
    search: float
    random: float


@dataclass(frozen=True)
class LaterMean:
    """The mean score of a search's next evaluations less that of as many random architectures.

    Attributes:
        evaluations: those after the first generation, at most as many as there are random ones.
        proposed: all of them that have a score.
        difference: of the two means.
        interval: 95 % bootstrap interval over the evaluations of both.
    """

    evaluations: int
    proposed: int
    difference: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class AgainstRandom:
    """Random architectures against a search.

    Attributes:
        drawn: how many uniformly drawn architectures have a score.
        mean: of their scores.
        deviation: their standard deviation.
        drawn_best: the best of their scores.
        equal: the comparison at equal counts; None where the only random architectures are the
            search's own first generation, of which both sides would be the same.
        later: the mean of what the search proposed after its first generation against that of the
            random ones; None with fewer than two such evaluations, or where racing dropped some of
            them before they had a score.
        best: the search's best score.
        evaluations: of the whole search, those that racing dropped included.
        expected: the best that as many random architectures would be expected to have, if scores
            were normally distributed with `mean` and `deviation`. An extrapolation.
        better: how many of the drawn ones score better than `best`.
        is_best: whether the search's best candidate is one of the drawn ones.
        share: with 95 % confidence at most this share of the budget's architectures scores better.
        greater_is_better: whether the highest score is the best.
    """

    drawn: int
    mean: float
    deviation: float
    drawn_best: float
    equal: EqualCount | None
    later: LaterMean | None
    best: float
    evaluations: int
    expected: float
    better: int
    is_best: bool
    share: float
    greater_is_better: bool


def uniform_draws(history: SearchHistory) -> list[Evaluation]:
    """The scored evaluations that were drawn uniformly: first generation and random baseline.

    A search that starts from given architectures has no uniform first generation. Architectures of
    the baseline that the first generation has, too, count once.
    """
    started = bool(history.fingerprint.get("start"))
    first = [] if started else [row for row in history.candidates if row.generation == 0]
    seen = {row.choices for row in first}
    rows = [*first, *(row for row in history.baseline if row.choices not in seen)]
    return [row for row in rows if row.score is not None]


def random_scores(history: SearchHistory) -> list[float]:
    """The scores of `uniform_draws`, the best first."""
    scores = [row.score for row in uniform_draws(history) if row.score is not None]
    return sorted(scores, reverse=history.greater_is_better)


def mean_score(scores: Sequence[float]) -> float:
    """The mean of finite scores, however large: their sum may be no number where their mean is."""
    _, exponent = frexp(max(map(abs, scores)))
    return ldexp(fmean(ldexp(score, -exponent) for score in scores), exponent)


def are_comparable(scores: Iterable[float]) -> bool:
    """Whether deviations and differences of scores can be computed: none is beyond `LARGEST`."""
    return all(abs(score) <= LARGEST for score in scores)


def against_random(history: SearchHistory) -> AgainstRandom | None:
    """Compare a search with random search.

    Returns:
        None with fewer than two random scores, or with a score beyond `LARGEST`.
    """
    sign = 1.0 if history.greater_is_better else -1.0
    draws = uniform_draws(history)
    random = sign * np.array([row.score for row in draws], dtype=float)
    # A race drops what is no better than others: it was evaluated, and is never the best.
    found = sign * np.array([_evaluated_as(row, sign) for row in _evaluated(history)])
    scored = found[np.isfinite(found)]
    if len(random) < 2 or not len(scored) or not are_comparable([*random, *scored]):
        return None
    scores = (sign * random).tolist()
    mean, deviation = fmean(scores), stdev(scores)
    better = int((random > found.max()).sum())
    has_baseline = any(row.role != SEARCH for row in draws)
    return AgainstRandom(
        drawn=len(random),
        drawn_best=float(sign * random.max()),
        mean=mean,
        deviation=deviation,
        equal=_at_equal_count(random, found, sign) if has_baseline else None,
        later=None
        if len(scored) < len(found)
        else _later_mean(random, found[_first_generation(history) :], sign),
        best=float(sign * found.max()),
        evaluations=len(found),
        expected=mean + sign * deviation * _expected_maximum(len(found)),
        better=better,
        is_best=history.require_best().choices in {row.choices for row in draws},
        share=1.0 if better == len(random) else _upper_bound(better, len(random)),
        greater_is_better=history.greater_is_better,
    )


def _at_equal_count(random: np.ndarray, found: np.ndarray, sign: float) -> EqualCount:
    count = min(len(random), len(found))
    best = np.sort(random)[::-1] @ best_of_probabilities(len(random), count)
    return EqualCount(count, float(sign * found[:count].max()), float(sign * best))


def _evaluated(history: SearchHistory) -> list[Evaluation]:
    """The candidates that have a score or were dropped by racing, in the order of proposal."""
    return [row for row in history.candidates if row.status in (DONE, DROPPED)]


def _evaluated_as(row: Evaluation, sign: float) -> float:
    return -sign * inf if row.score is None else row.score


def _first_generation(history: SearchHistory) -> int:
    """How many candidates of the first generation have a score."""
    return sum(row.generation == 0 and row.score is not None for row in history.candidates)


def _later_mean(random: np.ndarray, later: np.ndarray, sign: float) -> LaterMean | None:
    proposed, later = len(later), later[: len(random)]
    if len(later) < 2:
        return None
    rng = np.random.default_rng(0)
    drawn = [rng.choice(each, (RESAMPLES, len(each))).mean(axis=1) for each in (later, random)]
    low, high = sorted((sign * np.quantile(drawn[0] - drawn[1], (0.025, 0.975))).tolist())
    difference = float(sign * (later.mean() - random.mean()))
    return LaterMean(len(later), proposed, difference, (low, high))


def _upper_bound(successes: int, trials: int) -> float:
    """The one-sided upper confidence bound of Clopper and Pearson (1934) on a share."""
    from scipy.stats import beta  # slow to import

    return float(beta.ppf(CONFIDENCE, successes + 1, trials - successes))


def _expected_maximum(n: int) -> float:
    """The mean largest of `n` standard normal numbers, by Blom's (1958) approximation."""
    from scipy.stats import norm

    return float(norm.ppf((n - 0.375) / (n + 0.25)))
