"""`detnas train`: one stage of training (pretraining, fine-tuning, retraining) by its config."""

from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import find_latest_checkpoint

import detnas.models
import detnas.training  # noqa: F401 - registers hooks and samplers
from detnas.preflight import check_pretrained, check_splits
from detnas.training.hooks import FINAL_WEIGHTS
from detnas.training.runner import DetNASRunner

SPLITS = {"train_dataloader": "train", "val_dataloader": "val", "test_dataloader": "test"}


def train(config: Config, resume: bool = False) -> Path:
    """Train as the config says.

    Args:
        config: from `detnas.config.load_config`.
        resume: go on from the latest checkpoint in the work directory, where there is one.
    Returns:
        The file with the final weights.
    Raises:
        FileNotFoundError, ValueError: before any work, on data or checkpoints that do not do.
    """
    for key in ("train_dataloader", "train_cfg", "optim_wrapper"):
        if config.get(key) is None:
            raise ValueError(f"the config has no `{key}`: it is no config of a training stage")
    check_splits(config, {k: v for k, v in SPLITS.items() if not _same(config, k)})
    latest = find_latest_checkpoint(config.work_dir) if resume else None
    if latest is None:
        check_pretrained(config)
    else:
        config.load_from = latest
        config.resume = True
        config.model.backbone.pop("init_cfg", None)
    if resume and latest is None:
        print_log(f"nothing to resume in {config.work_dir}: starting from the beginning")
    DetNASRunner.from_cfg(config).train()
    return Path(config.work_dir) / FINAL_WEIGHTS


def _same(config: Config, key: str) -> bool:
    """Whether the test split repeats the validation split, as mmdet's configs often have it."""
    return (
        key == "test_dataloader"
        and config.get("val_dataloader") is not None
        and config.get("test_dataloader") is not None
        and config.test_dataloader["dataset"] == config.val_dataloader["dataset"]
    )
