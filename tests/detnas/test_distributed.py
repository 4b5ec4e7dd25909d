"""Distributed training in two CPU processes: gradients, paths, and weights as of one process."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from ddp_worker import classifier

from detnas.cli import main
from detnas.data.digits import DigitCounts, write_digits
from detnas.distributed import process_group
from detnas.models import DetNASSupernet
from detnas.models.checkpoints import unwrapped

ROOT = Path(__file__).parents[2]
COUNTS = DigitCounts(train_crops=40, val_crops=10, train_scenes=8, search_scenes=4, val_scenes=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Demo data, and a supernet's checkpoint with batch-norm statistics of some images."""
    folder = tmp_path_factory.mktemp("two")
    write_digits(folder / "data", counts=COUNTS)
    torch.manual_seed(0)
    supernet = DetNASSupernet("tiny")
    supernet.init_weights()
    for module in supernet.train().modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        for choice in range(4):
            supernet.set_path((choice,) * 10)
            supernet(torch.randn(8, 3, 48, 48))
    state_dict = {f"backbone.{k}": v for k, v in supernet.state_dict().items()}
    meta = {"detnas": supernet.identity()}
    torch.save({"state_dict": state_dict, "meta": meta}, folder / "supernet.pth")
    return folder


@pytest.fixture(scope="module")
def ranks(folder: Path) -> list[dict[str, Any]]:
    """The results of two processes."""
    output = folder / "output"
    output.mkdir()
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += [str(ROOT / "tests/detnas/ddp_worker.py"), str(folder / "data"), str(output)]
    done = subprocess.run(
        [*command, str(folder / "supernet.pth")],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "find_unused_parameters" not in done.stderr, done.stderr[-3000:]
    return [torch.load(output / f"{rank}.pth", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("what", ["retinanet", "faster_rcnn", "skip", "fair"])
def test_synchronised_gradients_are_the_mean_over_processes(
    what: str, ranks: list[dict[str, Any]]
) -> None:
    one, other = (rank[what] for rank in ranks)
    used = different = 0
    for name, synchronised in one["synchronised"].items():
        own = one["own"][name], other["own"][name]
        if synchronised is None:  # a choice off the path
            assert own == (None, None), name
            assert other["synchronised"][name] is None
            continue
        assert torch.equal(synchronised, other["synchronised"][name]), name
        mean = (own[0] + own[1]) / 2
        torch.testing.assert_close(synchronised, mean, rtol=1e-4, atol=1e-6 * mean.abs().max())
        used += 1
        different += not torch.allclose(own[0], own[1], rtol=1e-2)
    assert different > used / 2  # the processes had different images
    unused = len(one["synchronised"]) - used
    assert (unused == 0) == (what == "fair")  # strictly fair: every choice of every block learns


def test_ranks_train_the_same_paths(ranks: list[dict[str, Any]]) -> None:
    assert ranks[0]["path"] == ranks[1]["path"]
    assert ranks[0]["fair"]["paths"] == ranks[1]["fair"]["paths"]


def test_steps_cause_no_ddp_warning(ranks: list[dict[str, Any]]) -> None:
    messages = [message for rank in ranks for message in rank["warnings"]]
    assert not [m for m in messages if "unused" in m or "DistributedDataParallel" in m]


def test_syncbn_becomes_plain_batch_norm_on_cpus(ranks: list[dict[str, Any]]) -> None:
    for rank in ranks:
        assert rank["retinanet"]["norm_layers"] == {"_BatchNormXd"}


def test_two_processes_train_like_one_with_the_joint_batch(
    folder: Path, ranks: list[dict[str, Any]]
) -> None:
    """With frozen batch norm, weights agree to rounding after 3 steps.

    Batches of other sizes are summed in another order.
    """
    runner = classifier(
        folder / "data", folder / "supernet.pth", folder / "joint", pretrain_batch_size=16
    )
    runner.train()
    initial = torch.load(folder / "supernet.pth", weights_only=True)["state_dict"]
    moved = 0
    for name, joint in unwrapped(runner.model).state_dict().items():
        assert torch.equal(ranks[0]["weights"][name], ranks[1]["weights"][name]), name
        largest = joint.abs().max()
        assert (ranks[0]["weights"][name] - joint).abs().max() <= 1e-5 * largest, name
        if name in initial:
            moved += bool((joint - initial[name]).abs().max() > 1e-3 * largest)
    assert moved > 50  # weights changed by over a hundred times the tolerance


def test_launchers_that_did_not_start_the_process_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for launcher, starter in (("pytorch", "torchrun"), ("slurm", "srun")):
        with pytest.raises(ValueError, match=starter), process_group(launcher):
            pass
    with pytest.raises(ValueError, match="'mpi' is unknown"), process_group("mpi"):
        pass
    config = ROOT / "tests/miniature/retinanet/pretrain.py"
    assert main(["train", str(config), "--launcher", "pytorch"]) == 2
    assert "scripts/dist_train.sh" in capsys.readouterr().err
