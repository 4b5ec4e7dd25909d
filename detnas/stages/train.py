"""Runs one training stage (pretraining, fine-tuning, retraining), as `detnas train` does."""

import logging
import re
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from mmengine.config import Config
from mmengine.dist import get_world_size, is_distributed
from mmengine.logging import print_log
from mmengine.registry import HOOKS, PARAM_SCHEDULERS
from msgspec import Struct, structs

import detnas.evaluation.mended_annotations
import detnas.models
import detnas.training  # noqa: F401 - registers hooks and samplers
from detnas.distributed import on_rank_0, one_writer
from detnas.errors import Problems, UserError, user_input
from detnas.evaluation.evaluator import quiet_stdout
from detnas.evaluation.path_validation import PathValidation, PathValidationHook
from detnas.models.backbones import DetNASSupernet
from detnas.models.checkpoints import read_checkpoint
from detnas.stages.base import OF_THE_MODEL, Stage
from detnas.stages.checks import (
    awaits_architecture,
    backbone_kind,
    build_backbone,
    check_backbone,
    check_parts,
    check_pretrained,
    check_values,
)
from detnas.training.batch_norm_only import (
    BatchNormOnly,
    BatchNormOnlyHook,
    fix_all_but_batch_norm,
)
from detnas.training.hooks import FINAL_WEIGHTS
from detnas.training.optimisers import with_precision
from detnas.training.paths import PathSamplingHook
from detnas.training.runner import DetNASRunner
from detnas.training.small_images import SmallImages, SmallImagesHook
from search_space.validation import convert

Section = TypeVar("Section", bound=Struct)

PASSES = 3
"""Forward passes that take as long as a training step, of which the backward pass is two."""

SPLITS = {"train_dataloader": "train", "val_dataloader": "val", "test_dataloader": "test"}


def train(config: Config, resume: bool = False, checked: bool = False) -> Path:
    """Train in this process, or in all processes of `detnas.distributed`'s group.

    Args:
        config: from `detnas.config.load_config`.
        resume: resume from the latest checkpoint in the work directory, if there is one.
        checked: whether `check_training` has just passed.
    Returns:
        The file with the final weights.
    Raises:
        UserError: before any work, if data, checkpoints or settings are invalid, or another
            training writes into the work directory.
    """
    on_rank_0(lambda: _check(config, resume, checked))
    with one_writer(Path(config.work_dir), "training"):
        return _train(config)


def _train(config: Config) -> Path:
    latest = on_rank_0(lambda: latest_checkpoint(Path(config.work_dir)))
    if latest is not None:
        if not latest.is_file():
            raise UserError(
                f"{latest} does not exist here: all machines need the same work directory"
            )
        config.load_from = str(latest)
        config.resume = True
        config.model.backbone.pop("init_cfg", None)
    sections = {
        PathValidationHook: _path_validation(config),
        BatchNormOnlyHook: _batch_norm_only(config),
        SmallImagesHook: _small_images(config),
    }
    for hook, settings in sections.items():
        if settings is not None:
            added = {"type": hook.__name__, **structs.asdict(settings)}
            config.custom_hooks = [*config.get("custom_hooks", []), added]
    config.launcher = "pytorch" if is_distributed() else "none"
    DetNASRunner.from_cfg(config).train()
    return Path(config.work_dir) / FINAL_WEIGHTS


def check_training(config: Config) -> float:
    """Check a training stage without the results of earlier stages.

    Returns:
        Its multiply-adds, as `Stage.check`.
    Raises:
        UserError: data, splits, precision, schedule, backbone or path policy are invalid.
    """
    for key in ("train_dataloader", "train_cfg", "optim_wrapper"):
        if config.get(key) is None:
            raise UserError(f"the config has no `{key}`: name the config of a training stage")
    if config.get("search") is not None:
        raise UserError(
            "this is the config of a search: run it with `detnas search`, or name another config"
        )
    check_values(config)
    problems = Problems()
    with problems:
        with_precision(config.optim_wrapper, config.get("amp"))
    with problems:
        _check_schedule(config)
    paths = 1
    of_backbone = Problems()
    with of_backbone:
        check_backbone(config)
        _path_validation(config)
        _batch_norm_only(config)
        for hook in config.get("custom_hooks") or []:
            if hook.get("type") == PathSamplingHook.__name__:
                paths = _check_paths(config, hook)
    with problems:
        of_backbone.raise_found()
    with problems:
        _small_images(config)
    names = {k: v for k, v in SPLITS.items() if not _repeats_val(config, k)}
    metrics = ("val_evaluator", "test_evaluator")
    with problems:
        parts = check_parts(config, names, *metrics, with_model=not of_backbone)
    problems.raise_found()
    loop = config.train_cfg
    if loop.get("max_iters") is not None:
        images = loop.max_iters * (config.train_dataloader.get("batch_size") or 0)
    else:
        images = loop.get("max_epochs", 0) * parts.images("train") / get_world_size()
    return float(PASSES * paths * images * parts.image_macs.get("train_dataloader", 0.0))


