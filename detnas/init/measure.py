"""Measures what the stages of a new experiment take on this machine, before their lengths exist."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from detnas.config import load_config
from detnas.evaluation.settings import EvaluatorSettings
from detnas.init.schedule import Pace
from detnas.stages.forecast.pace import measure_training
from detnas.stages.forecast.scoring import measure_scoring

CALIBRATION_BATCH = 8


def measure_pace(folder: Path, pixels: float, stock: Sequence[str]) -> Pace:
    """Run each stage of a folder of configs for a few steps.

    Args:
        folder: of the config files, of any lengths.
        pixels: of the images that they scale to.
        stock: the names of config files of stock backbones.
    Raises:
        UserError: a stage cannot be built, or its first step fails.
    """
    with tempfile.TemporaryDirectory() as work_dir:

        def training(name: str) -> float:
            config = load_config(folder / f"{name}.py", None, Path(work_dir) / name)
            return measure_training(config).step

        retrain = training("retrain")
        search = load_config(folder / "search.py", None, Path(work_dir) / "search")
        scoring = measure_scoring(
            search, EvaluatorSettings(calibration_batch_size=CALIBRATION_BATCH)
        )
        return Pace(
            pixels,
            training("pretrain") if (folder / "pretrain.py").is_file() else None,
            training("finetune"),
            [retrain] * 3 + [training(name) for name in stock],
            scoring.calibration,
            scoring.scoring,
        )
