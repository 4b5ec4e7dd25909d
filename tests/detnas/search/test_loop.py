"""The search as a whole, in one process: its end, its failures, its baseline, its progress."""

import math
from pathlib import Path

import pytest
import toy_search as toy
from toy_search import MINI, TOY_STRATEGIES, noisy, rows_of, toy_evaluate, toy_sampler, trajectory

from detnas.search.executors.base import MissingScoreError
from detnas.search.executors.local import LocalExecutor
from detnas.search.history.writer import History
from detnas.search.loop import ReplayError, SearchFailedError
from detnas.search.progress import Progress
from detnas.search.strategies.random_search import RandomSettings
from search_space.architecture import Choices

EVOLUTION = TOY_STRATEGIES[0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


def test_evaluates_every_generation_and_returns_the_best(path: Path) -> None:
    result = toy.toy_search(path)
    assert {e.generation for e in result.evaluations} == {0, 1, 2, 3}
    assert all(e.status == "done" for e in result.evaluations)
    assert result.score == max(e.score or 0 for e in result.evaluations)
    assert result.score == toy.toy_score(result.choices)
    assert list(result.evaluations) == rows_of(path)


def test_minimises_where_lower_is_better(path: Path) -> None:
    def loss(choices: Choices) -> dict[str, float]:
        return {"score": -toy.toy_score(choices)}

    lowest = toy.toy_search(path, evaluate=loss, greater_is_better=False)
    highest = toy.toy_search(path.with_name("highest.db"))
    assert lowest.score == -highest.score
    assert [e.choices for e in lowest.evaluations] == [e.choices for e in highest.evaluations]


def test_failed_candidates_are_recorded_and_skipped(path: Path) -> None:
    result = toy.toy_search(path, evaluate=noisy)
    failed = [e for e in result.evaluations if e.status == "failed"]
    assert failed
    for evaluation in failed:
        assert (evaluation.error, evaluation.attempts) == ("RuntimeError: unlucky", 2)


def test_a_second_try_may_succeed(path: Path) -> None:
    tried: set[Choices] = set()

    def flaky(choices: Choices) -> dict[str, float]:
        if choices not in tried:
            tried.add(choices)
            return {"score": math.nan}
        return toy_evaluate(choices)

    result = toy.toy_search(path, evaluate=flaky)
    assert {(e.status, e.attempts) for e in result.evaluations} == {("done", 2)}


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_scores_that_are_not_finite_fail_the_search_if_all_are(path: Path, score: float) -> None:
    def evaluate(choices: Choices) -> dict[str, float]:
        return {"score": score}

    with pytest.raises(SearchFailedError, match=f"ScoreNotFiniteError: score is {score}"):
        toy.toy_search(path, evaluate=evaluate)
    assert {e.status for e in rows_of(path)} == {"failed"}
    # Nothing was learnt, so once the cause is mended the same candidates are tried again.
    assert trajectory(list(toy.toy_search(path).evaluations)) == trajectory(
        list(toy.toy_search(path.with_name("whole.db")).evaluations)
    )


def test_a_failed_generation_ends_the_search_and_is_retried_on_resume(path: Path) -> None:
    evaluated = 0

    def outage(choices: Choices) -> dict[str, float]:
        nonlocal evaluated
        evaluated += 1
        if evaluated > 12:
            raise OSError("the data's share is gone")
        return toy_evaluate(choices)

    with pytest.raises(SearchFailedError, match=r"of a generation failed.*share is gone.*--resume"):
        toy.toy_search(path, evaluate=outage)
    assert [e.status for e in rows_of(path)] == ["done"] * 12 + ["failed"] * 6
    assert trajectory(list(toy.toy_search(path).evaluations)) == trajectory(
        list(toy.toy_search(path.with_name("whole.db")).evaluations)
    )


def test_missing_score_ends_the_search(path: Path) -> None:
    with pytest.raises(MissingScoreError, match=r"'mAP' is not among .* one of: score, nan"):
        toy.toy_search(path, executor=LocalExecutor(toy_evaluate, "mAP"))
    assert {e.status for e in rows_of(path)} == {"running", "proposed"}


def test_finished_search_resumes_to_its_result(path: Path) -> None:
    def never(choices: Choices) -> dict[str, float]:
        raise KeyboardInterrupt

    first = toy.toy_search(path, baseline=3)
    assert toy.toy_search(path, baseline=3, evaluate=never) == first


def test_generations_may_grow(path: Path) -> None:
    longer = RandomSettings(generations=6, population=6)
    toy.toy_search(path, RandomSettings(generations=2, population=6))
    grown = toy.toy_search(path, longer)
    whole = toy.toy_search(path.with_name("whole.db"), longer)
    assert trajectory(list(grown.evaluations)) == trajectory(list(whole.evaluations))


def test_history_of_other_proposals_is_refused(path: Path) -> None:
    toy.toy_search(path)
    with pytest.raises(ReplayError, match="generation 0 has other proposals"):
        toy.toy_search(path, sampler=toy_sampler(share=0.3))


def test_baseline_is_evaluated_but_never_a_parent(path: Path) -> None:
    plain = toy.toy_search(path.with_name("plain.db"))
    result = toy.toy_search(path, baseline=7)
    assert trajectory(list(result.evaluations)) == trajectory(list(plain.evaluations))
    assert len(result.baseline) == 7
    assert all(e.role == "random" and e.status == "done" for e in result.baseline)
    more = toy.toy_search(path, baseline=9)
    assert more.baseline[:7] == result.baseline
    assert len(more.baseline) == 9
    assert len(toy.toy_search(path, baseline=2).baseline) == 2


def test_baseline_reuses_scores_and_evaluates_nothing_twice(path: Path) -> None:
    evaluated: list[Choices] = []

    def evaluate(choices: Choices) -> dict[str, float]:
        evaluated.append(choices)
        return toy_evaluate(choices)

    short = RandomSettings(generations=1, population=8)
    result = toy.toy_search(
        path, short, sampler=toy_sampler(MINI, 1.0), evaluate=evaluate, baseline=40
    )
    assert len(evaluated) == len(set(evaluated)) <= 16
    assert len(result.baseline) == 40
    assert all(e.score == toy.toy_score(e.choices) for e in result.baseline)


def test_progress_counts_to_the_total(path: Path) -> None:
    seen: list[Progress] = []
    result = toy.toy_search(path, baseline=3, progress=seen.append)
    assert [progress.done for progress in seen] == list(range(1, 28))
    assert {progress.total for progress in seen} == {27}
    best = [progress.best for progress in seen]
    assert best[-1] is not None
    assert (best[-1].score, best[-1].choices) == (result.score, result.choices)
    assert seen[-1].eta == 0 < seen[0].eta
    scores = [row.score or 0 for row in best if row is not None]
    assert scores == sorted(scores)


def test_killed_while_the_file_is_created(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            History.create(path, {})
    assert not path.exists()
    History.create(path, {}).close()
