"""Executors with real processes: one trajectory on all, and what becomes of workers that fail."""

import errno
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_search import noisy, rows_of, toy_sampler, toy_search, trajectory
from toy_workers import MakeToy

from detnas.search.executors.base import ExecutorError, Job, JobResult, MissingScoreError
from detnas.search.executors.build import Machine, build_executor
from detnas.search.executors.local import LocalExecutor
from detnas.search.executors.pool import MAX_ERRORS_IN_A_ROW, MAX_LOSSES
from detnas.search.executors.settings import ExecutorSettings
from detnas.search.history.records import Evaluation
from detnas.search.strategies.unseen import draw_tuples
from search_space.architecture import Choices

JOBS = [
    Job(i, choices)
    for i, choices in enumerate(draw_tuples(toy_sampler(), np.random.default_rng(0), 6), 1)
]


def processes(make: MakeToy, workers: int = 2, timeout: float = 60.0, attempts: int = 2) -> Any:
    settings = ExecutorSettings("processes", attempts, workers=workers, timeout=timeout)
    return build_executor(settings, make, "score", Machine(0, 1))


def evaluate(
    make: MakeToy, jobs: list[Job] = JOBS, **options: Any
) -> tuple[dict[int, JobResult], dict[int, int]]:
    """The results of jobs by id, and how often each was started."""
    results: dict[int, JobResult] = {}
    starts = dict.fromkeys([job.id for job in jobs], 0)

    def on_start(key: int, worker: str) -> None:
        starts[key] += 1

    def on_result(result: JobResult) -> None:
        assert result.id not in results, "counted twice"
        results[result.id] = result

    with processes(make, **options) as executor:
        executor.run(jobs, on_start, on_result)
    assert results.keys() == starts.keys()
    return results, starts


def run(path: Path, make: MakeToy, **options: Any) -> list[Evaluation]:
    with processes(make, **options) as executor:
        toy_search(path, executor=executor, baseline=3)
    return rows_of(path)


@pytest.fixture
def expected(tmp_path: Path) -> list[tuple[object, ...]]:
    """The trajectory of one process, some of whose candidates fail."""
    toy_search(tmp_path / "local.db", evaluate=noisy, baseline=3)
    return trajectory(rows_of(tmp_path / "local.db"))


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_processes_give_the_results_of_one_process(
    workers: int, expected: list[tuple[object, ...]], tmp_path: Path
) -> None:
    rows = run(tmp_path / "many.db", MakeToy(0.02, unlucky_sum=7), workers=workers)
    assert trajectory(rows) == expected
    assert {e.error for e in rows if e.status == "failed"} == {"RuntimeError: unlucky"}
    names = {e.worker for e in rows if e.worker}
    assert len({e.metrics["pid"] for e in rows if e.metrics}) == len(names) == workers


def test_a_worker_killed_in_mid_candidate(
    expected: list[tuple[object, ...]], tmp_path: Path
) -> None:
    victim = next(row[3] for row in expected if row[4] == "done")
    make = MakeToy(0.0, {victim: "kill"}, tmp_path, unlucky_sum=7)  # type: ignore[dict-item]
    rows = run(tmp_path / "killed.db", make)
    assert trajectory(rows) == expected
    attempts = {e.choices: e.attempts for e in rows if e.status == "done"}
    assert attempts.pop(victim) == 2  # type: ignore[call-overload]
    assert set(attempts.values()) == {1}