def _check_paths(config: Config, hook: Mapping[str, Any]) -> int:
    """Check a hook of paths; return how many of them it trains in a step."""
    backbone = build_backbone(config)
    if not isinstance(backbone, DetNASSupernet):
        raise UserError(
            "PathSamplingHook needs a DetNASSupernet as the backbone, not "
            f"{config.model.backbone.get('type')}: remove the hook from custom_hooks, or change "
            "the model"
        )
    policy = HOOKS.build(dict(hook)).policy(backbone.space, seed=0)
    warmup, iterations = hook.get("warmup_iters", 0), config.train_cfg.get("max_iters")
    if iterations is not None and 0 < iterations <= warmup:
        raise UserError(
            f"path_warmup_iters is {warmup} of {iterations} iterations: none is left to train "
            "other paths; set it lower, or to 0"
        )
    return len(policy(0))


def _path_validation(config: Config) -> PathValidation | None:
    """The checked section `path_validation`; None without one, and for a single network."""
    settings = _section(config, "path_validation", PathValidation)
    if settings is None or backbone_kind(config) != DetNASSupernet.__name__:
        return None
    for key in ("search_dataloader", "search_evaluator", "score"):
        if config.get(key) is None:
            raise UserError(f"path_validation scores paths by `{key}`, which the config lacks")
    return settings


def _batch_norm_only(config: Config) -> BatchNormOnly | None:
    """The checked section `batch_norm_only`; None without one."""
    settings = _section(config, "batch_norm_only", BatchNormOnly)
    if settings is None:
        return None
    if backbone_kind(config) != DetNASSupernet.__name__:  # whose architecture may be awaited
        raise UserError(
            "batch_norm_only is for supernets, and this stage trains "
            f"{config.model.backbone.get('type')}: remove it from this stage's config"
        )
    backbone = build_backbone(config)
    assert backbone is not None
    fix_all_but_batch_norm(backbone)
    _check_is_before_end(config, "batch_norm_only.begin", settings.begin, "it changes nothing")
    return settings


def _small_images(config: Config) -> SmallImages | None:
    """The checked section `small_images`; None without one."""
    settings = _section(config, "small_images", SmallImages)
    if settings is None:
        return None
    if "num_classes" not in config.model.get("head", {}):
        raise UserError(
            "small_images resizes images but no boxes, and this stage trains a detector: move it "
            "to the config of the pretraining"
        )
    _check_is_before_end(config, "small_images.until", settings.until, "all images stay small")
    return settings


def _section(config: Config, key: str, kind: type[Section]) -> Section | None:
    """A section of the config as its type; None without one."""
    section = config.get(key)
    if section is None:
        return None
    with user_input():
        plain = dict(section) if isinstance(section, Mapping) else section
        return convert(plain, kind, key)


def _check_is_before_end(config: Config, key: str, value: int, otherwise: str) -> None:
    """Refuse an iteration that does not come; `otherwise` says what that would mean."""
    iterations = config.train_cfg.get("max_iters")
    if iterations is not None and value >= iterations:
        raise UserError(f"{key} is {value} of {iterations} iterations: {otherwise}; set it lower")


def _check_schedule(config: Config) -> None:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    for scheduler in config.get("param_scheduler") or []:
        if not isinstance(scheduler, Mapping) or scheduler.get("by_epoch", True):
            continue
        try:
            PARAM_SCHEDULERS.build(dict(scheduler), default_args={"optimizer": optimiser})
        except Exception as error:  # OpenMMLab's constructors raise many types
            raise UserError(
                f"{config.filename}: {scheduler.get('type')} of param_scheduler cannot be built "
                f"({error}); check warmup_iters, steps and max_iters against each other"
            ) from error


