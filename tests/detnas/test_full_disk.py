"""A full disk ends training and report in one line; what was saved before stays whole."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from detnas.models.checkpoints import read_checkpoint
from detnas.search.history.writer import History

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "tests/miniature/retinanet/finetune.py"
RECORDED = {
    "space": "tiny",
    "channel_shuffle": "even_odd",
    "score": "score",
    "greater_is_better": True,
    "strategy": {"type": "evolution", "generations": 3},
    "budgets": [],
    "seed": 0,
}
DETNAS = f"{sys.executable} -m detnas.cli"


def on_small_disk(
    disk: Path, size: str, script: str, saved: Path
) -> subprocess.CompletedProcess[str]:
    """Run a script with a filesystem of `size` on `disk`, then copy what is there."""
    disk.mkdir(exist_ok=True)
    lines = [
        f"mount -t tmpfs -o size={size} tmpfs {disk} || exit 77",
        f"{script}",
        f"status=$?; cp -r {disk} {saved}; exit $status",
    ]
    done = subprocess.run(
        ["unshare", *([] if os.geteuid() == 0 else ["-r"]), "-m", "sh", "-c", "\n".join(lines)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no filesystem may be mounted here")
    return done


def test_a_training_keeps_its_last_checkpoint(experiment: Path, tmp_path: Path) -> None:
    options = f"data_root={experiment}/data/detection pretrained=None num_workers=0"
    options += " max_iters=6 checkpoint_interval=2 path_warmup_iters=2 console_level=ERROR"
    disk, saved = tmp_path / "disk", tmp_path / "saved"
    done = on_small_disk(
        disk,
        "12m",  # a checkpoint takes 7 MB
        f"{DETNAS} train {CONFIG} --work-dir {disk}/w --cfg-options {options}",
        saved,
    )
    assert done.returncode == 2, done.stderr
    line = done.stderr.splitlines()[-1]
    assert line == f"detnas train: error: [Errno 28] No space left on device: '{disk}/w/iter_4.pth'"
    assert "Traceback" not in done.stderr
    assert [file.name for file in (saved / "w").glob("*.pth")] == ["iter_2.pth"]
    assert not list((saved / "w").glob(".*"))
    assert read_checkpoint(saved / "w/iter_2.pth")["meta"]["iter"] == 2


def test_a_report_is_whole_or_not_there(tmp_path: Path) -> None:
    history = tmp_path / "history.db"
    with History.create(history, RECORDED) as file:
        for generation in range(3):
            choices = tuple((generation + block) % 4 for block in range(10))
            file.record_generation(generation, [(choices, {"macs": 20e6, "params": 2e6})])
            file.record_done(generation + 1, 0.1 * generation, {})
    disk, saved = tmp_path / "disk", tmp_path / "saved"
    script = f"cp {history} {disk} && {DETNAS} report {disk}"
    done = on_small_disk(disk, "64k", script, saved)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("detnas report: error: [Errno 28] No space left on device")
    assert len(done.stderr.splitlines()) == 1
    assert [file.name for file in saved.iterdir()] == ["history.db"]
