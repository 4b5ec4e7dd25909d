"""The Ray executor on real clusters: the trajectory of one process, faults, nodes that join."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_executors import JOBS
from test_faults import pids, resume, wait_for_end, wait_for_results
from toy_search import noisy, rows_of, start, toy_search, trajectory
from toy_workers import MakeToy

from detnas.search.executors.base import ExecutorError, JobResult
from detnas.search.executors.build import Machine, build_executor
from detnas.search.executors.settings import ExecutorSettings

cluster_utils = pytest.importorskip("ray.cluster_utils")


def ray_executor(make: MakeToy, **options: Any) -> Any:
    settings = ExecutorSettings("ray", 2, **options)
    return build_executor(settings, make, "score", Machine(0, 1))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster of one node with one CPU, to which more nodes can be added."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # its workers find the toy
        made = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        yield made
        made.shutdown()


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detnas.search.executors.ray_cluster.LOOK_SECONDS", 0.5)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    """The trajectory of one process, some of whose candidates fail."""
    return resume(tmp_path_factory.mktemp("whole") / "history.db")


def test_two_local_workers_give_the_results_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    toy_search(tmp_path / "local.db", evaluate=noisy, baseline=3)
    expected = rows_of(tmp_path / "local.db")
    victims = [e.choices for e in expected if e.status == "done"]
    make = MakeToy(
        0.05, {victims[1]: "kill", victims[8]: "hang", victims[9]: "nan"}, tmp_path, unlucky_sum=7
    )
    before = signal.getsignal(signal.SIGTERM)
    with ray_executor(make, workers=2, timeout=5.0) as executor:
        assert signal.getsignal(signal.SIGTERM) is before
        assert executor.notes == ("a toy",)
        toy_search(tmp_path / "ray.db", executor=executor, baseline=3)
    rows = rows_of(tmp_path / "ray.db")
    assert trajectory(rows) == trajectory(expected)
    attempts = {e.choices: e.attempts for e in rows if e.status == "done"}
    assert [attempts.pop(victims[i]) for i in (1, 8, 9)] == [2, 2, 2]
    assert set(attempts.values()) == {1}
    assert len({e.worker for e in rows if e.worker}) >= 2


def search_on(cluster: Any, path: Path, *options: str) -> "subprocess.Popen[str]":
    """The toy search in another process."""
    return start(path, "--executor", "ray", "--address", cluster.address, *options)


def end_of(process: "subprocess.Popen[str]") -> str:
    """What a search that finishes has said."""
    output, error = process.communicate(timeout=120)
    assert process.returncode == 0, error[-3000:]
    assert output.endswith("done\n")
    return error


def run_until(count: int, executor: Any, workers: list[str]) -> None:
    """Evaluate until so many workers have taken part, whose names are kept."""
    deadline = time.monotonic() + 200
    while len(set(workers)) < count:
        assert time.monotonic() < deadline
        executor.run(JOBS, lambda _, worker: workers.append(worker), lambda _: None)


def test_a_killed_node_and_one_that_joins_late(
    cluster: Any,
    tmp_path: Path,
    whole: list[tuple[object, ...]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    node, late = cluster.add_node(num_cpus=1), []
    workers: list[str] = []

    def on_progress(progress: Any) -> None:
        if progress.done == 5:
            cluster.remove_node(node, allow_graceful=False)
            late.append(cluster.add_node(num_cpus=1))

    make = MakeToy(0.2, unlucky_sum=7)
    with ray_executor(make, address=cluster.address, timeout=60.0) as executor:
        run_until(2, executor, workers)
        toy_search(tmp_path / "ray.db", executor=executor, baseline=3, progress=on_progress)
        run_until(3, executor, workers)
    rows = rows_of(tmp_path / "ray.db")
    assert trajectory(rows) == whole
    assert len({e.worker for e in rows if e.worker} & set(workers)) >= 2
    assert "was lost" in caplog.text
    cluster.remove_node(late[0])


def test_nodes_join_and_leave_between_generations(cluster: Any) -> None:
    results: list[JobResult] = []
    workers: list[str] = []
    joined: list[Any] = []

    def on_result(result: JobResult) -> None:
        results.append(result)
        if len(results) == 2:
            joined.append(cluster.add_node(num_cpus=1))
        if len(set(workers)) == 2 and joined:
            cluster.remove_node(joined.pop(), allow_graceful=False)

    with ray_executor(MakeToy(0.7), address=cluster.address, timeout=60.0) as executor:
        for _ in range(4):  # generations of the same
            executor.run(JOBS, lambda _, worker: workers.append(worker), on_result)
    assert len(results) == 4 * len(JOBS)
    assert all(result.score is not None for result in results)
    assert len(set(workers)) >= 2
    assert not joined, "the second node left"


def test_4_workers_that_end_or_stop_are_replaced(
    cluster: Any,
    tmp_path: Path,
    whole: list[tuple[object, ...]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / "ray.db"
    signals = {4: signal.SIGKILL, 8: signal.SIGSTOP}

    def on_progress(progress: Any) -> None:
        if progress.done in signals:
            latest = max(rows_of(path), key=lambda e: e.started or 0.0)
            os.kill(int((latest.worker or "").split(":")[1]), signals[progress.done])

    make = MakeToy(0.05, unlucky_sum=7)
    with ray_executor(make, address=cluster.address, timeout=5.0) as executor:
        toy_search(path, executor=executor, baseline=3, progress=on_progress)
    assert trajectory(rows_of(path)) == whole
    assert len(pids(rows_of(path))) == 3
    assert "was lost: " in caplog.text
    assert "hangs and is ended" in caplog.text
    wait_for_end(pids(rows_of(path)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_8_9_a_stopped_search_resumes_on_another_executor(
    number: int, cluster: Any, tmp_path: Path, whole: list[tuple[object, ...]]
) -> None:
    path = tmp_path / "history.db"
    running = search_on(cluster, path, "--seconds", "0.2")
    wait_for_results(path, 3)
    began = time.monotonic()
    running.send_signal(number)
    running.communicate(timeout=10)
    assert time.monotonic() - began < 10
    wait_for_end(pids(rows_of(path)))
    assert 3 <= sum(e.settled for e in rows_of(path)) < 27
    assert resume(path) == whole


def test_1_8_a_search_of_another_executor_resumes_on_ray(
    cluster: Any, tmp_path: Path, whole: list[tuple[object, ...]]
) -> None:
    path = tmp_path / "history.db"
    start(path, "--executor", "processes", "--kill-at", "History.record_done:8").communicate()
    end_of(search_on(cluster, path))
    assert trajectory(rows_of(path)) == whole


def test_refused_workers_end_the_search(cluster: Any) -> None:
    make = MakeToy(at_start="refuse")
    with pytest.raises(ExecutorError, match=r"no worker is left.*supernet_sha256 is a on this"):
        ray_executor(make, address=cluster.address).__enter__()


def test_workers_that_fail_at_their_start_are_started_again(cluster: Any, tmp_path: Path) -> None:
    results: list[JobResult] = []
    make = MakeToy(once=tmp_path, at_start="raise")
    with ray_executor(make, address=cluster.address) as executor:
        executor.run(JOBS, lambda *_: None, results.append)
    assert all(result.score is not None for result in results)


def test_workers_that_never_start_end_the_search(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detnas.search.executors.restarts.FIRST_PAUSE", 0.05)
    with pytest.raises(ExecutorError, match=r"no worker is left; .*could not start: RuntimeErr"):
        ray_executor(MakeToy(at_start="raise"), address=cluster.address).__enter__()


def test_an_absent_cluster_is_a_user_error() -> None:
    with pytest.raises(ValueError, match=r"'127.0.0.1:1': no Ray cluster answers"):
        ray_executor(MakeToy(), address="127.0.0.1:1").__enter__()
