"""Builds what a config describes before any work: values, pipelines, model, optimiser, metrics.

OpenMMLab's parts raise errors of any type on values that they do not expect, some of them long
after a run began. Here they become one line that names the part and the mend.
"""

import inspect
import logging
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.optim import build_optim_wrapper
from mmengine.registry import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    LOOPS,
    METRICS,
    MODELS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    Registry,
    init_default_scope,
)
from mmengine.runner import Runner
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from detnas.config import unwrap_dataset
from detnas.data.checks import Split
from detnas.errors import Problems, UserError, explained
from detnas.evaluation.evaluator import quiet_stdout
from detnas.stages.checks.backbone import awaits_architecture
from detnas.stages.checks.splits import check_splits
from detnas.stages.checks.visualizer import check_visualizer
from detnas.training.optimisers import with_precision
from search_space.architecture import Architecture
from search_space.spaces import parse_space
from search_space.validation import did_you_mean

_LOADER_KEYS = {
    *inspect.signature(DataLoader).parameters,
    *("num_batch_per_epoch", "_scope_"),
}
_ENV_KEYS = ("cudnn_benchmark", "mp_cfg", "dist_cfg", "resource_limit", "_scope_")
_PROCESS_KEYS = ("mp_start_method", "opencv_num_threads")
_OF_RUNNER = ("dataloader", "optimizer", "convert_to_iter_based", "begin", "end", "by_epoch")
"""What the runner adds to sections, or takes out of them."""

MOST = 10**9
"""Of what a config counts: iterations, images, workers."""

IMAGE = (2, 3, 128, 128)
"""The shape of the images that a model is tried with."""


@dataclass(frozen=True)
class CheckedParts:
    """What is known of a config's parts once they are checked.

    Attributes:
        splits: with their images.
        image_macs: multiply-adds of backbone, neck and first head for an image as the pipeline of
            each loader gives it, by the loader's key; without those that cannot be tried.
    """

    splits: list[Split]
    image_macs: Mapping[str, float]

    def images(self, name: str) -> int:
        """The number of images of a split; 0 of one that is not known."""
        return sum(len(split.images) for split in self.splits if split.name == name)


def check_values(config: Config) -> None:
    """Check the numbers of dataloaders and of the training loop, and the visualizer.

    Raises:
        UserError: a batch size, a number of workers or of iterations that is none; or as
            `check_visualizer`.
    """
    for key in ("train_dataloader", "val_dataloader", "test_dataloader"):
        loader = config.get(key)
        if loader is None:
            continue
        if "batch_sampler" not in loader:
            _require_integer(f"{key}.batch_size", loader.get("batch_size", 1), 1)
        _require_integer(f"{key}.num_workers", loader.get("num_workers", 0), 0)
        for dataset in unwrap_dataset(loader["dataset"]):
            for path in ("data_root", "ann_file"):
                if not isinstance(dataset.get(path) or "", str | Path):
                    raise UserError(
                        f"{key}.dataset.{path} is {dataset[path]!r}; write one path, and put a "
                        "comma in it into quotes: --cfg-options 'data_root=\"a,b\"'"
                    )
    _check_types(config)
    check_visualizer(config)
    hook = (config.get("default_hooks") or {}).get("checkpoint") or {}
    if hook.get("interval") is not None:
        _require_integer("default_hooks.checkpoint.interval", hook["interval"], -1)
    level = config.get("log_level", "INFO")
    if level not in logging.getLevelNamesMapping():
        known = ", ".join(logging.getLevelNamesMapping())
        raise UserError(f"log_level is {level!r}; it may be {known}")
    loop = config.get("train_cfg") or {}
    for key in ("max_iters", "max_epochs", "val_interval"):
        if loop.get(key) is not None:
            _require_integer(f"train_cfg.{key}", loop[key], 1)


def _require_integer(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f"{name} is {value!r}; write an integer >= {least}")
    if value > MOST:
        raise UserError(f"{name} is {value}; write an integer of at most {MOST:,}")


