"""The finalists of a search: its best candidates, scored again, with intervals.

Each finalist is scored with several calibration seeds, which choose the images that recalibrate
batch norm. Where the metric allows it, each of these scores is also computed on resampled sets of
the images of the search split. Seeds and sets are the same for all finalists, so that the
differences between finalists are paired.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from detnas.errors import UserError
from detnas.search.choice_file import read_choice, save_choice
from detnas.search.history.records import Evaluation
from search_space.architecture import Choices

FINALISTS_FILE = "finalists.json"
FORMAT, VERSION = "detnas-finalists", 1
RESAMPLE_KEY = "resample/"
"""The score on the n-th resampled set of images is the metric "resample/n"."""

MAX_SEEDS = 20
# Two-sided 95% quantiles of Student's t for 1 to 19 degrees of freedom.
STUDENT = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093),
)

Interval = tuple[float, float]
Values = NDArray[np.float64]


class Finalist(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A candidate that was scored again.

    Attributes:
        choices: one block choice per block.
        search_score: its score in the search.
        scores: its scores, one per calibration seed.
        mean: of `scores`.
        interval: 95% interval of the mean; None where one seed is all there is.
        difference: the mean less that of the best finalist.
        difference_interval: 95% interval of the difference.
        indistinguishable: whether it cannot be told apart from the best: the interval of the
            difference contains 0, or there is none. True for the best itself.
    """

    choices: Choices
    search_score: float
    scores: tuple[float, ...]
    mean: float
    interval: Interval | None
    difference: float
    difference_interval: Interval | None
    indistinguishable: bool


class Failure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A candidate of which a try to score it again failed."""

    choices: Choices
    error: str


class Finalists(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `finalists.json`.

    Attributes:
        metric: the score.
        greater_is_better: whether the highest score is the best.
        seeds: the calibration seeds.
        resamples: sets of images that the intervals come from; 0 where they come from the
            calibration seeds alone.
        finalists: the best mean first.
        failed: those that could not be compared.
    """

    metric: str
    greater_is_better: bool
    seeds: tuple[int, ...]
    resamples: int
    finalists: Annotated[tuple[Finalist, ...], msgspec.Meta(min_length=1)]
    failed: tuple[Failure, ...] = ()
    format: str = FORMAT
    version: int = VERSION

    @property
    def best(self) -> Finalist:
        """The finalist with the best mean."""
        return self.finalists[0]

    def save(self, path: Path) -> None:
        """Write the JSON file, whole or not at all."""
        save_choice(self, path)


def read_finalists(folder: Path) -> Finalists | None:
    """The finalists in the work directory of a search; None where there is no such file.

    Raises:
        UserError: the file is damaged or of another version.
    """
    path = folder / FINALISTS_FILE
    return read_choice(path, Finalists, FORMAT, VERSION, "finalists")


def compare_finalists(
    candidates: Sequence[Evaluation],
    rescored: Mapping[int, Mapping[Choices, Evaluation]],
    metric: str,
    greater_is_better: bool,
) -> Finalists:
    """Rank finalists by the mean of their new scores, with intervals.

    With resampled images, an interval is that of a bootstrap over images and calibration seeds.
    Otherwise it is Student's, of the calibration seeds alone.

    Args:
        candidates: rows of the search, the best first; the order decides between equal means.
        rescored: for each calibration seed, the new evaluation of each candidate.
        metric: name of the score.
        greater_is_better: whether the highest score is the best.
    Raises:
        UserError: each candidate failed with one of the seeds.
    """
    failed = [
        Failure(row.choices, new[row.choices].error or "")
        for row in candidates
        for new in rescored.values()
        if new[row.choices].score is None
    ]
    lost = {failure.choices for failure in failed}
    rows = [row for row in candidates if row.choices not in lost]
    if not rows:
        raise UserError(
            f"no finalist could be scored again, the last one failed with {failed[-1].error}; "
            "fix that, then try again with --resume"
        )
    again = [[new[row.choices] for new in rescored.values()] for row in rows]
    scores = np.array([[one.score for one in of_row] for of_row in again], float)
    means = scores.mean(axis=1)
    ranked = np.argsort(-means if greater_is_better else means, kind="stable")
    best = ranked[0]
    bootstrap = _bootstrap_means(_resampled(again))

    def finalist(place: int) -> Finalist:
        if bootstrap is None:
            own, apart = _student(scores[place]), _student(scores[place] - scores[best])
        else:
            own = _quantiles(bootstrap[place])
            apart = _quantiles(bootstrap[place] - bootstrap[best])
        row = rows[place]
        assert row.score is not None, "it is ranked"
        return Finalist(
            choices=row.choices,
            search_score=row.score,
            scores=tuple(scores[place].tolist()),
            mean=float(means[place]),
            interval=own,
            difference=float(means[place] - means[best]),
            difference_interval=apart,
            indistinguishable=apart is None or apart[0] <= 0 <= apart[1],
        )

    return Finalists(
        metric=metric,
        greater_is_better=greater_is_better,
        seeds=tuple(rescored),
        resamples=0 if bootstrap is None else bootstrap.shape[1],
        finalists=tuple(finalist(int(place)) for place in ranked),
        failed=tuple({failure.choices: failure for failure in failed}.values()),
    )


def _resampled(again: Sequence[Sequence[Evaluation]]) -> Values:
    """Scores on sets of images, (finalists, seeds, sets), of those sets that all of them have."""
    names = [name for name in again[0][0].metrics if name.startswith(RESAMPLE_KEY)]
    values = np.array(
        [[[one.metrics.get(name) for name in names] for one in row] for row in again], float
    )
    return values[:, :, ~np.isnan(values).any(axis=(0, 1))]


def _bootstrap_means(resampled: Values) -> Values | None:
    """Means over calibration seeds drawn with replacement, (finalists, sets); None without sets."""
    _, seeds, sets = resampled.shape
    if sets == 0:
        return None
    drawn = np.random.default_rng(0).integers(0, seeds, (seeds, sets))
    return resampled[:, drawn, np.arange(sets)].mean(axis=1)


def _quantiles(values: Values) -> Interval:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def _student(values: Values) -> Interval | None:
    if len(values) < 2:
        return None
    half = STUDENT[len(values) - 2] * values.std(ddof=1) / math.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)
