"""Checks of a training that a found network's is compared with: as long, on the same images."""

from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from mmengine.config import Config
from mmengine.runner.checkpoint import get_torchvision_models

from detnas.config import unwrap_dataset
from detnas.console import say_once
from detnas.errors import UserError
from search_space.validation import did_you_mean

_OF_LENGTH = ("max_iters", "max_epochs")
_OF_IMAGES = ("data_root", "ann_file", "data_prefix", "indices")


def check_stock(config: Config, recipe: Config) -> None:
    """Refuse a training that is no fair comparison, and say which weights will be downloaded.

    Args:
        config: resolved.
        recipe: the resolved config of retraining.
    Raises:
        UserError: another number of iterations or images, other images, unknown weights.
    """
    path = config.filename
    for key in ("train_dataloader", "test_dataloader", "test_evaluator", "train_cfg"):
        if config.get(key) is None:
            raise UserError(f"{path} has no `{key}`: name the config of a whole training and test")
    for key in _OF_LENGTH:
        ours, theirs = recipe.train_cfg.get(key), config.train_cfg.get(key)
        if ours != theirs:
            raise UserError(
                f"{path} trains for {key} {theirs}, retraining for {ours}: set {key} to {ours} "
                "there, as networks are compared after equal trainings"
            )
    batch, own = (each.train_dataloader.get("batch_size") for each in (recipe, config))
    if batch != own:
        raise UserError(
            f"{path} has batch_size {own}, retraining {batch}: set it to {batch} there, "
            "as networks are compared after equal trainings"
        )
    for key in ("train_dataloader", "test_dataloader"):
        if _images(recipe, key) != _images(config, key):
            raise UserError(
                f"{path}: {key} has other images than that of retraining "
                f"({_named(config, key)} against {_named(recipe, key)}): name the same there, such "
                "as by the same `train_split`"
            )
    _note_download(config)


def _images(config: Config, key: str) -> list[dict[str, Any]]:
    datasets = unwrap_dataset(config[key].to_dict()["dataset"])
    return [{name: each.get(name) for name in _OF_IMAGES} for each in datasets]


def _named(config: Config, key: str) -> str:
    return ", ".join(str(each["ann_file"]) for each in _images(config, key))


def _note_download(config: Config) -> None:
    """Say that weights are downloaded, and where a file of them may be put instead."""
    initial = config.model.backbone.get("init_cfg") or {}
    checkpoint = str(initial.get("checkpoint") or "") if isinstance(initial, dict) else ""
    scheme, _, name = checkpoint.partition("://")
    url = checkpoint
    if scheme in ("torchvision", "modelzoo"):
        known = get_torchvision_models()
        if name not in known:
            raise UserError(
                f"{config.filename}: torchvision has no weights {name!r}; "
                f"{did_you_mean(name, known)}"
            )
        url = known[name]
    if not url.startswith(("http://", "https://")):
        return
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name
    if not file.is_file():
        say_once(
            f"{config.filename}: {checkpoint} will be downloaded from {url}; without a network, "
            f"put it at {file}, or name another file as the checkpoint of the backbone's init_cfg"
        )