def _check_types(config: Config) -> None:
    """Refuse data sets, samplers, schedulers and hooks of a type that nothing has registered."""
    named: list[tuple[str, Registry, Any]] = []
    for key in ("train_dataloader", "val_dataloader", "test_dataloader"):
        loader = config.get(key) or {}
        if loader:
            _check_keys(key, loader, _LOADER_KEYS)
            inner = unwrap_dataset(loader["dataset"])
            named += [(f"{key}.dataset", DATASETS, dataset) for dataset in inner]
            named.append((f"{key}.sampler", DATA_SAMPLERS, loader.get("sampler")))
    for key, registry in (("param_scheduler", PARAM_SCHEDULERS), ("custom_hooks", HOOKS)):
        section = config.get(key) or []
        items = [section] if isinstance(section, Mapping) else section
        named += [(f"{key}[{i}]", registry, item) for i, item in enumerate(items)]
    for key in ("train_cfg", "val_cfg", "test_cfg"):
        if (config.get(key) or {}).get("type"):
            named.append((key, LOOPS, config[key]))
    for name, hook in (config.get("default_hooks") or {}).items():
        named.append((f"default_hooks.{name}", HOOKS, hook))
    environment = config.get("env_cfg") or {}
    _check_keys("env_cfg", environment, _ENV_KEYS)
    _check_keys("env_cfg.mp_cfg", environment.get("mp_cfg") or {}, _PROCESS_KEYS)
    for where, registry, part in named:
        kind = (part or {}).get("type")
        if not isinstance(kind, str):  # a class
            continue
        with registry.switch_scope_and_registry(config.get("default_scope", "mmdet")) as scoped:
            found = scoped.get(kind)
        if found is None:
            raise UserError(
                f"{where}.type is {kind!r}, which is not registered: correct it, or name its "
                "module in custom_imports"
            )
        if registry is not DATASETS and (known := _arguments(found)) is not None:
            _check_keys(where, part, {"type", "_scope_", "priority", *known, *_OF_RUNNER})


