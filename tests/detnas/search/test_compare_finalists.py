"""The comparison of finalists: means, paired intervals, and what cannot be told apart."""

from pathlib import Path

import numpy as np
import pytest

from detnas.search.finalists import (
    FINALISTS_FILE,
    RESAMPLE_KEY,
    Finalists,
    compare_finalists,
    read_finalists,
)
from detnas.search.history.records import DONE, FAILED, SEARCH, Evaluation
from search_space.architecture import Choices

SETS = 200


def row(choices: Choices, score: float | None, metrics: dict[str, float | None]) -> Evaluation:
    status, error = (DONE, None) if score is not None else (FAILED, "RuntimeError: unlucky")
    return Evaluation(
        *(1, SEARCH, 0, 0, choices, status, score, metrics, {"macs": 1.0}, error),
        *(1, "local", 0.0, 0.0, 1.0),
    )


def compare(
    scores: list[list[float | None]], noise: float | None = None, greater: bool = True
) -> Finalists:
    """Candidates 0, 1, ... with scores by seed; `noise` of resampled images, common to all."""
    common = np.random.default_rng(0).normal(0, 1, SETS)
    candidates, rescored = [], {}
    for number, by_seed in enumerate(scores):
        candidates.append(row((number,), 0.5, {}))
        own = common + 0.01 * np.random.default_rng(number).normal(0, 1, SETS)
        for seed, score in enumerate(by_seed, 5):
            metrics: dict[str, float | None] = {}
            if noise is not None and score is not None:
                values = score + noise * own
                metrics = {f"{RESAMPLE_KEY}{n}": float(v) for n, v in enumerate(values)}
            rescored.setdefault(seed, {})[(number,)] = row((number,), score, metrics)
    return compare_finalists(candidates, rescored, "mAP", greater)


def test_finalists_are_ranked_by_their_mean() -> None:
    found = compare([[0.25, 0.25], [0.5, 0.25], [0.375, 0.375]])
    assert [each.choices for each in found.finalists] == [(1,), (2,), (0,)]
    assert found.best.mean == 0.375
    assert found.best.scores == (0.5, 0.25)
    assert found.finalists[2].difference == -0.125
    assert found.seeds == (5, 6)
    lowest = compare([[0.30, 0.32], [0.35, 0.33]], greater=False)
    assert lowest.best.choices == (0,)
    assert lowest.finalists[1].difference == pytest.approx(0.03)


def test_intervals_of_seeds_alone_are_students() -> None:
    found = compare([[0.3, 0.4, 0.5], [0.2, 0.3, 0.4], [0.1, 0.35, 0.7]])
    assert found.resamples == 0
    half = 4.303 * 0.1 / 3**0.5
    assert found.best.interval == pytest.approx((0.4 - half, 0.4 + half), rel=1e-3)
    paired = next(each for each in found.finalists if each.choices == (1,))
    assert paired.difference_interval == pytest.approx((-0.1, -0.1))  # the same in each seed
    assert not paired.indistinguishable
    noisy = next(each for each in found.finalists if each.choices == (2,))
    assert noisy.indistinguishable


def test_differences_are_paired_over_images() -> None:
    """Noise of the images that moves all alike widens the intervals, not the differences."""
    found = compare([[0.40, 0.41], [0.38, 0.39], [0.3999, 0.4099]], noise=0.05)
    assert found.resamples == SETS
    best, close, worse = found.finalists
    for each in found.finalists:
        low, high = each.interval or (0, 0)
        assert 0.1 < high - low < 0.3
        assert low < each.mean < high
    assert (close.choices, close.indistinguishable) == ((2,), True)
    assert (worse.choices, worse.indistinguishable) == ((1,), False)
    assert worse.difference_interval is not None
    assert np.ptp(worse.difference_interval) < 0.01
    assert best.difference_interval == (0, 0)
    assert best.indistinguishable


def test_intervals_include_the_calibration_seeds() -> None:
    steady, moved = compare([[0.4] * 3], noise=0.0), compare([[0.3, 0.4, 0.5]], noise=0.0)
    assert steady.best.interval == pytest.approx((0.4, 0.4))
    low, high = moved.best.interval or (0, 0)
    assert low < 0.35 < 0.45 < high


def test_one_seed_without_resampled_images_gives_no_interval() -> None:
    found = compare([[0.4], [0.1]])
    assert [each.interval for each in found.finalists] == [None, None]
    assert found.finalists[1].indistinguishable


def test_sets_without_a_score_are_left_out() -> None:
    whole = {f"{RESAMPLE_KEY}{number}": 0.1 for number in range(4)}
    partly: dict[str, float | None] = {**whole, f"{RESAMPLE_KEY}2": None}
    rescored = {1: {(0,): row((0,), 0.1, whole), (1,): row((1,), 0.1, partly)}}
    candidates = [row((0,), 0.1, {}), row((1,), 0.1, {})]
    assert compare_finalists(candidates, rescored, "mAP", True).resamples == 3


def test_a_finalist_that_fails_is_not_compared() -> None:
    found = compare([[0.4, None], [0.1, 0.1]])
    assert [each.choices for each in found.finalists] == [(1,)]
    assert [(each.choices, each.error) for each in found.failed] == [
        ((0,), "RuntimeError: unlucky")
    ]
    with pytest.raises(ValueError, match=r"no finalist could be scored again.*unlucky.*--resume"):
        compare([[None, None]])


def test_the_file_is_read_back(tmp_path: Path) -> None:
    assert read_finalists(tmp_path) is None
    found = compare([[0.4, 0.41], [0.1, 0.2]], noise=0.1)
    found.save(tmp_path / FINALISTS_FILE)
    assert read_finalists(tmp_path) == found
    (tmp_path / FINALISTS_FILE).write_text('{"format": "detnas-finalists", "version": 1}')
    with pytest.raises(ValueError, match=r"finalists\.json: .*'metric' is missing"):
        read_finalists(tmp_path)
