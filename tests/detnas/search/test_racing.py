"""Racing: its cut-offs, and searches that drop candidates, killed and in worker processes."""

import math
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_search as toy
from scipy import stats
from toy_search import rows_of, toy_sampler, trajectory
from toy_workers import noisy_score

from detnas.errors import UserError
from detnas.search.executors.build import Machine, build_executor
from detnas.search.executors.local import LocalExecutor
from detnas.search.executors.settings import ExecutorSettings
from detnas.search.history import listing
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import Evaluation
from detnas.search.history.writer import History
from detnas.search.racing import (
    DROPPED_AT,
    Race,
    RacingSettings,
    cut_off,
    share_images,
    share_metric,
)
from detnas.search.strategies.evolution import EvolutionSettings
from search_space.architecture import Choices
from search_space.errors import SpaceError
from search_space.validation import convert

SETTINGS = RacingSettings(shares=(0.25, 0.5), confidence=0.9)
RACE = Race(SETTINGS, "score", parents=3)
EVOLUTION = EvolutionSettings(generations=5, population=12, parents=3, mutations=5, crossovers=5)


def part_score(choices: Choices, share: float) -> float:
    """The toy's score with the noise of few images."""
    rng = np.random.default_rng([*choices, int(100 * share)])
    return noisy_score(choices) + float(rng.normal(scale=0.3 * (1 - share) / share))


@dataclass(frozen=True)
class MakeRacer:
    """Builds a scorer that races as the evaluator does; picklable."""

    sign: float = 1.0

    def __call__(self) -> Any:
        return self.score

    def score(self, choices: Choices, cut_offs: Any = None) -> dict[str, float]:
        metrics: dict[str, float] = {}
        for place, share in enumerate(SETTINGS.shares if cut_offs else ()):
            metrics[share_metric("score", share)] = self.sign * part_score(choices, share)
            race = replace(RACE, greater_is_better=self.sign > 0)
            if race.drops(place, self.sign * part_score(choices, share), cut_offs):
                return metrics | {DROPPED_AT: share}
        return metrics | {"score": self.sign * noisy_score(choices)}


def race_search(path: Path, **options: Any) -> list[Evaluation]:
    options = {"race": RACE, "evaluate": MakeRacer().score, "baseline": 3, **options}
    toy.toy_search(path, EVOLUTION, **options)
    return rows_of(path)


def dropped(rows: list[Evaluation]) -> list[Evaluation]:
    return [row for row in rows if row.status == "dropped"]


def pairs(n: int, seed: int, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Scores on a share and on the whole split that a line and normal noise relate."""
    rng = np.random.default_rng(seed)
    part = rng.normal(0.3, 1.0, n)
    return part, 0.1 + 0.8 * part + rng.normal(scale=noise, size=n)


def bound(part: np.ndarray, whole: np.ndarray, at: float, confidence: float) -> float:
    """The upper prediction bound of the full score, by scipy's regression."""
    fit = stats.linregress(part, whole)
    rest = whole - fit.intercept - fit.slope * part
    n = len(part)
    spread = ((part - part.mean()) ** 2).sum()
    error = math.sqrt((rest @ rest) / (n - 2) * (1 + 1 / n + (at - part.mean()) ** 2 / spread))
    return float(fit.intercept + fit.slope * at + stats.t.ppf(confidence, n - 2) * error)


@pytest.mark.parametrize("n", [10, 11, 40, 300])
@pytest.mark.parametrize("confidence", [0.8, 0.975])
@pytest.mark.parametrize("target", [-1.0, 0.3, 2.0])
def test_the_bound_at_the_cut_off_is_the_target(n: int, confidence: float, target: float) -> None:
    part, whole = pairs(n, seed=n)
    cut = cut_off(part, whole, target, confidence)
    assert bound(part, whole, cut, confidence) == pytest.approx(target)
    assert bound(part, whole, cut - 0.01, confidence) < target


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.975])
def test_the_bound_covers_new_candidates_as_often_as_it_says(confidence: float) -> None:
    """A score lies above the bound where its candidate would be dropped though it reaches it."""
    wrong = total = 0
    for seed in range(400):
        part, whole = pairs(20, seed)
        new_part, new_whole = pairs(25, 10_000 + seed)
        wrong += sum(
            x < cut_off(part, whole, y, confidence)
            for x, y in zip(new_part, new_whole, strict=True)
        )
        total += len(new_part)
    assert wrong / total == pytest.approx(1 - confidence, abs=0.15 * (1 - confidence))