def _arguments(kind: Any) -> set[str] | None:
    """What a class takes; None if it takes anything."""
    known: set[str] = set()
    for each in inspect.getmro(kind):
        own = each.__dict__.get("__init__")
        if own is None:
            continue
        parameters = inspect.signature(own).parameters.values()
        known |= {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        if each.__name__ == "CheckpointHook":
            return known | set(inspect.signature(Runner.save_checkpoint).parameters)
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            return known
    return None


def _check_keys(where: str, section: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse a key that nothing reads: it would fail hours later, or not at all."""
    known = sorted(known)
    for key in section:
        if key not in known:
            raise UserError(f"{where} has no key {key!r}: {did_you_mean(key, known)}")


def check_parts(
    config: Config, names: Mapping[str, str], *evaluators: str, with_model: bool = True
) -> CheckedParts:
    """Check the data of a config, and build its pipelines, metrics, model and optimiser.

    Args:
        config: an OpenMMLab config.
        names: as `check_splits` takes them.
        evaluators: the keys of metrics, such as "val_evaluator"; absent ones are skipped.
        with_model: whether the model is checked, too.
    Raises:
        UserError: as `check_splits`, or a part cannot be built, or fails on what it is given.
    """
    problems = Problems()
    splits: list[Split] = []
    pixels: dict[str, int] = {}
    macs = 0.0
    with problems:
        splits = check_splits(config, names)
    with problems:
        pixels = _check_pipelines(config, names, splits)
    with problems:
        _check_metrics(config, evaluators)
    with problems:
        macs = _check_model(config) if with_model else 0.0
    problems.raise_found()
    return CheckedParts(splits, {key: macs * count for key, count in pixels.items() if macs})


def _check_pipelines(
    config: Config, names: Mapping[str, str], splits: Sequence[Split]
) -> dict[str, int]:
    """Run the first image of each split through its pipeline; return its pixels by loader."""
    pixels = {}
    first = {split.name: split.images[0] for split in splits if split.images}
    for key, name in names.items():
        if config.get(key) is None or name not in first or not first[name].is_file():
            continue
        pipeline = unwrap_dataset(config[key]["dataset"])[0].get("pipeline") or ()
        with _explained(f"the pipeline of {key}", config), _as_it_was():
            transforms = Compose(deepcopy(list(pipeline)))
            if any(hasattr(step, "mix_transform") for step in transforms.transforms):
                continue  # it needs other images of the data set
            try:
                sample = transforms(_record(first[name]))
            except KeyError:  # a step needs more than boxes and masks
                continue
        if sample is not None and "inputs" not in sample:
            raise UserError(
                f"the pipeline of {key} ends without packing its images: let it end with "
                "dict(type='PackDetInputs')"
            )
        if sample is not None:
            pixels[key] = prod(sample["inputs"].shape[-2:])
    return pixels


def _record(image: Path) -> dict[str, Any]:
    """A record of a data set about one image with one box."""
    instance = {
        "bbox": [1.0, 1.0, 9.0, 9.0],
        "bbox_label": 0,
        "ignore_flag": 0,
        "mask": [[1.0, 1.0, 9.0, 1.0, 9.0, 9.0, 1.0, 9.0]],
    }
    return {
        "img_path": str(image),
        "img_id": 0,
        "height": 1,
        "width": 1,
        "instances": [instance],
        "gt_label": 0,
        "text": ("object",),
    }


def _check_model(config: Config) -> float:
    """Build the model and its optimiser without memory, and send an image's shape through it.

    Returns:
        Multiply-adds per pixel; 0 where they are not known.
    """
    section = deepcopy(config.model)
    _drop_weights(section)
    if awaits_architecture(config):
        if section.backbone.get("space") is None:
            return 0.0
        space = parse_space(section.backbone.space)
        section.backbone.architecture = Architecture(space, (0,) * len(space.numbers)).to_dict()
    if config.get("data_preprocessor") is not None:
        section.setdefault("data_preprocessor", config.data_preprocessor)
    with _explained("model", config), _as_it_was():
        try:
            with torch.device("meta"):
                model, macs = _tried(section, config)
        except Exception:  # parts that need real numbers raise errors of many types
            model, macs = _tried(section, config)
    wrapper = config.get("optim_wrapper")
    if wrapper is not None:
        with _explained("optim_wrapper", config):
            kind = (wrapper.get("optimizer") or {}).get("type")
            if isinstance(kind, str) and OPTIMIZERS.get(kind) is None:
                raise UserError(f"optim_wrapper.optimizer.type is {kind!r}, which is not known")
            build_optim_wrapper(model, deepcopy(with_precision(wrapper, config.get("amp"))))
    return macs


def _drop_weights(section: Any) -> None:
    """Remove the names of checkpoints, which other checks read."""
    if isinstance(section, dict):
        initial = section.get("init_cfg")
        if isinstance(initial, Mapping) and initial.get("type") == "Pretrained":
            section.pop("init_cfg")
        for value in section.values():
            _drop_weights(value)
    elif isinstance(section, list | tuple):
        for value in section:
            _drop_weights(value)


@torch.no_grad()
def _tried(section: Any, config: Config) -> tuple[Any, float]:
    """The model, and multiply-adds per pixel of its backbone, neck and first head."""
    model = MODELS.build(deepcopy(section))
    model.eval()
    with FlopCounterMode(display=False) as counter:
        if hasattr(model, "backbone"):
            _process(model, config)
    images, _, height, width = IMAGE
    return model, counter.get_total_flops() / 2 / (images * height * width)


def _process(model: Any, config: Config) -> None:
    features = model.backbone(torch.zeros(IMAGE))
    neck = getattr(model, "neck", None)
    if neck is not None:
        channels = [level.shape[1] for level in features]
        hint = f"the backbone gives {len(channels)} levels of {channels} channels"
        if config.model.backbone.get("out_indices") is not None:
            hint += f" (out_indices {tuple(config.model.backbone.out_indices)})"
        if "in_channels" in config.model.neck:
            hint += f", and model.neck.in_channels is {config.model.neck.in_channels}"
        with _explained(f"model.neck does not take what it is given: {hint}", config):
            features = neck(features)
    for name in ("rpn_head", "bbox_head"):
        head = getattr(model, name, None)
        if isinstance(head, BaseDenseHead) and hasattr(head, "forward_single"):
            channels = [level.shape[1] for level in features]
            with _explained(f"model.{name} does not take levels of {channels} channels", config):
                head(features)
            return


def _check_metrics(config: Config, keys: Sequence[str]) -> None:
    """Build the metrics of a config without their annotation files."""
    for key in keys:
        section = config.get(key)
        for metric in section if isinstance(section, list | tuple) else [section]:
            if metric is None:
                continue
            with _explained(key, config), quiet_stdout():
                kept = {name: value for name, value in metric.items() if name != "ann_file"}
                METRICS.build(deepcopy(kept))


@contextmanager
def _explained(part: str, config: Config) -> Iterator[None]:
    """Turn what OpenMMLab raises into one line about a part of the config."""
    init_default_scope(config.get("default_scope", "mmdet"))
    with explained(part):
        yield


@contextmanager
def _as_it_was() -> Iterator[None]:
    """Restore the random states of the process."""
    python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        yield
    random.setstate(python)
    np.random.set_state(of_numpy)  # noqa: NPY002
