"""Loads a trained detector from its checkpoint: finds the config beside it, and checks both."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS

from detnas.config import load_config, unwrap_dataset
from detnas.errors import MissingFileError, UserError, user_input
from detnas.models.checkpoints import read_checkpoint
from detnas.search.results import BEST_FILE
from detnas.stages.checks import backbone_kind, check_weights
from detnas.training.hooks import FINAL_WEIGHTS
from search_space.architecture import Architecture
from search_space.spaces import parse_space

MODEL_FILE = "model.pth"
"""The weights in folders of `detnas export`."""


@dataclass(frozen=True)
class Detector:
    """A checkpoint with its config, both checked.

    Attributes:
        config: resolved.
        checkpoint: the weights.
        classes: the names of its classes.
    """

    config: Config
    checkpoint: Path
    classes: tuple[str, ...]


def load_detector(checkpoint: Path, config: Path | None = None) -> Detector:
    """A checkpoint with the config beside it, or the given one.

    The architecture is the one that the checkpoint records, so its JSON file may be elsewhere now.

    Raises:
        UserError: one of them is missing or cannot be read, they do not fit, or it is the
            checkpoint of a supernet or of a classifier.
    """
    read = read_checkpoint(checkpoint)
    identity = read["meta"].get("detnas")
    if isinstance(identity, Mapping) and identity.get("kind") == "supernet":
        raise UserError(
            f"checkpoint {checkpoint} is of a supernet, which has no single network to detect "
            "with: name the checkpoint of a trained network, such as retrain/final.pth"
        )
    resolved = load_config(config if config is not None else config_beside(checkpoint))
    if not isinstance(resolved.get("model"), Mapping) or "backbone" not in resolved.model:
        raise UserError(f"config {resolved.filename} has no `model` with a backbone: name another")
    if "head" in resolved.model:
        raise UserError(
            f"config {resolved.filename} is of a classifier, which finds no boxes: name the "
            "checkpoint and config of a detector"
        )
    if backbone_kind(resolved) == "DetNASSupernet":
        raise UserError(
            f"the backbone of config {resolved.filename} is a supernet: name the config of a "
            "trained network, such as retrain/retrain.py, with --config"
        )
    if backbone_kind(resolved) == "DetNASNet" and isinstance(identity, Mapping):
        _take_architecture(resolved, identity, checkpoint)
    check_weights(resolved, checkpoint)
    return Detector(resolved, checkpoint, _classes(resolved, read["meta"]))


def trained_checkpoint(source: Path) -> Path:
    """The checkpoint of a trained network in `source`, or `source` itself if it is no folder.

    Args:
        source: an experiment's work directory, one of `detnas train`, or a folder of
            `detnas export`.
    Raises:
        UserError: there is none.
    """
    if source.is_file():
        return source
    for file in (source / "retrain" / FINAL_WEIGHTS, source / MODEL_FILE, source / FINAL_WEIGHTS):
        if file.is_file():
            return file
    if not source.exists():
        raise MissingFileError(f"{source} does not exist: name a work directory or a checkpoint")
    if (source / BEST_FILE).is_file() or (source / "search").is_dir():
        raise UserError(
            f"{source} has no trained network (retrain/{FINAL_WEIGHTS}): run the stage `retrain`, "
            "or write the best network of the search by `detnas export WORK_DIR --calibrated` and "
            "name the folder it writes"
        )
    raise UserError(
        f"{source} has no trained network (retrain/{FINAL_WEIGHTS}, {MODEL_FILE} or "
        f"{FINAL_WEIGHTS}): name the work directory of a finished experiment, or a checkpoint"
    )


def config_beside(checkpoint: Path) -> Path:
    """The one Python file in the checkpoint's folder that sets `model`; none of them is executed.

    Raises:
        UserError: there is none, or there are several.
    """
    found = [file for file in sorted(checkpoint.parent.glob("*.py")) if _sets_model(file)]
    if not found:
        raise MissingFileError(
            f"there is no config with a model beside {checkpoint}: name it with --config"
        )
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise UserError(
            f"there are several configs beside {checkpoint} ({names}): name one with --config"
        )
    return found[0]


def _sets_model(file: Path) -> bool:
    try:
        body = ast.parse(file.read_text(encoding="utf-8")).body
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(
        isinstance(target, ast.Name) and target.id == "model"
        for statement in body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
    )


def _take_architecture(config: Config, identity: Mapping[str, Any], checkpoint: Path) -> None:
    """Put the architecture that the checkpoint records, scaled already, in the config's place."""
    choices = identity.get("choices")
    if not {"space", "channel_shuffle"} <= identity.keys() or not isinstance(choices, list):
        return  # the check of the weights says what is wrong
    with user_input(f"checkpoint {checkpoint}"):
        network = Architecture(
            parse_space(identity["space"]),
            tuple(choices),
            identity["channel_shuffle"],
        )
    for key in ("space", "scaling", "channel_shuffle"):
        config.model.backbone.pop(key, None)
    config.model.backbone.architecture = network.to_dict()


def _classes(config: Config, meta: Mapping[str, Any]) -> tuple[str, ...]:
    """The class names of the checkpoint; else those of the config's data set."""
    dataset = unwrap_dataset(config.test_dataloader["dataset"])[0]
    recorded = meta.get("dataset_meta")
    sources: list[Any] = [recorded, dataset.get("metainfo")]
    kind = dataset.get("type")
    with DATASETS.switch_scope_and_registry(config.get("default_scope", "mmdet")) as registry:
        sources.append(getattr(registry.get(kind), "METAINFO", None))
    for source in sources:
        if isinstance(source, Mapping):
            names = source.get("classes", source.get("CLASSES"))
            if names:
                return (names,) if isinstance(names, str) else tuple(map(str, names))
    raise UserError(
        f"neither the checkpoint nor config {config.filename} names the classes: set `classes` in "
        "the config"
    )
