"""The launchers: shell checks, two CPU processes, a killed rank, a resumed run, a run of stages."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from detnas.data.digits import DigitCounts, write_digits
from detnas.search.history.reading import SearchHistory

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
MINIATURE = ROOT / "tests" / "miniature" / "retinanet"
COUNTS = DigitCounts(train_crops=40, val_crops=10, train_scenes=8, search_scenes=4, val_scenes=4)
MARK = "DETNAS_TEST_WORK_DIR"  # in the environment of the processes that a test started
# Long enough to be killed in its middle, with checkpoints on the way.
OPTIONS = ["max_iters=40", "checkpoint_interval=4", "path_warmup_iters=6"]


def test_scripts_are_clean_shell() -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    scripts = sorted(map(str, SCRIPTS.glob("*.sh")))
    assert len(scripts) >= 7
    done = subprocess.run(
        [str(shellcheck), "-x", *scripts], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_the_rendezvous_is_static_and_each_launch_has_its_own() -> None:
    """Torchrun's other rendezvous unpickles what any machine may put into its store."""
    script = ". scripts/lib.sh; several_processes 2 train x; echo ${command[@]}"
    launches = []
    for _ in range(2):
        done = subprocess.run(
            ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
        )
        words = done.stdout.split()
        assert "--standalone" not in words
        named = {
            name: words[place + 1] for place, name in enumerate(words[:-1]) if name.startswith("--")
        }
        assert named["--rdzv-backend"] == "static"
        assert named["--master-addr"] == "127.0.0.1"
        assert "GLOO_SOCKET_IFNAME=lo" in words
        launches.append((named["--rdzv-id"], named["--master-port"]))
    assert launches[0][0] != launches[1][0]
    assert launches[0][1] != launches[1][1]


@pytest.mark.parametrize(
    "name",
    ["dist_train", "dist_test", "dist_search", "slurm_train", "slurm_search", "run_experiment"],
)
def test_scripts_say_how_they_are_used(name: str) -> None:
    done = subprocess.run([str(SCRIPTS / f"{name}.sh")], capture_output=True, text=True)
    assert done.returncode == 2
    assert f"scripts/{name}.sh " in done.stderr
    assert "set -euo" not in done.stderr
    if name.startswith("dist"):
        command = [str(SCRIPTS / f"{name}.sh"), "a.py", "b.pth", "two"][: 3 + (name == "dist_test")]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 2
        assert "is not a number of GPUs" in done.stderr


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}


