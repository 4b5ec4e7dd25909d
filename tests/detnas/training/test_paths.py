"""Path policies: functions of (seed, step), uniform within budgets and bins, strictly fair."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from detnas.training.paths import StrictlyFairPaths, UniformBinPaths, UniformPaths
from search_space.cost import macs_table
from search_space.sampling import Budget, enumerate_space
from search_space.spaces import PAPER_CHOICES, SearchSpace, Stage, get_space

TINY, SMALL = get_space("tiny"), get_space("small")


def test_a_path_is_a_function_of_seed_and_step() -> None:
    one, other = UniformPaths(TINY, 1), UniformPaths(TINY, 2)
    assert [one.paths(i) for i in (5, 3, 5)] == [UniformPaths(TINY, 1).paths(i) for i in (5, 3, 5)]
    assert one.paths(3) != other.paths(3)
    assert len({one.paths(i) for i in range(50)}) > 45


def test_paths_keep_a_budget() -> None:
    table = macs_table(TINY)
    policy = UniformPaths(TINY, 0, [Budget(upper=36e6)])
    assert max(table.of(policy.paths(i)[0]) for i in range(50)) <= 36e6


def test_all_choices_of_all_blocks_are_trained() -> None:
    policy = UniformPaths(TINY, 0)
    seen = {(b, c) for i in range(60) for b, c in enumerate(policy.paths(i)[0])}
    assert len(seen) == 40


def test_the_authors_bins_are_drawn_equally_often() -> None:
    """Seven bins of 10M from 257M; uniform paths would mostly be in the middle bins."""
    table = macs_table(SMALL)
    policy = UniformBinPaths(SMALL, seed=0, lower=257e6, upper=327e6, bins=7)
    costs = np.array([table.of(policy.paths(i)[0]) for i in range(1400)])
    assert costs.min() >= 257e6
    assert costs.max() <= 327e6
    counts = np.histogram(costs, bins=7, range=(257e6, 327e6))[0]
    expected = len(costs) / 7
    assert ((counts - expected) ** 2 / expected).sum() < 22.5  # chi-square, 6 degrees, p = 0.001
    uniform = np.histogram(
        [table.of(UniformPaths(SMALL, 0).paths(i)[0]) for i in range(1400)], 7, (257e6, 327e6)
    )[0]
    assert ((uniform - expected) ** 2 / expected).sum() > 500  # so the test can fail


def test_paths_within_a_bin_are_equally_likely() -> None:
    """In a space of 64 architectures, against the enumeration of each bin."""
    space = SearchSpace("three", 4, (Stage(8, 1), Stage(16, 1), Stage(32, 1)), PAPER_CHOICES)
    table = macs_table(space)
    lower, upper, bins = table.min, table.max, 2
    policy = UniformBinPaths(space, seed=3, lower=lower, upper=upper, bins=bins)
    drawn = Counter(policy.paths(i)[0] for i in range(4000))
    middle = (lower + upper) / 2
    low = [a for a in enumerate_space(space) if table.of(a) <= middle]
    high = [a for a in enumerate_space(space) if table.of(a) >= middle]
    for members in (low, high):
        expected = 2000 / len(members)
        chi = sum((drawn[a] - expected) ** 2 / expected for a in members)
        assert chi < 2.2 * len(members), (chi, len(members))
    assert set(drawn) == {*low, *high}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lower": 1e6, "upper": 2e6, "bins": 1}, "bin is empty.*237,222,720"),
        ({"lower": 3e8, "upper": 2e8, "bins": 3}, "lower < upper"),
        ({"lower": 2.5e8, "upper": 3e8, "bins": 0}, "bins >= 1"),
    ],
)
def test_impossible_bins_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UniformBinPaths(SMALL, 0, **arguments)


def test_strictly_fair_paths_use_every_choice_of_every_block_once() -> None:
    policy = StrictlyFairPaths(TINY, seed=0)
    for step in range(20):
        paths = policy.paths(step)
        assert len(paths) == 4
        assert all(sorted(column) == [0, 1, 2, 3] for column in zip(*paths, strict=True))
    firsts = np.array([policy.paths(i)[0] for i in range(600)])
    for block in firsts.T:  # every choice is equally often in the first path
        assert np.abs(np.bincount(block, minlength=4) - 150).max() < 50
    assert abs(np.corrcoef(firsts[:, 0], firsts[:, 1])[0, 1]) < 0.15  # blocks are independent
