"""Racing: candidates are scored on growing shares of the search split, hopeless ones are dropped.

The images of a share are the same for all candidates, and the shares are nested. So the score on
the whole split is regressed on the score on a share, by least squares over the candidates of
earlier generations that were scored in full. A candidate is dropped at a share if the upper
prediction bound of its full score lies below the score of the last parent. Solved for the score on
the share, this is one cut-off a share, known before a generation begins.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
from msgspec import Meta, Struct

from detnas.errors import UserError
from detnas.search.history.records import Evaluation, ranked

MIN_FULL = 10
"""Full results that a regression needs; before, no candidate is dropped."""

DROPPED_AT = "racing/dropped_at"
"""The metric of a dropped candidate that says at which share it was dropped."""

SHARES = 5  # number of this random use; detnas.training.seeding and detnas.evaluation have 0 to 4

CutOffs = tuple[float, ...]
"""For each share the score that a candidate must reach; infinite where nobody is dropped."""

Share = Annotated[float, Meta(gt=0, lt=1)]


class RacingSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Scoring on growing shares of the search split.

    Attributes:
        shares: of the search split, in increasing order; each contains the one before. The whole
            split is the last one, and is not listed.
        confidence: of the one-sided prediction bound of a candidate's full score; it is dropped if
            that is worse than the last parent's score.
    """

    shares: Annotated[tuple[Share, ...], Meta(min_length=1)] = (0.125, 0.25, 0.5)
    confidence: Annotated[float, Meta(ge=0.5, lt=1)] = 0.975

    def __post_init__(self) -> None:
        if list(self.shares) != sorted(set(self.shares)):
            raise UserError(
                f"search.racing.shares must increase, not {list(self.shares)}: sort them"
            )


def share_metric(score: str, share: float) -> str:
    """The name of a candidate's score on a share of the split, among its metrics."""
    return f"racing/{share:g}/{score}"


def share_images(images: int, shares: Sequence[float], seed: int) -> list[list[int]]:
    """The images of each share: places in the split, in increasing order.

    They are the first ones of a seeded permutation, rounded up, so each share contains the one
    before.
    """
    order = np.random.default_rng([seed, SHARES]).permutation(images)
    return [sorted(order[: math.ceil(images * share)].tolist()) for share in shares]


@dataclass(frozen=True)
class Race:
    """The test by which a search drops candidates.

    Attributes:
        settings: of the config.
        score: the metric that ranks candidates.
        parents: a candidate that will not be among this many best ones is of no use.
        greater_is_better: whether the highest score wins.
    """

    settings: RacingSettings
    score: str
    parents: int
    greater_is_better: bool = True

    def cut_offs(self, earlier: Iterable[Evaluation]) -> CutOffs:
        """The cut-offs of a generation, from the results of all generations before it.

        A function of the scores of candidates that were scored in full; others do not count.
        """
        full = ranked(earlier, self.greater_is_better)
        sign = 1.0 if self.greater_is_better else -1.0
        names = [share_metric(self.score, share) for share in self.settings.shares]
        parts = np.array([[row.metrics.get(name) for name in names] for row in full], dtype=float)
        whole = np.array([row.score for row in full], dtype=float)
        cuts = cut_offs(
            *(sign * parts.reshape(len(full), len(names)), sign * whole),
            *(self.parents, self.settings.confidence),
        )
        return tuple(sign * cut for cut in cuts)

    def drops(self, place: int, score: float, cut_offs: CutOffs) -> bool:
        """Whether a candidate is dropped at a share, by its place among the shares."""
        cut = cut_offs[place]
        return score < cut if self.greater_is_better else score > cut


def cut_offs(parts: np.ndarray, whole: np.ndarray, parents: int, confidence: float) -> CutOffs:
    """The cut-offs of a generation, where higher scores are better.

    Args:
        parts: scores on the shares of all candidates before it that were scored in full, float
            [n, shares]; nan where a share has none.
        whole: their scores on the whole split, float [n].
        parents: the rank to reach.
        confidence: see `cut_off`.
    """
    if len(whole) < max(parents, MIN_FULL):
        return (-math.inf,) * parts.shape[1]
    last_parent = float(np.sort(whole)[-parents])
    known = np.isfinite(parts)
    return tuple(
        cut_off(part[is_known], whole[is_known], last_parent, confidence)
        for part, is_known in zip(parts.T, known.T, strict=True)
    )


def cut_off(part: np.ndarray, whole: np.ndarray, target: float, confidence: float) -> float:
    """The score on a share below which the bound of the full score lies below the target.

    Args:
        part: scores on the share, float [n], higher is better.
        whole: scores of the same candidates on the whole split, float [n].
        target: the full score to reach.
        confidence: of the one-sided prediction bound by Student's t with n - 2 degrees.
    Returns:
        The cut-off; -inf for fewer than `MIN_FULL` candidates, or where the slope is not positive
        with the same confidence: then no score on the share would exclude the target.
    """
    n = len(part)
    if n < MIN_FULL:
        return -math.inf
    x, y = part - part.mean(), whole - whole.mean()
    spread = float(x @ x)
    if spread <= 0.0:
        return -math.inf
    slope = float(x @ y) / spread
    residual = y - slope * x
    error = student_t(confidence, n - 2) * math.sqrt(float(residual @ residual) / (n - 2))
    # The bound slope * u + error * sqrt(1 + 1/n + u^2 / spread) increases in u everywhere if the
    # first of these is positive, and reaches `gap` once: at the root of a quadratic equation.
    steep = slope**2 - error**2 / spread
    if slope <= 0.0 or steep <= 0.0:
        return -math.inf
    gap = target - float(whole.mean())
    constant = error**2 * (1 + 1 / n)
    root = math.sqrt(max((slope * gap) ** 2 - steep * (gap**2 - constant), 0.0))
    return float(part.mean()) + (slope * gap - root) / steep


@lru_cache
def student_t(confidence: float, degrees: int) -> float:
    """The quantile of Student's t distribution, for a one-sided confidence."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, confidence))


def is_dropped(metrics: Mapping[str, Any]) -> bool:
    """Whether an evaluator's metrics are those of a candidate that it has dropped."""
    return DROPPED_AT in metrics
