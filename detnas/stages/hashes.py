"""What a search's scores depend on that a config only names: weights, data, versions; as hashes.

The coordinator keeps them in its history; a worker compares its own before it scores anything.
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
"""The dataloaders of a search, and what the split of each is called."""


def input_hashes(config: Config, supernet: str) -> dict[str, Any]:
    """Hashes of the supernet's checkpoint, of each split's annotations, and of how they are read.

    Raises:
        FileNotFoundError: the checkpoint is absent.
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


def model_hashes(config: Config) -> dict[str, Any]:
    """Hashes of what the config itself says of the model and of its metrics."""
    return {
        "model_sha256": _digest(_without_paths(config.model.to_dict())),
        "metrics_sha256": _digest(_without_paths(config.val_evaluator)),
    }


def versions() -> dict[str, str]:
    """Of the programs that make a score; a torch built for CPUs and one for CUDA count as one."""
    return {"detnas": __version__, "torch": str(torch.__version__).partition("+")[0]}


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _without_paths(value: Any) -> Any:
    """Drop what says where things lie, which may change; what they hold is hashed apart."""
    if isinstance(value, Mapping):
        dropped = ("ann_file", "data_root", "data_prefix", "init_cfg", "checkpoint")
        return {k: _without_paths(v) for k, v in value.items() if k not in dropped}
    if isinstance(value, list | tuple):
        return [_without_paths(item) for item in value]
    return value


def _metrics_digest(evaluator: Any) -> str:
    """Of the annotations that metrics read for themselves."""
    metrics = evaluator if isinstance(evaluator, list | tuple) else [evaluator]
    files = [Path(metric["ann_file"]) for metric in metrics if metric.get("ann_file")]
    return _digest([file_sha256(file) for file in files if file.is_file()])


def _data_digest(dataloader: Mapping[str, Any]) -> str:
    datasets = unwrap_dataset(dataloader["dataset"])
    files = [Path(d.get("data_root") or "") / d["ann_file"] for d in datasets if d.get("ann_file")]
    hashes = [file_sha256(file) for file in files if file.is_file()]
    return _digest([[_without_paths(d) for d in datasets], hashes, dataloader.get("batch_size")])