FAULTS: Mapping[str, str] = {
    "raise": "RuntimeError: unlucky",
    "nan": "ScoreNotFiniteError: score is nan",
    "memory": "MemoryError: tried to allocate 7 TiB",
    "hang": "TimeoutError: no result after 1 s",
    "kill": f"WorkerLost: {MAX_LOSSES} workers ended in it, the last: killed by signal 9",
    "spoil": f"WorkerLost: {MAX_LOSSES} workers ended in it, the last: exit status 4",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_candidate_that_always_fails_is_recorded_and_skipped(fault: str) -> None:
    make = MakeToy(0.0, {JOBS[1].choices: fault})
    results, starts = evaluate(make, timeout=1.0 if fault == "hang" else 60.0)
    failed = results.pop(2)
    assert failed.score is None
    assert (failed.error or "").startswith(FAULTS[fault])
    assert starts.pop(2) == (MAX_LOSSES if fault in ("kill", "spoil") else 2)
    assert all(result.score is not None for result in results.values())
    assert set(starts.values()) == {1}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_second_try_may_succeed(fault: str, tmp_path: Path) -> None:
    make = MakeToy(0.0, {JOBS[1].choices: fault}, tmp_path)
    results, starts = evaluate(make, timeout=2.0)
    assert all(result.score is not None for result in results.values())
    assert starts == {job.id: 1 + (job.id == 2) for job in JOBS}


def test_a_hanging_worker_does_not_hold_up_the_others() -> None:
    ended: dict[int, float] = {}
    with processes(MakeToy(0.0, {JOBS[0].choices: "hang"}), timeout=3.0, attempts=1) as executor:
        began = time.monotonic()
        executor.run(
            JOBS, lambda *_: None, lambda r: ended.update({r.id: time.monotonic() - began})
        )
    assert ended.pop(1) >= 3.0
    assert max(ended.values()) < 2.5


def test_workers_that_ended_between_two_runs_are_replaced() -> None:
    started: list[str] = []
    results: list[JobResult] = []
    with processes(MakeToy()) as executor:
        executor.run(JOBS[:2], lambda _, worker: started.append(worker), results.append)
        for worker in set(started):
            os.kill(int(worker.split(":")[1]), signal.SIGKILL)
        executor.run(JOBS[2:], lambda _, worker: started.append(worker), results.append)
    assert [r.score is not None for r in results] == [True] * 6
    assert not set(started[:2]) & set(started[-2:])


def test_refused_workers_end_the_search() -> None:
    with pytest.raises(ExecutorError, match=r"no worker is left.*supernet_sha256 is a on this"):
        processes(MakeToy(at_start="refuse")).__enter__()


@pytest.mark.parametrize("fault", ["raise", "kill"])
def test_a_worker_that_fails_at_its_start_is_started_again(fault: str, tmp_path: Path) -> None:
    results, _ = evaluate(MakeToy(once=tmp_path, at_start=fault), workers=1)
    assert all(result.score is not None for result in results.values())


def test_a_process_that_the_system_refuses_is_started_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start, refusals = SpawnProcess.start, iter([True, False, True])

    def refused_at_first(process: SpawnProcess) -> None:
        if next(refusals, False):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        start(process)

    monkeypatch.setattr(SpawnProcess, "start", refused_at_first)
    results, _ = evaluate(MakeToy(), workers=2)
    assert all(result.score is not None for result in results.values())


def test_workers_that_never_start_end_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detnas.search.executors.restarts.FIRST_PAUSE", 0.05)
    with pytest.raises(ExecutorError, match=r"no worker is left; .*could not start: RuntimeErr"):
        processes(MakeToy(at_start="raise")).__enter__()


def test_candidates_that_fail_on_a_bad_worker_succeed_on_others(tmp_path: Path) -> None:
    many = [Job(10 * i + job.id, job.choices) for i in range(5) for job in JOBS]
    results, starts = evaluate(MakeToy(0.05, once=tmp_path, bad_worker=True), many, workers=3)
    assert all(result.score is not None for result in results.values())
    assert sum(starts.values()) == len(many) + MAX_ERRORS_IN_A_ROW  # then it was replaced


@pytest.mark.parametrize("workers", [1, 2])
def test_there_may_be_more_attempts_than_workers(workers: int) -> None:
    make = MakeToy(0.0, {JOBS[1].choices: "raise"})
    results, starts = evaluate(make, workers=workers, attempts=5)
    assert (results[2].error, starts[2]) == ("RuntimeError: unlucky", 5)


def test_a_single_bad_worker_is_replaced(tmp_path: Path) -> None:
    make = MakeToy(once=tmp_path, bad_worker=True)
    results, _ = evaluate(make, workers=1, attempts=MAX_ERRORS_IN_A_ROW + 1)
    assert all(result.score is not None for result in results.values())


def test_workers_do_not_inherit_the_launchers_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """By LOCAL_RANK mmengine would choose among devices of which they see only one."""
    monkeypatch.setenv("LOCAL_RANK", "1")
    results, _ = evaluate(MakeToy())
    assert {result.metrics["launched"] for result in results.values()} == {0.0}


def test_a_score_missing_later_fails_the_candidate(tmp_path: Path) -> None:
    def evaluate_one(choices: Choices) -> dict[str, float]:
        return {} if choices == JOBS[1].choices else {"score": 1.0}

    results: list[JobResult] = []
    LocalExecutor(evaluate_one, "score").run(JOBS, lambda *_: None, results.append)
    assert [result.score for result in results] == [1.0, None, 1.0, 1.0, 1.0, 1.0]
    assert "set it to one of: it gave none" in (results[1].error or "")
    with pytest.raises(MissingScoreError):
        LocalExecutor(evaluate_one, "score").run(JOBS[1:], lambda *_: None, results.append)


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Ctrl-C interrupts, also where the tests run in the background of a shell that ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_an_interrupt_ends_all_workers_at_once() -> None:
    started: list[int] = []

    def on_start(_: int, worker: str) -> None:
        started.append(int(worker.split(":")[1]))
        if len(started) == 2:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), processes(MakeToy(3600.0)) as executor:
        executor.run(JOBS, on_start, lambda _: None)
    assert time.monotonic() - began < 8
    assert len(started) == 2
    for pid in started:
        assert not Path(f"/proc/{pid}").exists()


def test_a_local_search_says_which_gpus_it_leaves_idle() -> None:
    settings = ExecutorSettings("local")
    idle = build_executor(settings, lambda: noisy, "score", Machine(8, 1))
    assert idle.notes == ("one of 8 GPUs is used; search.executor.type=processes uses all",)
    assert build_executor(settings, lambda: noisy, "score", Machine(1, 1)).notes == ()