def test_selection_by_the_share_does_not_bias_the_bound() -> None:
    """Only candidates with a good score on the share have a full score."""
    wrong = total = 0
    for seed in range(400):
        part, whole = pairs(60, seed)
        kept = part > 0.3
        new_part, new_whole = pairs(25, 10_000 + seed)
        reaches = new_part > 0.3
        wrong += sum(
            x < cut_off(part[kept], whole[kept], y, 0.9)
            for x, y in zip(new_part[reaches], new_whole[reaches], strict=True)
        )
        total += int(reaches.sum())
    assert wrong / total == pytest.approx(0.1, abs=0.02)


def test_nobody_is_dropped_by_few_results_or_a_slope_that_may_be_zero() -> None:
    part, whole = pairs(9, 0)
    assert cut_off(part, whole, 5.0, 0.9) == -math.inf
    part, whole = pairs(30, 0)
    assert cut_off(part, -whole, 5.0, 0.9) == -math.inf
    assert cut_off(np.ones(30), whole, 5.0, 0.9) == -math.inf
    unrelated = np.random.default_rng(1).normal(size=30)
    assert cut_off(part, unrelated, 5.0, 0.975) == -math.inf
    assert math.isfinite(cut_off(part, whole, 5.0, 0.975))


def test_equal_scores_on_share_and_split_drop_all_that_are_worse() -> None:
    part, _ = pairs(20, 0)
    assert cut_off(part, part, 0.5, 0.975) == pytest.approx(0.5)


