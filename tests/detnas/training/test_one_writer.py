"""One training at a time writes into a folder, and what a killed one left half saved is removed."""

from pathlib import Path
from typing import Any

import pytest

from detnas.cli import main
from detnas.config import load_config
from detnas.distributed import one_writer
from detnas.errors import UserError
from detnas.stages.train import train

CONFIG = Path(__file__).parents[2] / "miniature" / "retinanet" / "pretrain.py"


def _config(data: Path, work_dir: Path) -> Any:
    options = {"pretrain_root": str(data), "max_iters": 2, "path_warmup_iters": 1}
    return load_config(CONFIG, options | {"console_level": "ERROR"}, work_dir)


def test_a_second_training_is_refused(data: Path, tmp_path: Path) -> None:
    config = _config(data, tmp_path)
    with (
        one_writer(tmp_path, "training"),
        pytest.raises(UserError, match=r"is in use by another training \(process \d+ on .* since"),
    ):
        train(config)
    assert not list(tmp_path.glob("*.pth"))


def test_what_a_killed_training_left_half_saved_is_removed(data: Path, tmp_path: Path) -> None:
    half = tmp_path / ".iter_2.pth.a1b2c3d4.pth"
    half.write_bytes(b"PK")
    train(_config(data, tmp_path))
    assert not half.exists()
    assert {file.name for file in tmp_path.glob("*.pth")} == {"iter_2.pth", "final.pth"}


def test_a_second_run_is_refused(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [f"data_root={experiment}/data/detection"]
    options += [f"pretrain_root={experiment}/data/classification"]
    command = ["run", str(CONFIG.parent), "--work-dir", str(tmp_path), "--quiet"]
    with one_writer(tmp_path, "run"):
        assert main([*command, "--cfg-options", *options]) == 2
    assert f"{tmp_path} is in use by another run (process " in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["run.lock"]
