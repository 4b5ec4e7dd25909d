"""Checkpoints where OpenMMLab is at hand: those of whole models, and mmengine's own loading.

DetNAS reads every checkpoint (weights, `load_from`, `--resume`) through `read_checkpoint`. What
needs no OpenMMLab is in `detnas.networks.checkpoints`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from mmengine.logging import HistoryBuffer, print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import checkpoint as mmengine_checkpoint

from detnas.errors import UserError
from detnas.networks import checkpoints
from detnas.networks.checkpoint_values import check_kind
from detnas.networks.checkpoints import (
    Backbone,
    check_tensors,
    fit_backbone,
    slice_subnet,
    weights_inside,
)

__all__ = [
    "Backbone",
    "check_kind",
    "check_tensors",
    "fit_backbone",
    "load_backbone_weights",
    "load_openmmlab_safely",
    "load_weights",
    "own_backbone",
    "read_checkpoint",
    "slice_subnet",
    "unwrapped",
]


def unwrapped(model: Any) -> Any:
    """The model without a wrapper such as DistributedDataParallel."""
    return model.module if is_model_wrapper(model) else model


def own_backbone(model: Any) -> Backbone | None:
    """The model's backbone if it is a DetNAS backbone, else None."""
    backbone = getattr(unwrapped(model), "backbone", None)
    return backbone if hasattr(backbone, "identity") else None


def read_checkpoint(path: Path | str, map_location: str = "cpu") -> dict[str, Any]:
    """As `detnas.networks.checkpoints.read_checkpoint`, with mmengine's own log history."""
    return checkpoints.read_checkpoint(path, map_location, HistoryBuffer)


def load_openmmlab_safely() -> None:
    """Make mmengine's own loading, such as of a ResNet's `init_cfg`, as safe as `read_checkpoint`.

    By default mmengine falls back to full unpickling of local files, and unpickles downloads.
    """

    def read_local(filename: str, map_location: Any = None) -> dict[str, Any]:
        return read_checkpoint(Path(filename).expanduser(), map_location or "cpu")

    loader = mmengine_checkpoint.CheckpointLoader
    loader.register_scheme(prefixes="", loader=read_local, force=True)
    mmengine_checkpoint.load_url = partial(mmengine_checkpoint.load_url, weights_only=True)


def load_backbone_weights(backbone: Backbone, path: Path, prefix: str = "backbone.") -> None:
    """Load a checkpoint of DetNAS into a backbone; a `DetNASNet` also takes a supernet's.

    Raises:
        UserError: as `read_checkpoint` and `fit_backbone`.
    """
    state_dict = fit_backbone(backbone, read_checkpoint(path), path, prefix)
    backbone.load_state_dict(weights_inside(state_dict, prefix))
    print_log(f"backbone weights loaded from {path}", logger="current")


def load_weights(model: Any, path: Path | str) -> None:
    """Load a checkpoint into a whole model; every tensor must fit.

    Raises:
        UserError: as `read_checkpoint` and `fit_backbone`; or a tensor of neck or head is missing
            or has another shape.
    """
    checkpoint = read_checkpoint(path)
    state_dict = checkpoint["state_dict"]
    backbone = own_backbone(model)
    if backbone is not None:
        state_dict = fit_backbone(backbone, checkpoint, path)
    for name, tensor in model.state_dict().items():
        if name in state_dict:
            check_kind(state_dict[name], tensor, name, path)
    try:
        model.load_state_dict(state_dict)
    except RuntimeError as error:
        details = " ".join(line.strip() for line in str(error).splitlines()[1:3])
        raise UserError(f"checkpoint {path} does not fit the model: {details[:300]}") from None
