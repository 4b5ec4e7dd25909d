"""A training that is told to stop leaves a checkpoint, from which it goes on as if nothing was."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from detnas.config import load_config
from detnas.models.checkpoints import read_checkpoint
from detnas.stages.train import train

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "tests" / "miniature" / "retinanet" / "pretrain.py"


@HOOKS.register_module()
class StopsAt(Hook):
    """Sends a signal to this process and to its loader's workers, as a terminal does."""

    def __init__(self, iteration: int, times: int = 1) -> None:
        self._iteration = iteration
        self._times = times

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter == self._iteration:
            for worker in multiprocessing.active_children():
                assert worker.pid is not None
                os.kill(worker.pid, signal.SIGINT)
            for _ in range(self._times):
                os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(autouse=True)
def _as_in_a_terminal() -> Iterator[None]:
    """A shell starts what runs in the background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _train(data: Path, work_dir: Path, resume: bool = False, **options: Any) -> dict[str, Any]:
    options = {"max_iters": 6, "checkpoint_interval": 100, **options}
    options |= {"pretrain_root": str(data), "console_level": "ERROR"}
    return read_checkpoint(train(load_config(CONFIG, options, work_dir), resume=resume))


@pytest.mark.parametrize("workers", [0, 2])
def test_it_stops_after_the_iteration_and_resumes(
    workers: int, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = _train(data, tmp_path / "whole")
    before = signal.getsignal(signal.SIGINT)
    stopped = {"custom_hooks": [{"type": "StopsAt", "iteration": 2}]}
    stopped["custom_hooks"] += load_config(CONFIG).custom_hooks
    with pytest.raises(KeyboardInterrupt):
        _train(data, tmp_path / "it", **stopped, **{"train_dataloader.num_workers": workers})
    assert signal.getsignal(signal.SIGINT) is before
    assert "again to stop at once" in capsys.readouterr().err
    for worker in multiprocessing.active_children():
        worker.terminate()  # as at the end of the program
        worker.join(timeout=20)
        assert not worker.is_alive()
    (saved,) = (tmp_path / "it").glob("*.pth")
    assert saved.name in ("iter_3.pth", "iter_4.pth")  # hooks of one priority have no order
    resumed = _train(data, tmp_path / "it", resume=True)
    for key, value in whole["state_dict"].items():
        assert torch.equal(value, resumed["state_dict"][key]), key


def test_a_second_signal_stops_at_once(data: Path, tmp_path: Path) -> None:
    stopped = {"custom_hooks": [{"type": "StopsAt", "iteration": 2, "times": 2}]}
    with pytest.raises(KeyboardInterrupt):
        _train(data, tmp_path / "it", **stopped)
    assert not list((tmp_path / "it").glob("*.pth"))


def test_a_stop_in_the_last_iteration_changes_nothing(data: Path, tmp_path: Path) -> None:
    stopped = {"custom_hooks": [{"type": "StopsAt", "iteration": 5}]}
    assert _train(data, tmp_path / "it", **stopped)["meta"]["iter"] == 6


def test_a_process_that_ignores_signals_goes_on_ignoring_them(data: Path, tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        stopped = {"custom_hooks": [{"type": "StopsAt", "iteration": 2}]}
        assert _train(data, tmp_path / "it", **stopped)["meta"]["iter"] == 6
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("processes", [1, 2])
def test_sigterm_to_all_processes_leaves_a_checkpoint(
    processes: int, data: Path, tmp_path: Path
) -> None:
    """As Slurm sends it, and torchrun: to the loader's workers, too."""
    options = ["--work-dir", str(tmp_path), "--cfg-options", f"pretrain_root={data}"]
    options += ["max_iters=5000", "checkpoint_interval=4000", "train_dataloader.num_workers=1"]
    options += ["default_hooks.logger.interval=1"]
    command = [sys.executable, "-m", "detnas.cli", "train", str(CONFIG), *options]
    if processes > 1:
        script = str(ROOT / "scripts" / "dist_train.sh")
        command = [script, str(CONFIG), str(processes), *options]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 200
    while not any(file.stat().st_size for file in tmp_path.glob("*/vis_data/scalars.json")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(timeout=100) != 0
    (saved,) = tmp_path.glob("*.pth")
    assert 1 <= int(saved.stem.removeprefix("iter_")) < 4000
