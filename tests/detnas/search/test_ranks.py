"""The executor over a launcher's ranks, with torchrun: one trajectory, a killed rank, going on."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from multiprocessing import Pipe
from pathlib import Path

import toy_search as toy
from test_executors import JOBS
from toy_search import noisy, trajectory
from toy_workers import MakeToy, noisy_score

from detnas.search.executors.base import JobResult
from detnas.search.executors.connections import ConnectionPool
from detnas.search.executors.pool import PoolExecutor
from detnas.search.executors.processes import ProcessWorker
from detnas.search.executors.ranks import RankWorker, _pass_on
from detnas.search.history.records import read_history

MARK = "DETNAS_TEST_HISTORY"  # in the environment of the processes that a test started


ONE_MACHINE = ("--standalone",)
OF_TWO_MACHINES = ("--nnodes", "2", "--rdzv-backend", "c10d", "--rdzv-id", "test")


def launch(
    path: Path, ranks: int, *options: str, restarts: int = 0, where: tuple[str, ...] = ONE_MACHINE
) -> "subprocess.Popen[str]":
    """The toy's search in the ranks of torchrun; `where` as scripts/lib.sh says it."""
    folder = Path(toy.__file__).parent
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "torch.distributed.run", *where),
            *("--nproc-per-node", str(ranks), "--max-restarts", str(restarts)),
            *(str(folder / "toy_search.py"), str(path), "--executor", "distributed", *options),
        ],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            MARK: str(path),
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": str(int(where != ONE_MACHINE)),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def processes_of(path: Path, rank: int | None = None) -> list[int]:
    """Those that `launch` started for a history, or that these started; of one rank only."""
    wanted = {f"{MARK}={path}".encode()} | (
        {f"RANK={rank}".encode()} if rank is not None else set()
    )
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if wanted <= set(environment.read_bytes().split(b"\0")):
                found.append(int(environment.parent.name))
        except OSError:  # it has ended
            continue
    return sorted(found)


def wait_for_results(path: Path, count: int) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if path.exists() and sum(e.settled for e in read_history(path)) >= count:
            return
        time.sleep(0.05)
    raise AssertionError("the search has no results yet")


def test_ranks_find_what_one_process_finds_though_one_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "ranks.db"
    launcher = launch(path, 2, "--seconds", "0.2", restarts=1)
    wait_for_results(path, 6)
    workers = {e.worker for e in read_history(path) if e.worker}
    assert len(workers) == 2, "both ranks evaluate"
    os.kill(processes_of(path, rank=1)[0], signal.SIGKILL)
    output, _ = launcher.communicate(timeout=120)
    assert launcher.returncode == 0, output[-9000:]
    toy.toy_search(tmp_path / "local.db", evaluate=noisy, baseline=3)
    rows = read_history(path)
    assert trajectory(rows) == trajectory(read_history(tmp_path / "local.db"))
    assert len({e.worker for e in rows} - workers) == 2, "the launcher started both again"
    assert not processes_of(path)


def test_two_machines_start_again_where_a_rank_of_one_is_killed(tmp_path: Path) -> None:
    """Both are this one, which two launchers take for two."""
    path = tmp_path / "ranks.db"
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"127.0.0.1:{free.getsockname()[1]}"
    where = (*OF_TWO_MACHINES, "--rdzv-endpoint", endpoint)
    launchers = [launch(path, 1, "--seconds", "0.3", restarts=2, where=where) for _ in range(2)]
    wait_for_results(path, 4)
    os.kill(processes_of(path, rank=1)[0], signal.SIGKILL)
    for launcher in launchers:
        output, _ = launcher.communicate(timeout=120)
        assert launcher.returncode == 0, output[-9000:]
    toy.toy_search(tmp_path / "local.db", evaluate=noisy, baseline=3)
    assert trajectory(read_history(path)) == trajectory(read_history(tmp_path / "local.db"))


def test_processes_of_ranks_that_end_or_hang_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "ranks.db"
    launcher = launch(path, 2, "--seconds", "0.2", "--timeout", "2")
    wait_for_results(path, 6)
    first, second = sorted({e.worker or "" for e in read_history(path) if e.worker})
    os.kill(int(first.split(":")[1]), signal.SIGKILL)
    wait_for_results(path, 10)
    os.kill(int(second.split(":")[1]), signal.SIGSTOP)
    output, _ = launcher.communicate(timeout=120)
    assert launcher.returncode == 0, output[-9000:]
    assert f"worker {first} was lost: killed by signal 9" in output
    assert f"worker {second} hangs and is ended" in output
    toy.toy_search(tmp_path / "local.db", evaluate=noisy, baseline=3)
    assert trajectory(read_history(path)) == trajectory(read_history(tmp_path / "local.db"))
    assert not processes_of(path)


def test_answers_stay_with_their_candidates_where_a_process_ends_unseen() -> None:
    """A rank's process ends between two runs, so that the next candidate crosses its message."""
    ours, theirs = Pipe()
    inner = ConnectionPool([ProcessWorker(MakeToy())], 60.0)
    with inner:
        passing = threading.Thread(target=_pass_on, args=(theirs, inner), daemon=True)
        passing.start()
        pool = ConnectionPool([RankWorker(ours)], 60.0)
        with PoolExecutor(pool, "score", 2, 60.0) as executor:
            for jobs in (JOBS[:2], JOBS[2:4], JOBS[4:]):
                results: list[JobResult] = []
                names: list[str] = []
                executor.run(jobs, lambda _, name, to=names: to.append(name), results.append)  # type: ignore[misc]
                expected = {job.id: noisy_score(job.choices) for job in jobs}
                assert {result.id: result.score for result in results} == expected
                os.kill(int(names[-1].split(":")[1]), signal.SIGKILL)
                time.sleep(0.7)  # the rank has seen it, and started another
        passing.join(5)
        assert not passing.is_alive()


def test_all_ranks_end_with_the_launcher_and_the_next_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "ranks.db"
    launcher = launch(path, 2, "--seconds", "0.2")
    wait_for_results(path, 3)
    launcher.send_signal(signal.SIGTERM)
    began = time.monotonic()
    launcher.communicate(timeout=60)
    assert time.monotonic() - began < 10
    deadline = time.monotonic() + 5
    while processes_of(path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not processes_of(path)
    toy.toy_search(path, evaluate=noisy, baseline=3)  # another executor, another number of workers
    toy.toy_search(tmp_path / "local.db", evaluate=noisy, baseline=3)
    assert trajectory(read_history(path)) == trajectory(read_history(tmp_path / "local.db"))