def _warn_of_unscaled_rate(config: Config) -> None:
    """Log a warning if the learning rate is for another number of images per iteration."""
    scale = config.get("auto_scale_lr") or {}
    images = config.train_dataloader.batch_size * get_world_size()
    base = scale.get("base_batch_size", images)
    if images != base and not scale.get("enable"):
        print_log(
            f"the learning rate is for {base} images per iteration, but this run has {images}: "
            "scale it with --auto-scale-lr",
            level=logging.WARNING,
        )


def _check(config: Config, resume: bool, checked: bool) -> None:
    """Check everything, before there is a work directory."""
    if not checked:
        check_training(config)
    work_dir = Path(config.work_dir)
    latest = latest_checkpoint(work_dir)
    if not resume and (latest is not None or (work_dir / FINAL_WEIGHTS).exists()):
        raise UserError(
            f"{work_dir} already contains a run: resume it with --resume, or change --work-dir"
        )
    if latest is not None:
        _check_resumable(config, latest)
        return
    check_pretrained(config)
    _warn_of_unscaled_rate(config)
    if resume and not checked:  # a stage of an experiment always asks
        print_log(f"nothing to resume in {work_dir}: training starts from the beginning")


def latest_checkpoint(work_dir: Path) -> Path | None:
    """The checkpoint with the most iterations or epochs in a work directory."""
    found = [
        (int(match[1]), path)
        for path in work_dir.glob("*.pth")
        if (match := re.fullmatch(r"(?:iter|epoch)_(\d+)\.pth", path.name))
    ]
    return max(found)[1] if found else None


def _check_resumable(config: Config, checkpoint: Path) -> None:
    """Raise UserError if seed, processes or batch size differ from those of the checkpoint."""
    meta = read_checkpoint(checkpoint)["meta"]
    current = {
        "seed": config.randomness["seed"],
        "world_size": get_world_size(),
        "batch_size": config.train_dataloader.get("batch_size"),
    }
    names = {"seed": "seed", "world_size": "processes:", "batch_size": "batch size"}
    for key, now in current.items():
        before = meta.get(key)
        if before is not None and before != now:
            raise UserError(
                f"{checkpoint} was saved with {names[key]} {before}, but this run has {now}: "
                "resume with the same value, or change --work-dir"
            )


def _repeats_val(config: Config, key: str) -> bool:
    """Whether `key` is a test split that repeats the validation split, as often in mmdet."""
    return (
        key == "test_dataloader"
        and config.get("val_dataloader") is not None
        and config.get("test_dataloader") is not None
        and config.test_dataloader["dataset"] == config.val_dataloader["dataset"]
    )


@dataclass(frozen=True)
class TrainingStage(Stage):
    """Pretraining, fine-tuning or retraining."""

    reads: ClassVar[tuple[str, ...]] = (
        *OF_THE_MODEL,
        *("train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler", "auto_scale_lr"),
        *("val_dataloader", "val_cfg", "val_evaluator", "default_hooks", "custom_hooks"),
        *("env_cfg", "randomness", "load_from", "amp", "sync_bn", "find_unused_parameters"),
        *("batch_norm_only", "small_images"),
    )

    def check(self) -> float:
        problems = Problems()
        macs = 0.0
        with problems:
            macs = check_training(self.config)
        if not awaits_architecture(self.config):
            with problems:
                check_pretrained(self.config, absent=True)
        problems.raise_found()
        return macs

    def named_inputs(self) -> Mapping[str, Any]:
        init_cfg = self.config.model.backbone.get("init_cfg") or {}
        return {"load_from": self.config.get("load_from"), "backbone": init_cfg.get("checkpoint")}

    def run(self, quiet: bool, later: float | None = None) -> None:
        if quiet:
            self.config.console_level = "ERROR"
            progress = {"type": "ProgressHook", "stage": self.name, "later": later}
            self.config.custom_hooks = [*self.config.get("custom_hooks", []), progress]
        with quiet_stdout() if quiet else nullcontext():
            train(self.config, resume=True, checked=True)
