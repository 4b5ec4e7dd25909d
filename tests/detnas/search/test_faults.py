"""Kills, full disks, torn files, a second coordinator: nothing is lost and nothing changes.

docs/reliability.md lists the faults by number. Those of workers are in test_executors.py,
test_ray.py; those that need a detector in tests/detnas/test_search_faults.py.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import toy_search as toy
from toy_search import noisy, rows_of, start, toy_search, trajectory

from detnas.search.history.file import DamagedHistoryError
from detnas.search.history.records import Evaluation

Trajectory = list[tuple[object, ...]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Trajectory:
    """The trajectory without interruption."""
    return resume(tmp_path_factory.mktemp("whole") / "history.db")


def resume(path: Path) -> Trajectory:
    toy_search(path, evaluate=noisy, baseline=3)
    return trajectory(rows_of(path))


def settled(path: Path) -> list[Evaluation]:
    return [e for e in rows_of(path) if e.settled] if path.exists() else []


def wait_for_results(path: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(settled(path)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def pids(rows: list[Evaluation]) -> set[int]:
    """Of the workers that took part."""
    return {int(e.worker.split(":")[1]) for e in rows if e.worker and ":" in e.worker}


def wait_for_end(workers: set[int]) -> None:
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline, "a worker outlived its coordinator"
        time.sleep(0.05)


@pytest.mark.parametrize(
    "kill_at",
    [
        "History.create:1",
        "Strategy.ask:2",  # while proposing
        "History.record_generation:1",
        "History.record_generation:3",
        "Strategy.tell:2",
        "History.mark_running:1",  # while evaluating
        "History.mark_running:9",
        "History.record_done:8",
        "History.record_failed:1",
        "COMMIT:3",  # while writing: the first generation, a result, a failure
        "COMMIT:11",
        "COMMIT:16",
        "History.evaluation:14",
        "History.backup:2",  # between generations
        "History.record_generation:5",
        "History.backup:5",
    ],
)
def test_1_a_killed_search_resumes_to_the_same_trajectory(
    path: Path, kill_at: str, whole: Trajectory
) -> None:
    killed = start(path, "--kill-at", kill_at)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert resume(path) == whole


@pytest.mark.parametrize(("before", "after"), [("3", "1"), ("1", "4")])
def test_1_and_8_workers_end_with_a_killed_coordinator_and_their_number_may_change(
    path: Path, before: str, after: str, whole: Trajectory
) -> None:
    running = start(path, "--executor", "processes", "--workers", before, "--seconds", "0.1")
    wait_for_results(path, 5)
    running.kill()
    running.communicate()
    workers = pids(rows_of(path))
    assert 1 <= len(workers) <= int(before)  # a slow machine may not have started all of them
    wait_for_end(workers)
    lost = {e.choices for e in rows_of(path) if e.status == "running"}
    output, error = start(path, "--executor", "processes", "--workers", after).communicate()
    assert "done" in output, error
    rows = rows_of(path)
    assert trajectory(rows) == whole
    done = {e.choices: e.attempts for e in rows if e.status == "done" and e.worker}
    assert done == {choices: 1 + (choices in lost) for choices in done}


def test_5_a_limit_on_the_file_size(path: Path, whole: Trajectory) -> None:
    output, error = start(path, "--file-limit", "70000").communicate()
    assert "HistoryWriteError" in error
    assert f"{path} cannot be written" in error
    assert "its contents are safe: fix that, then resume with --resume" in error
    recorded = len(output.split())
    assert 3 < recorded < 27
    assert len(settled(path)) >= recorded
    assert resume(path) == whole


def test_5_a_full_disk(tmp_path: Path, whole: Trajectory) -> None:
    """On a small filesystem, mounted in a namespace that ends with the search."""
    disk, saved = tmp_path / "disk", tmp_path / "saved"
    disk.mkdir()
    saved.mkdir()
    script = (
        f"mount -t tmpfs -o size=160k tmpfs {disk} || exit 77\n"
        f"{sys.executable} {toy.__file__} {disk}/history.db\n"
        f"status=$?; cp {disk}/history.db* {saved}; exit $status"
    )
    done = subprocess.run(
        ["unshare", *([] if os.geteuid() == 0 else ["-r"]), "-m", "sh", "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no filesystem may be mounted here")
    assert "HistoryWriteError" in done.stderr
    assert "full" in done.stderr
    recorded = len(done.stdout.split())
    assert 1 <= recorded < 27
    assert len(settled(saved / "history.db")) >= recorded
    assert resume(saved / "history.db") == whole


def test_5_torn_writes_lose_only_uncommitted_results(tmp_path: Path, whole: Trajectory) -> None:
    """The log cut off anywhere, as by a power cut, holds the results up to some point."""
    killed = start(tmp_path / "history.db", "--kill-at", "History.record_done:9")
    killed.communicate()
    log = (tmp_path / "history.db-wal").read_bytes()
    counts = []
    for number, size in enumerate(range(0, len(log), 3001)):
        folder = tmp_path / str(number)
        folder.mkdir()
        shutil.copy(tmp_path / "history.db", folder)
        (folder / "history.db-wal").write_bytes(log[:size])
        rows = rows_of(folder / "history.db")
        counts.append(sum(e.settled for e in rows))
        for row, expected in zip(trajectory(rows), whole, strict=False):
            assert row[:4] == expected[:4]
            assert row == expected or row[4] in ("proposed", "running")
    assert counts == sorted(counts)
    assert counts[0] == 0 < counts[-1]
    assert resume(folder / "history.db") == whole


def test_6_a_damaged_history_is_resumed_from_its_backup(path: Path, whole: Trajectory) -> None:
    killed = start(path, "--kill-at", "History.mark_running:16")
    killed.communicate()
    content = path.read_bytes()
    path.write_bytes(b"\0" * len(content))
    with pytest.raises(DamagedHistoryError, match=r"rename .*history.backup.db to history.db"):
        resume(path)
    for file in path.parent.glob("history.db*"):
        file.unlink()
    (path.parent / "history.backup.db").rename(path)
    assert len(settled(path)) == 12  # two generations
    assert resume(path) == whole


@pytest.mark.parametrize("executor", ["local", "processes"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_9_a_stopped_search_can_be_resumed(
    path: Path, executor: str, number: int, whole: Trajectory
) -> None:
    running = start(path, "--executor", executor, "--seconds", "0.2")
    wait_for_results(path, 3)
    began = time.monotonic()
    running.send_signal(number)
    running.communicate(timeout=10)
    assert time.monotonic() - began < 10
    wait_for_end(pids(rows_of(path)))
    assert len(settled(path)) >= 3
    assert resume(path) == whole


def test_10_a_second_coordinator_is_refused(path: Path, whole: Trajectory) -> None:
    running = start(path, "--seconds", "0.06")
    wait_for_results(path, 5)
    with pytest.raises(ValueError, match=f"in use by another search .process {running.pid} "):
        resume(path)
    running.kill()
    running.communicate()
    assert 5 <= len(settled(path)) < 24
    assert resume(path) == whole


@pytest.mark.parametrize("executor", ["local", "processes"])
def test_11_a_search_without_any_score_is_an_error(
    path: Path, executor: str, whole: Trajectory
) -> None:
    failed = start(path, "--executor", executor, "--fail")
    _, error = failed.communicate()
    assert failed.returncode == 1
    assert "SearchFailedError: every candidate failed, the last one with RuntimeErr" in error
    assert {e.status for e in rows_of(path)} == {"failed"}
    assert resume(path) == whole  # tried again, once what failed them is mended
