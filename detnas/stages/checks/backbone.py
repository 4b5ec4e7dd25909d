"""Checks of a config's backbone and of the checkpoints to load into it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from detnas.errors import UserError
from detnas.models.backbones import DetNASNet, DetNASSupernet, argument_names
from detnas.models.checkpoints import fit_backbone, read_checkpoint

BACKBONES: dict[str, type[DetNASSupernet] | type[DetNASNet]] = {
    "DetNASSupernet": DetNASSupernet,
    "DetNASNet": DetNASNet,
}


def check_weights(config: Config, checkpoint: Path | str, prefix: str = "backbone.") -> None:
    """Check the backbone's config, and that a checkpoint exists and fits it.

    For backbones of other libraries it only checks that the file is a readable checkpoint.
    """
    read = read_checkpoint(checkpoint)
    backbone = build_backbone(config)
    if backbone is not None:
        fit_backbone(backbone, read, checkpoint, prefix)


def check_pretrained(config: Config, absent: bool = False) -> None:
    """Check `load_from` and the backbone's `init_cfg`, as `check_weights` does.

    Args:
        absent: whether files may not exist yet, as those of stages that are to run.
    """
    build_backbone(config)
    init_cfg = config.model.backbone.get("init_cfg") or {}
    named = [(config.get("load_from"), "backbone.")]
    if isinstance(init_cfg, Mapping):
        named.insert(0, (init_cfg.get("checkpoint"), init_cfg.get("prefix", "backbone.")))
    for checkpoint, prefix in named:
        if checkpoint is None or "://" in str(checkpoint):  # what mmengine downloads
            continue
        if not absent or Path(checkpoint).is_file():
            check_weights(config, checkpoint, prefix)


def check_backbone(config: Config) -> None:
    """Check the backbone's keys, and build it unless its architecture file does not exist yet.

    Raises:
        UserError: as `build_backbone`.
    """
    if awaits_architecture(config):
        _arguments(config)
    else:
        build_backbone(config)


def awaits_architecture(config: Config) -> bool:
    """Whether the backbone's architecture is a file that does not exist yet."""
    architecture = str(config.model.backbone.get("architecture", ""))
    return architecture.endswith(".json") and not Path(architecture).exists()


def backbone_kind(config: Config) -> str | None:
    """ "DetNASSupernet" or "DetNASNet"; None for backbones of other libraries."""
    name = str(config.model.backbone.get("type")).removeprefix("mmdet.")
    return name if name in BACKBONES else None


def build_backbone(config: Config) -> DetNASSupernet | DetNASNet | None:
    """The config's backbone on the meta device; None for backbones of other libraries.

    Raises UserError if the architecture, the space or another argument is invalid.
    """
    name = backbone_kind(config)
    if name is None:
        return None
    with torch.device("meta"):  # it is only checked
        return BACKBONES[name](**_arguments(config))


def _arguments(config: Config) -> dict[str, Any]:
    """The checked arguments of a DetNAS backbone, without `type` and `init_cfg`."""
    name = backbone_kind(config)
    if name is None:
        return {}
    kind = BACKBONES[name]
    arguments = config.model.backbone.to_dict()
    for key in ("type", "init_cfg"):
        arguments.pop(key, None)
    known = argument_names(kind)
    for key in arguments:
        if key not in known:
            raise UserError(
                f"unknown key '{key}' under model.backbone; {kind.__name__} takes "
                f"{', '.join(known)}"
            )
    if kind is DetNASNet and "architecture" not in arguments:
        raise UserError(
            "model.backbone of type DetNASNet needs `architecture`: a JSON file, a published name, "
            "or choices such as small:2,1,2,0,..."
        )
    return arguments