def test_shares_are_nested_and_a_function_of_the_seed() -> None:
    eighth, half = share_images(1001, (0.125, 0.5), seed=3)
    assert (len(eighth), len(half)) == (126, 501)
    assert set(eighth) < set(half) < set(range(1001))
    assert half == sorted(half)
    assert share_images(1001, (0.5,), seed=3) == [half]
    assert share_images(1001, (0.5,), seed=4) != [half]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"shares": [0.5, 0.25]}, r"search.racing.shares must increase, not \[0.5, 0.25\]"),
        ({"shares": [0.25, 0.25]}, "must increase"),
        ({"shares": [0.5, 1.0]}, r"search.racing.shares\[1\] .* < 1"),
        ({"shares": []}, "search.racing.shares"),
        ({"confidence": 1.0}, "search.racing.confidence .* < 1"),
        ({"share": [0.5]}, "share"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises((SpaceError, UserError), match=message):
        convert(given, RacingSettings, "search.racing")


def test_a_race_drops_candidates_and_breeds_from_those_scored_in_full(tmp_path: Path) -> None:
    rows = race_search(tmp_path / "history.db")
    lost = dropped(rows)
    assert lost
    assert {row.generation for row in lost} <= {1, 2, 3, 4}  # the first is scored in full
    for row in lost:
        assert (row.score, row.error, row.attempts, row.role) == (None, None, 1, "search")
        assert row.metrics[DROPPED_AT] in SETTINGS.shares
        assert share_metric("score", 0.25) in row.metrics
        assert (share_metric("score", 0.5) in row.metrics) == (row.metrics[DROPPED_AT] == 0.5)
    full = [row for row in rows if row.role == "search" and row.status == "done"]
    assert all(share_metric("score", share) in row.metrics for row in full for share in (0.25, 0.5))
    assert len(full) + len(lost) == 60
    baseline = [row for row in rows if row.role == "random"]
    assert all(row.status == "done" for row in baseline)


def test_the_cut_offs_are_those_of_the_generations_before(tmp_path: Path) -> None:
    seen: list[Any] = []

    def evaluate(choices: Choices, cut_offs: Any = None) -> dict[str, float]:
        seen.append(cut_offs)
        return MakeRacer().score(choices, cut_offs)

    rows = race_search(tmp_path / "history.db", evaluate=evaluate)
    assert len(seen) == 63
    assert seen[60:] == [None] * 3  # the baseline does not race
    assert set(seen[:12]) == {(-math.inf, -math.inf)}
    for generation in range(1, 5):
        given = set(seen[12 * generation : 12 * generation + 12])
        assert given == {RACE.cut_offs(row for row in rows if row.generation < generation)}
        assert all(math.isfinite(cut) for cut in given.pop())


def test_where_lower_is_better_the_same_candidates_are_dropped(tmp_path: Path) -> None:
    higher = race_search(tmp_path / "higher.db")
    lower = race_search(
        tmp_path / "lower.db",
        race=replace(RACE, greater_is_better=False),
        evaluate=MakeRacer(-1.0).score,
        greater_is_better=False,
    )
    assert [(row.choices, row.status) for row in lower] == [
        (row.choices, row.status) for row in higher
    ]


@pytest.mark.parametrize("results", [5, 17, 40, 59, 61])
def test_an_interrupted_race_continues_with_the_same_trajectory(
    tmp_path: Path, results: int
) -> None:
    left = results

    def interrupted(choices: Choices, cut_offs: Any = None) -> dict[str, float]:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return MakeRacer().score(choices, cut_offs)

    with pytest.raises(KeyboardInterrupt):
        race_search(tmp_path / "cut.db", evaluate=interrupted)
    cut, whole = race_search(tmp_path / "cut.db"), race_search(tmp_path / "whole.db")
    assert trajectory(cut) == trajectory(whole)
    assert [row.metrics for row in cut] == [row.metrics for row in whole]


def test_worker_processes_race_as_one_process_does(tmp_path: Path) -> None:
    settings = ExecutorSettings("processes", workers=2)
    with build_executor(settings, MakeRacer(), "score", Machine(0, 1)) as executor:
        shared = race_search(tmp_path / "shared.db", executor=executor)
    alone = race_search(tmp_path / "alone.db")
    assert dropped(alone)
    assert trajectory(shared) == trajectory(alone)
    assert [row.metrics for row in shared] == [row.metrics for row in alone]


def test_a_generation_of_dropped_candidates_is_no_outage(tmp_path: Path) -> None:
    def evaluate(choices: Choices, cut_offs: Any = None) -> dict[str, float]:
        if cut_offs and math.isfinite(cut_offs[0]):
            return {share_metric("score", 0.25): -9.0, DROPPED_AT: 0.25}
        return MakeRacer().score(choices, cut_offs)

    rows = race_search(tmp_path / "history.db", evaluate=evaluate)
    assert len(dropped(rows)) == 48
    again = race_search(tmp_path / "history.db", evaluate=evaluate)  # and none is tried again
    assert again == rows


def test_a_dropped_candidate_of_the_baseline_is_scored_in_full(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    lost = dropped(race_search(path, baseline=0))[0].choices
    sampler = toy_sampler()
    costs = toy.CandidateCosts(sampler)
    with History.open(path, SearchHistory.read(path).fingerprint) as history:
        toy.run_search(
            EVOLUTION.build(sampler, costs, 0),
            LocalExecutor(MakeRacer().score, "score"),
            history,
            costs,
            baseline=[lost],
            race=RACE,
        )
    (row,) = (row for row in rows_of(path) if row.role == "random")
    assert (row.status, row.score) == ("done", noisy_score(lost))


def test_listings_show_a_dropped_candidate_as_dropped(tmp_path: Path) -> None:
    rows = race_search(tmp_path / "history.db")
    lost = dropped(rows)
    (line,) = (
        line
        for line in listing.history_table(rows).splitlines()
        if line.endswith(",".join(map(str, lost[0].choices)))
    )
    assert line.split()[3] == "dropped"
    assert f"{len(rows) - len(lost)} done, {len(lost)} dropped" in listing.history_table(rows)
    assert "failed" not in listing.history_csv(rows)
    history = SearchHistory.read(tmp_path / "history.db")
    assert not history.failed
    assert len(history.scores()) == 60 - len(lost)


def test_a_history_of_version_3_is_read_and_resumed(tmp_path: Path) -> None:
    """The file was left by the last program of version 3, killed in its middle."""
    old, whole = tmp_path / "old.db", tmp_path / "whole.db"
    shutil.copy(Path(__file__).with_name("history_v3.db"), old)
    before = rows_of(old)
    assert sum(row.settled for row in before) == 15
    for path in (old, whole):
        toy.toy_search(path, evaluate=toy.noisy, baseline=3)
    assert trajectory(rows_of(old)) == trajectory(rows_of(whole))
    assert [row for row in rows_of(old) if row.id <= 15] == before[:15]
