"""`detnas train`: one stage of training (pretraining, fine-tuning, retraining) by its config."""

import re
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_distributed
from mmengine.logging import print_log

import detnas.models
import detnas.training  # noqa: F401 - registers hooks and samplers
from detnas.distributed import on_rank_0
from detnas.models.checkpoints import read_checkpoint
from detnas.preflight import check_pretrained, check_splits
from detnas.training.hooks import FINAL_WEIGHTS
from detnas.training.optimisers import with_precision
from detnas.training.runner import DetNASRunner

SPLITS = {"train_dataloader": "train", "val_dataloader": "val", "test_dataloader": "test"}


def train(config: Config, resume: bool = False) -> Path:
    """Train as the config says, in this process or in all of `detnas.distributed`'s group.

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
    with_precision(config.optim_wrapper, config.get("amp"))
    latest = latest_checkpoint(Path(config.work_dir))
    on_rank_0(lambda: _check(config, resume, latest))
    if latest is not None:
        config.load_from = str(latest)
        config.resume = True
        config.model.backbone.pop("init_cfg", None)
    config.launcher = "pytorch" if is_distributed() else "none"
    DetNASRunner.from_cfg(config).train()
    return Path(config.work_dir) / FINAL_WEIGHTS


def _check(config: Config, resume: bool, latest: Path | None) -> None:
    check_data(config)
    work_dir = Path(config.work_dir)
    if not resume and (latest is not None or (work_dir / FINAL_WEIGHTS).exists()):
        raise ValueError(
            f"{work_dir} already holds a run: go on with --resume, or train in another --work-dir"
        )
    if latest is not None:
        _check_seed(config, latest)
        return
    check_pretrained(config)
    if resume:
        print_log(f"nothing to resume in {work_dir}: starting from the beginning")


def check_data(config: Config) -> None:
    """Check the splits that a training config names; see `detnas.preflight.check_splits`."""
    check_splits(config, {k: v for k, v in SPLITS.items() if not _same(config, k)})


def latest_checkpoint(work_dir: Path) -> Path | None:
    """The checkpoint of the most iterations or epochs in a work directory."""
    found = [
        (int(match[1]), path)
        for path in work_dir.glob("*.pth")
        if (match := re.fullmatch(r"(?:iter|epoch)_(\d+)\.pth", path.name))
    ]
    return max(found)[1] if found else None


def _check_seed(config: Config, checkpoint: Path) -> None:
    seed = read_checkpoint(checkpoint)["meta"].get("seed")
    if seed is not None and seed != config.randomness["seed"]:
        raise ValueError(
            f"{checkpoint} was made with seed {seed}, this run has {config.randomness['seed']}: "
            "go on with the same, or train in another --work-dir"
        )


def _same(config: Config, key: str) -> bool:
    """Whether the test split repeats the validation split, as mmdet's configs often have it."""
    return (
        key == "test_dataloader"
        and config.get("val_dataloader") is not None
        and config.get("test_dataloader") is not None
        and config.test_dataloader["dataset"] == config.val_dataloader["dataset"]
    )
