"""Searches with a real detector: one trajectory on all executors, kills, stops, changed inputs."""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from detnas.cli import main
from detnas.search.history.file import FILE_NAME
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import Evaluation

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "tests/miniature/retinanet/search.py"
# A detector of so few steps has no precision, but its boxes have some recall.
SIZE = ["model.test_cfg.score_thr=0.0", "val_evaluator.metric=proposal"]
SIZE += ["search.score=coco/AR@100", "search.random_baseline=1"]
SIZE += ["search.strategy.generations=3", "search.strategy.population=4"]
BUSY = 3
"""How much slower than alone on its cores a search may end here."""
PROCESSES = ["search.executor.type=processes"]


def search(experiment: Path, folder: Path, *options: str) -> list[str]:
    """Arguments of another search in `folder` on the experiment's supernet."""
    return [
        *("search", str(CONFIG), "--work-dir", str(folder), "--cfg-options"),
        f"data_root={experiment}/data/detection",
        f"search.supernet={experiment}/finetune/final.pth",
        *options,
    ]


def start(
    arguments: list[str], *command: str, environment: Mapping[str, str] | None = None
) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*(command or (sys.executable, "-m", "detnas.cli")), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ
        | {"OMP_NUM_THREADS": "2", "PYTHON": sys.executable}
        | dict(environment or {}),
        cwd=ROOT,
        text=True,
    )


def rows(folder: Path) -> list[Evaluation]:
    return SearchHistory.read(folder / FILE_NAME).rows if (folder / FILE_NAME).exists() else []


def trajectory(folder: Path) -> list[tuple[Any, ...]]:
    return [
        (r.role, r.generation, r.position, r.choices, r.score, r.metrics, r.status)
        for r in rows(folder)
    ]


