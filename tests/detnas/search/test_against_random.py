"""Random architectures against a search, and the effects of choices, from known scores."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detnas.search.against_random import against_random, uniform_draws
from detnas.search.choice_effects import choice_effects
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import RANDOM
from detnas.search.history.writer import History
from search_space.architecture import as_choices
from search_space.sampling import BudgetSampler
from search_space.spaces import get_space

TINY, SKIP = get_space("tiny"), get_space("tiny-skip")
DRAWN = [as_choices(row) for row in BudgetSampler(TINY).sample(np.random.default_rng(0), 100)]


def history(
    folder: Path,
    generations: list[list[float]],
    baseline: tuple[float, ...] = (),
    **settings: Any,
) -> SearchHistory:
    """A history with these scores, of different architectures."""
    fingerprint = {"space": TINY.to_dict(), "greater_is_better": True, **settings}
    chosen = iter(DRAWN)
    file = folder / "history.db"
    with History.create(file, fingerprint) as writer:
        for number, (scores, role) in enumerate(
            [*((scores, "search") for scores in generations), (list(baseline), RANDOM)]
        ):
            generation = number if role != RANDOM else 0
            writer.record_generation(
                generation, [(next(chosen), {"macs": 1.0}) for _ in scores], role
            )
            for row, score in zip(writer.generation(generation, role), scores, strict=True):
                writer.record_done(row.id, score, {})
    return SearchHistory.read(file)


def test_the_first_generation_is_a_random_sample(tmp_path: Path) -> None:
    compared = against_random(history(tmp_path, [[0.1, 0.2, 0.3], [0.25, 0.4]]))
    assert compared is not None
    assert (compared.drawn, compared.best, compared.evaluations) == (3, 0.4, 5)
    assert compared.mean == pytest.approx(0.2)
    assert compared.deviation == pytest.approx(0.1)
    assert compared.equal is None  # both sides would be the first generation
    assert compared.better == 0
    assert compared.share == pytest.approx(1 - 0.05 ** (1 / 3))
    # The mean largest of 5 standard normal numbers is 1.163 (Harter, 1961).
    assert compared.expected == pytest.approx(0.2 + 0.1 * 1.163, abs=0.003)


def test_equal_counts_are_compared(tmp_path: Path) -> None:
    compared = against_random(history(tmp_path, [[0.1, 0.2], [0.3, 0.6]], (0.2, 0.5)))
    assert compared is not None
    assert compared.equal is not None
    assert compared.equal.evaluations == 4
    assert compared.equal.search == 0.6
    assert compared.equal.random == 0.5  # the best of 0.1, 0.2, 0.2, 0.5
    assert compared.better == 0
    assert compared.later is not None
    assert compared.later.evaluations == 2
    assert compared.later.difference == pytest.approx(0.45 - 0.25)
    low, high = compared.later.interval
    assert low < 0.2 < high


def test_the_best_of_fewer_is_the_expected_one_of_a_selection(tmp_path: Path) -> None:
    compared = against_random(history(tmp_path, [[0.3, 0.6]], (0.1, 0.2)))
    assert compared is not None
    assert compared.equal is not None
    assert compared.equal.evaluations == 2
    # Of the six pairs of 0.1, 0.2, 0.3, 0.6, three have 0.6, two of the others 0.3, one 0.2.
    assert compared.equal.random == pytest.approx((3 * 0.6 + 2 * 0.3 + 0.2) / 6)
    assert compared.later is None


def test_lower_may_be_better(tmp_path: Path) -> None:
    found = history(tmp_path, [[3.0, 2.0], [1.0]], (0.5, 4.0), greater_is_better=False)
    compared = against_random(found)
    assert compared is not None
    assert compared.best == 1.0
    assert compared.better == 1
    assert compared.expected < compared.mean
    assert compared.equal is not None
    assert (compared.equal.search, compared.equal.random) == (1.0, pytest.approx(0.875))


def test_a_warm_start_is_no_random_sample(tmp_path: Path) -> None:
    found = history(tmp_path, [[0.1, 0.2]], (0.3,), start={"from": ["x"], "choices": []})
    assert [row.score for row in uniform_draws(found)] == [0.3]
    assert against_random(found) is None


def test_an_untrained_choice_is_found() -> None:
    rng = np.random.default_rng(0)
    drawn = BudgetSampler(SKIP).sample(rng, 60)
    broken = (drawn[:, 4:8] == 3).sum(axis=1)  # Xception in the third stage
    scores = 0.3 - 0.12 * broken + rng.normal(0, 0.01, 60)
    effects = choice_effects(SKIP, [as_choices(row) for row in drawn], scores.tolist())
    untrained = [(effect.stage, effect.choice) for effect in effects if effect.is_untrained]
    assert untrained == [(2, "xception_3x3")]
    assert {effect.stage for effect in effects if effect.choice == "skip"} == {0, 1, 2, 3}
    losses = choice_effects(SKIP, [as_choices(row) for row in drawn], (-scores).tolist(), False)
    assert [effect.is_untrained for effect in losses] == [e.is_untrained for e in effects]


def test_equal_scores_condemn_no_choice() -> None:
    effects = choice_effects(TINY, DRAWN[:20], [0.3] * 20)
    assert not any(effect.is_untrained for effect in effects)
    assert all(effect.difference == pytest.approx(0) for effect in effects if effect.blocks)


def test_effects_are_weighted_means() -> None:
    one, two = (0,) * 10, (0, 1) + (0,) * 8
    effects = choice_effects(TINY, [one, two], [1.0, 2.0])
    first = {effect.choice: effect for effect in effects if effect.stage == 0}
    assert first["shufflenet_3x3"].mean == pytest.approx((2 * 1.0 + 1 * 2.0) / 3)
    assert first["shufflenet_5x5"].mean == 2.0
    assert first["xception_3x3"].mean is None