def _dist_train(stage: str, work_dir: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            str(SCRIPTS / "dist_train.sh"),
            str(MINIATURE / f"{stage}.py"),
            "2",
            *("--work-dir", str(work_dir / stage)),
            *("--cfg-options", *OPTIONS),
            *options,
        ],
        env=_environment() | {MARK: str(work_dir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output[-3000:]
    return output


def _process_of_rank(rank: int, work_dir: Path) -> int:
    """The process that `_dist_train` started for a work directory with RANK=rank."""
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = environment.read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        if {f"RANK={rank}".encode(), f"{MARK}={work_dir}".encode()} <= set(variables):
            return int(environment.parent.name)
    raise AssertionError(f"no process of rank {rank}")


def _weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pretrained and fine-tuned in two processes, without interruption."""
    folder = tmp_path_factory.mktemp("whole")
    write_digits(folder / "data", counts=COUNTS)
    for stage in ("pretrain", "finetune"):
        output = _finish(_dist_train(stage, folder))
        assert "find_unused_parameters" not in output
        assert output.count("final weights") == 1  # one process speaks
        assert output.count("SyncBN is replaced by plain batch norm") == (stage == "finetune")
    return folder


def test_a_run_whose_rank_was_killed_resumes_to_the_same_weights(
    experiment: Path, tmp_path: Path
) -> None:
    stage = "finetune"
    for name in ("data", "pretrain"):
        (tmp_path / name).symlink_to(experiment / name)
    process = _dist_train(stage, tmp_path)
    deadline = time.monotonic() + 200
    checkpoints = tmp_path / stage
    while time.monotonic() < deadline and not list(checkpoints.glob("iter_*.pth")):
        assert process.poll() is None, process.communicate()[0][-3000:]
        time.sleep(0.02)
    os.kill(_process_of_rank(1, tmp_path), signal.SIGKILL)
    process.communicate(timeout=120)  # the launcher ends the other rank
    assert process.returncode != 0
    assert list(checkpoints.glob("iter_*.pth"))
    assert not (checkpoints / "final.pth").exists()
    _finish(_dist_train(stage, tmp_path, "--resume"))
    whole, resumed = (_weights(f / stage / "final.pth") for f in (experiment, tmp_path))
    assert whole.keys() == resumed.keys()
    for key, value in whole.items():
        assert torch.equal(value, resumed[key]), key


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
@pytest.mark.parametrize("amp", ["None", "bf16", "fp16"])
def test_syncbn_trains_on_cuda(amp: str, tmp_path: Path) -> None:
    write_digits(tmp_path / "data", counts=COUNTS)
    command = [str(SCRIPTS / "dist_train.sh"), str(MINIATURE / "finetune.py"), "1"]
    command += ["--work-dir", str(tmp_path / "finetune")]
    command += ["--cfg-options", "pretrained=None", f"amp={amp}"]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "replaced by plain batch norm" not in done.stdout + done.stderr
    for key, value in _weights(tmp_path / "finetune" / "final.pth").items():
        assert torch.isfinite(value.float()).all(), key


def test_two_processes_score_as_one(experiment: Path, tmp_path: Path) -> None:
    command = [str(MINIATURE / "finetune.py"), str(experiment / "finetune" / "final.pth")]
    launches = {
        "two": [str(SCRIPTS / "dist_test.sh"), *command, "2"],
        "one": [sys.executable, "-m", "detnas.cli", "test", *command],
    }
    # A detector of so few steps has no precision, but its boxes have some recall.
    options = ["--architecture", "tiny:0,1,2,3,0,1,2,3,0,1", "--json", "--cfg-options"]
    options += [f"data_root={experiment}/data/detection", "test_dataloader.batch_size=1"]
    options += ["model.test_cfg.score_thr=0.0", "test_evaluator.metric=proposal"]
    found = []
    for name, launch in launches.items():
        done = subprocess.run(
            [*launch, "--work-dir", str(tmp_path / name), *options],
            env=_environment() | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found.append(json.loads((tmp_path / name / "test_metrics.json").read_text()))
    assert found[0] == found[1]
    assert max(found[0].values()) > 0


def test_run_experiment_skips_what_is_finished(tmp_path: Path) -> None:
    folder = tmp_path / "configs"
    shutil.copytree(MINIATURE, folder)
    (folder / "retrain.py").unlink()
    for file in folder.glob("*.py"):
        text = file.read_text().replace("../../../configs", str(ROOT / "configs"))
        file.write_text(text)
    write_digits(tmp_path / "work" / "data", counts=COUNTS)
    command = [str(SCRIPTS / "run_experiment.sh"), str(folder), "2", "--quiet"]
    command += ["--work-dir", str(tmp_path / "work")]
    first = subprocess.run(command, env=_environment(), capture_output=True, text=True)
    assert first.returncode == 0, first.stderr[-3000:]
    weights = [tmp_path / "work" / stage / "final.pth" for stage in ("pretrain", "finetune")]
    before = [path.stat().st_mtime_ns for path in weights]
    second = subprocess.run(command, env=_environment(), capture_output=True, text=True)
    assert second.returncode == 0, second.stderr[-3000:]
    assert [path.stat().st_mtime_ns for path in weights] == before
    assert second.stderr.count("finished before") == 3
    rows = SearchHistory.read(tmp_path / "work/search/history.db").rows
    assert {row.status for row in rows} == {"done"}
    assert len({row.worker for row in rows if row.worker}) == 2, "both workers evaluated"