def wait_for_results(process: "subprocess.Popen[str]", folder: Path, count: int) -> None:
    deadline = time.monotonic() + 300
    while sum(row.settled for row in rows(folder)) < count:
        assert process.poll() is None, process.communicate()[0][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_for_a_running_worker(process: "subprocess.Popen[str]", folder: Path) -> int:
    """Its process id: on a slow machine both workers can be between two candidates."""
    deadline = time.monotonic() + 100
    while True:
        for row in rows(folder):
            if row.status == "running" and row.worker is not None:
                return int(row.worker.split(":")[1])
        assert process.poll() is None, process.communicate()[0][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def whole(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    """The trajectory of a search in one process, without interruption."""
    folder = tmp_path_factory.mktemp("whole")
    assert main(search(experiment, folder, *SIZE)) == 0
    assert len(rows(folder)) == 13
    assert len({row.score for row in rows(folder)}) > 5
    return trajectory(folder)


def test_1_a_killed_search_resumes_to_the_same_trajectory(
    experiment: Path, tmp_path: Path, whole: list[tuple[Any, ...]]
) -> None:
    arguments = search(experiment, tmp_path, *SIZE)
    process = start(arguments)
    wait_for_results(process, tmp_path, 2)
    process.kill()
    process.communicate()
    assert sum(row.settled for row in rows(tmp_path)) < 13, "it was not killed in its middle"
    assert main([*arguments, "--resume"]) == 0
    assert trajectory(tmp_path) == whole


def test_2_8_9_a_killed_worker_a_stopped_search_and_one_worker_instead_of_two(
    experiment: Path, tmp_path: Path, whole: list[tuple[Any, ...]]
) -> None:
    arguments = search(experiment, tmp_path, *SIZE, *PROCESSES)
    process = start([*arguments, "search.executor.workers=2"])
    wait_for_results(process, tmp_path, 1)
    os.kill(wait_for_a_running_worker(process, tmp_path), signal.SIGKILL)
    wait_for_results(process, tmp_path, 3)
    process.terminate()
    began = time.monotonic()
    output, _ = process.communicate(timeout=60)
    assert time.monotonic() - began < BUSY * 10
    assert process.returncode == 130
    assert f"results are in {tmp_path / FILE_NAME}" in output
    again = shlex.join([*arguments, "search.executor.workers=2", "--resume"])
    assert f"resume with: detnas {again}\n" in output
    assert "was lost: killed by signal 9" in output
    settled = [row for row in rows(tmp_path) if row.settled]
    assert 3 <= len(settled) < 13
    launcher = [str(ROOT / "scripts/dist_search.sh"), arguments[1], "1"]
    resumed = start([*arguments[2:], "--resume"], *launcher)
    output, _ = resumed.communicate(timeout=200)
    assert resumed.returncode == 0, output[-3000:]
    assert trajectory(tmp_path) == whole
    assert output.count("written: ") == 1


def start_two_machines(arguments: list[str]) -> list["subprocess.Popen[str]"]:
    """Both are this one: scripts/dist_search.sh starts two Ray nodes, of one worker each."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    launcher = [str(ROOT / "scripts/dist_search.sh"), arguments[1], "1"]
    machines = []
    for rank in range(2):
        where = {"NNODES": "2", "NODE_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "PORT": port}
        machines.append(start(arguments[2:], *launcher, environment=where))
    return machines


def test_9_two_machines_are_stopped_and_resume_to_the_same_trajectory(
    experiment: Path, tmp_path: Path, whole: list[tuple[Any, ...]]
) -> None:
    pytest.importorskip("ray")
    arguments = search(experiment, tmp_path, *SIZE)
    machines = start_two_machines(arguments)
    wait_for_results(machines[0], tmp_path, 2)
    machines[0].terminate()
    began = time.monotonic()
    output, _ = machines[0].communicate(timeout=60)
    machines[1].communicate(timeout=60)
    assert time.monotonic() - began < BUSY * 15
    assert [machine.returncode for machine in machines] == [130, 0]
    assert f"results are in {tmp_path / FILE_NAME}; resume with the same" in output
    machines = start_two_machines([*arguments, "--resume"])
    outputs = [machine.communicate(timeout=400)[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], outputs[0][-3000:]
    assert trajectory(tmp_path) == whole
    assert outputs[0].count("written: ") == 1


CHANGED = {
    # what: (options, what the line must name)
    "space": (["model.backbone.space=small"], "space"),
    "budget": (["search.budgets=[{'cost':'macs','upper':5e7}]"], "budgets.0.upper"),
    "strategy": (["search.strategy.mutations=0"], "strategy.mutations = 1, but now it is 0"),
    "seed": (["--seed", "3"], "seed = 0, but now it is 3"),
    "calibration images": (["search.evaluator.calibration_images=5"], "calibration_images"),
    "batches": (["search.evaluator.batch_shapes=mixed"], "evaluator.batch_shapes"),
    "threads": (["search.evaluator.threads=1"], "evaluator.threads = 2, but now it is 1"),
    "data": (["val_dataloader.dataset.ann_file={annotations}"], "data.search"),
    "image": (["data_root={images}"], "images.search"),
    "pipeline": (["train_dataloader.dataset.filter_cfg.min_size=1"], "data.train"),
    "weights": (["search.supernet={weights}"], "supernet_sha256"),
    "metric": (["val_evaluator.proposal_nums=(1,10,100)"], "metrics_sha256"),
    "head": (["model.test_cfg.score_thr=0.5"], "model_sha256"),
    "score": (["search.score=coco/bbox_mAP_50"], "score"),
    "start": (["search.start_from=['tiny:0,0,0,0,0,0,0,0,0,0']"], "start"),
}


@pytest.mark.parametrize("what", CHANGED)
def test_7_resuming_with_something_changed_is_refused(
    what: str, experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(experiment / "search", tmp_path / "search")
    options, named = CHANGED[what]
    if "{annotations}" in options[0]:
        source = experiment / "data/detection/annotations/instances_search.json"
        changed = tmp_path / "changed.json"
        changed.write_text(source.read_text() + " ")
        options = [options[0].format(annotations=changed)]
    elif "{images}" in options[0]:
        shutil.copytree(experiment / "data/detection", tmp_path / "images")
        one = next((tmp_path / "images/images/search").iterdir())
        one.write_bytes(one.read_bytes() + b" ")  # readers of images do not mind
        options = [options[0].format(images=tmp_path / "images")]
    elif "{weights}" in options[0]:
        import torch

        checkpoint = torch.load(experiment / "finetune/final.pth", weights_only=True)
        next(iter(checkpoint["state_dict"].values())).add_(1e-3)
        torch.save(checkpoint, tmp_path / "changed.pth")
        options = [options[0].format(weights=tmp_path / "changed.pth")]
    before = trajectory(tmp_path / "search")
    assert main([*search(experiment, tmp_path / "search"), *options, "--resume"]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    errors = [line for line in lines if line.startswith("detnas search: error: ")]
    assert any(named in error for error in errors)
    assert all("has no box of" in line for line in lines if line not in errors)  # data read first
    assert trajectory(tmp_path / "search") == before


def test_7_executor_and_logging_may_change_and_generations_may_grow(
    experiment: Path, tmp_path: Path
) -> None:
    shutil.copytree(experiment / "search", tmp_path / "search")
    options = ["search.strategy.generations=3", "log_level=WARNING", "search.evaluator.cache_mb=0"]
    options += ["search.executor.attempts=3", "search.random_baseline=3"]
    options += ["search.evaluator.threads=None"]  # stays what it was
    assert main([*search(experiment, tmp_path / "search", *options), "--resume"]) == 0
    assert len(rows(tmp_path / "search")) == 3 * 2 + 3


def test_an_existing_history_is_not_overwritten(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(search(experiment, experiment / "search")) == 2
    assert "--resume" in capsys.readouterr().err
