"""The Ray executor on real clusters: the trajectory of one process, faults, machines that join."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from detnas.search.settings import ExecutorSettings
from test_executors import JOBS
from toy_search import noisy, toy_search, trajectory
from toy_workers import MakeToy

from detnas.search.executors.base import ExecutorError, JobResult
from detnas.search.executors.build import Machine, build_executor
from detnas.search.history.records import read_history

cluster_utils = pytest.importorskip("ray.cluster_utils")


def ray_executor(make: MakeToy, **options: Any) -> Any:
    settings = ExecutorSettings("ray", 2, **options)
    return build_executor(settings, make, "score", Machine(0, 1))


@pytest.fixture(autouse=True)
def _workers_find_the_toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def test_two_local_workers_find_what_one_process_finds(tmp_path: Path) -> None:
    toy_search(tmp_path / "local.db", evaluate=noisy, baseline=3)
    expected = read_history(tmp_path / "local.db")
    victims = [e.choices for e in expected if e.status == "done"]
    make = MakeToy(
        0.05, {victims[1]: "kill", victims[8]: "hang", victims[9]: "nan"}, tmp_path, unlucky_sum=7
    )
    before = signal.getsignal(signal.SIGTERM)
    with ray_executor(make, workers=2, timeout=5.0) as executor:
        assert signal.getsignal(signal.SIGTERM) is before
        assert executor.notes == ("a toy",)
        toy_search(tmp_path / "ray.db", executor=executor, baseline=3)
    rows = read_history(tmp_path / "ray.db")
    assert trajectory(rows) == trajectory(expected)
    attempts = {e.choices: e.attempts for e in rows if e.status == "done"}
    assert [attempts.pop(victims[i]) for i in (1, 8, 9)] == [2, 2, 2]
    assert set(attempts.values()) == {1}
    assert len({e.worker for e in rows if e.worker}) >= 2


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster of one machine with one CPU, of which more can be made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        made = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    yield made
    made.shutdown()


def test_machines_join_and_leave_while_the_search_goes_on(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detnas.search.executors.ray_cluster.LOOK_SECONDS", 0.5)
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
    assert not joined, "the second machine left"


def test_workers_that_are_refused_end_the_search(cluster: Any) -> None:
    make = MakeToy(at_start="refuse")
    with pytest.raises(ExecutorError, match=r"no worker is left.*supernet_sha256 is a on this"):
        ray_executor(make, address=cluster.address).__enter__()


def test_an_absent_cluster_is_named() -> None:
    with pytest.raises(ValueError, match=r"'127.0.0.1:1': no Ray cluster answers"):
        ray_executor(MakeToy(), address="127.0.0.1:1").__enter__()
