"""Hashes of the inputs of a search that its config only names: weights, data, versions.

The coordinator records them in the history; a worker compares its own before it evaluates.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from detnas.config import unwrap_dataset
from detnas.errors import MissingFileError
from detnas.files import file_sha256
from detnas.version import __version__

SPLITS = {"train_dataloader": "train", "val_dataloader": "search"}
"""The dataloaders of a search and the names of their splits."""

_OF_TRAINING = (
    "model",
    "train_cfg",
    "optim_wrapper",
    "param_scheduler",
    "test_cfg",
    "test_evaluator",
    "custom_hooks",
    "amp",
)


def input_hashes(config: Config, supernet: str) -> dict[str, Any]:
    """Hashes of the supernet's checkpoint, and of each split's annotations and data settings.

    Raises:
        MissingFileError: the checkpoint does not exist.
    """
    if not Path(supernet).is_file():
        raise MissingFileError(f"checkpoint {supernet} does not exist")
    return {
        "supernet_sha256": file_sha256(supernet),
        "data": {
            **{name: _data_digest(config[key]) for key, name in SPLITS.items()},
            "metrics": _metrics_digest(config.get("val_evaluator") or ()),
        },
    }


def training_inputs(config: Config) -> dict[str, Any]:
    """What a training and its test depend on besides files of weights: settings, hashes of data.

    Settings are values, not hashes, so that a changed one can be named.
    """
    parts = Config({key: config.get(key) for key in _OF_TRAINING}).to_dict()
    recipe = json.loads(json.dumps(_without_paths(parts), default=str))
    loaders = {"train": "train_dataloader", "test": "test_dataloader"}
    data = {name: _data_digest(config[key]) for name, key in loaders.items()}
    return {"recipe": recipe, "data": data}


def model_hashes(config: Config) -> dict[str, Any]:
    """Hashes of the config's `model` and `val_evaluator`."""
    return {
        "model_sha256": _digest(_without_paths(config.model.to_dict())),
        "metrics_sha256": _digest(_without_paths(config.val_evaluator)),
    }


def versions() -> dict[str, str]:
    """Versions that affect a score; a torch for CPUs and one for CUDA have the same one."""
    return {"detnas": __version__, "torch": str(torch.__version__).partition("+")[0]}


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _without_paths(value: Any) -> Any:
    """Drop paths, which may change; the files' contents are hashed separately."""
    if isinstance(value, Mapping):
        dropped = ("ann_file", "data_root", "data_prefix", "init_cfg", "checkpoint")
        return {k: _without_paths(v) for k, v in value.items() if k not in dropped}
    if isinstance(value, list | tuple):
        return [_without_paths(item) for item in value]
    return value


def _metrics_digest(evaluator: Any) -> str:
    """Hash of the annotation files that metrics read themselves."""
    metrics = evaluator if isinstance(evaluator, list | tuple) else [evaluator]
    files = [Path(metric["ann_file"]) for metric in metrics if metric.get("ann_file")]
    return _digest([file_sha256(file) for file in files if file.is_file()])


def _data_digest(dataloader: Mapping[str, Any]) -> str:
    datasets = unwrap_dataset(dataloader["dataset"])
    files = [Path(d.get("data_root") or "") / d["ann_file"] for d in datasets if d.get("ann_file")]
    hashes = [file_sha256(file) for file in files if file.is_file()]
    return _digest([[_without_paths(d) for d in datasets], hashes, dataloader.get("batch_size")])
