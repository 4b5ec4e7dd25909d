"""Checkpoints in: read without unpickling, checked against the backbone, sliced for one subnet.

Every checkpoint that DetNAS reads (weights, `load_from`, `--resume`) passes `read_checkpoint`.
Those it writes carry in `meta["detnas"]` what their backbone is (see `Backbone.identity`).
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import checkpoint as mmengine_checkpoint
from torch import Tensor

from detnas.errors import MissingFileError, UserError

_BLOCK_KEY = re.compile(r"^blocks\.(\d+)\.(\d+)\.(main|projection)\.")


class Backbone(Protocol):
    """A module that says what it is: `DetNASSupernet` or `DetNASNet`."""

    def identity(self) -> dict[str, Any]:
        """Kind, space, channel shuffle and choices, as checkpoints carry them."""

    def state_dict(self) -> dict[str, Any]:
        """As nn.Module's."""

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """As nn.Module's."""


def unwrapped(model: Any) -> Any:
    """The model itself, where it may be inside a wrapper such as DistributedDataParallel."""
    return model.module if is_model_wrapper(model) else model


def own_backbone(model: Any) -> Backbone | None:
    """The model's backbone where it is one of DetNAS's, else None."""
    backbone = getattr(unwrapped(model), "backbone", None)
    return backbone if hasattr(backbone, "identity") else None


def _history_buffer_attribute(owner: Any, name: str) -> Any:
    """The only attribute look-up that OpenMMLab's checkpoints need: statistics of its log."""
    if owner is not HistoryBuffer:
        raise pickle.UnpicklingError(f"the checkpoint looks up attribute {name!r} of {owner!r}")
    return getattr(owner, name)


_SAFE_GLOBALS: list[Any] = [
    HistoryBuffer,
    (_history_buffer_attribute, "builtins.getattr"),
    np.ndarray,
    np.dtype,
    np.zeros(0).__reduce__()[0],  # the functions that rebuild arrays and scalars of numpy
    np.float64(0).__reduce__()[0],
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "uint32", "bool")),
]


def read_checkpoint(path: Path | str, map_location: str = "cpu") -> dict[str, Any]:
    """Read a checkpoint with `weights_only=True`, and nothing else but OpenMMLab's log history.

    Returns:
        A dict with at least `state_dict` and `meta`; a bare state dict is put under `state_dict`.
        `meta["config"]`, which mmengine would execute on resuming, is dropped.
    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or holds more than tensors and plain data.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"checkpoint {path} does not exist: train it first, or name another")
    try:
        with torch.serialization.safe_globals(_SAFE_GLOBALS):
            content = torch.load(path, map_location=map_location, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise UserError(
            f"checkpoint {path} is damaged or holds more than weights and plain data, and is not "
            f"loaded: {reason[:200]}"
        ) from None
    if not isinstance(content, dict):
        raise UserError(f"checkpoint {path} holds a {type(content).__name__}, not a state dict")
    if "state_dict" not in content:
        content = {"state_dict": content}
    content.setdefault("meta", {})
    content["meta"].pop("config", None)
    return content


def load_openmmlab_safely() -> None:
    """Make mmengine's own loading, as of a ResNet's `init_cfg`, unpickle no more than ours.

    It falls back to full unpickling of local files, and unpickles downloads.
    """
    loader = mmengine_checkpoint.CheckpointLoader
    loader.register_scheme(prefixes="", loader=_read_local, force=True)
    mmengine_checkpoint.load_url = partial(mmengine_checkpoint.load_url, weights_only=True)


def _read_local(filename: str, map_location: Any = None) -> dict[str, Any]:
    return read_checkpoint(Path(filename).expanduser(), map_location or "cpu")


def slice_subnet(
    state_dict: Mapping[str, Tensor], choices: Sequence[int], prefix: str = ""
) -> dict[str, Tensor]:
    """The part of a supernet's state dict that one architecture uses, under a `DetNASNet`'s keys.

    Keys outside `prefix` (neck, head) are kept as they are.
    """
    sliced: dict[str, Tensor] = {}
    for key, value in state_dict.items():
        inner = key.removeprefix(prefix)
        match = _BLOCK_KEY.match(inner) if key.startswith(prefix) else None
        if match is None:
            sliced[key] = value
        elif choices[int(match[1])] == int(match[2]):
            sliced[f"{prefix}blocks.{match[1]}.{inner[match.start(3) :]}"] = value
    return sliced


def fit_backbone(
    backbone: Backbone, checkpoint: Mapping[str, Any], source: Path | str, prefix: str
) -> dict[str, Tensor]:
    """A checkpoint's state dict with its backbone checked and, where need be, sliced.

    Args:
        backbone: the one that will take the weights.
        checkpoint: what `read_checkpoint` returned.
        source: named in messages.
        prefix: what stands before the backbone's keys, such as "backbone.".
    Raises:
        ValueError: another space, channel shuffle or architecture, or keys or shapes that do not
            fit; names the first of them.
    """
    identity = checkpoint["meta"].get("detnas")
    own = backbone.identity()
    if identity is not None:
        _check_identity(identity, own, source)
    state_dict = {re.sub(r"^module\.", "", k): v for k, v in checkpoint["state_dict"].items()}
    holds_supernet = any(
        _BLOCK_KEY.match(key.removeprefix(prefix)) for key in state_dict if key.startswith(prefix)
    )
    if holds_supernet and own["kind"] == "subnet":
        state_dict = slice_subnet(state_dict, own["choices"], prefix)
    _check_tensors(backbone, state_dict, source, prefix)
    return state_dict


def _check_identity(identity: Mapping[str, Any], own: Mapping[str, Any], source: Any) -> None:
    for key, name in (("space", "space"), ("channel_shuffle", "channel shuffle")):
        if identity[key] != own[key]:
            theirs, ours = (
                value["name"] if isinstance(value, Mapping) else value
                for value in (identity[key], own[key])
            )
            raise UserError(
                f"checkpoint {source} is of {name} '{theirs}', the backbone of {name} '{ours}': "
                f"configure that {name}, or name another checkpoint"
            )
    if identity["kind"] == "subnet" and own["kind"] == "supernet":
        raise UserError(
            f"checkpoint {source} holds one architecture, and the backbone is a supernet: name a "
            "supernet's checkpoint"
        )
    if identity["kind"] == "subnet" and list(identity["choices"]) != list(own["choices"]):
        raise UserError(
            f"checkpoint {source} holds another architecture ({identity['choices']}) than the "
            f"backbone ({own['choices']}): name its checkpoint, or a supernet's"
        )


def _check_tensors(
    backbone: Backbone, state_dict: Mapping[str, Tensor], source: Any, prefix: str
) -> None:
    wanted = backbone.state_dict()
    given = {k.removeprefix(prefix): v for k, v in state_dict.items() if k.startswith(prefix)}
    missing = [key for key in wanted if key not in given]
    surplus = [key for key in given if key not in wanted]
    if missing or surplus:
        raise UserError(
            f"checkpoint {source} does not fit the backbone: {len(missing)} of its {len(wanted)} "
            f"tensors are missing (first {missing[:1]}), {len(surplus)} are left over "
            f"(first {surplus[:1]}); was it trained with another space or backbone?"
        )
    for key, value in wanted.items():
        if given[key].shape != value.shape:
            raise UserError(
                f"checkpoint {source} does not fit the backbone: {key} is "
                f"{tuple(given[key].shape)}, not {tuple(value.shape)}; was it trained with another "
                "space?"
            )


def load_backbone_weights(backbone: Backbone, path: Path, prefix: str = "backbone.") -> None:
    """Fill a backbone from a checkpoint of ours; a `DetNASNet` also from a supernet's.

    Raises:
        FileNotFoundError, ValueError: as `read_checkpoint` and `fit_backbone`.
    """
    state_dict = fit_backbone(backbone, read_checkpoint(path), path, prefix)
    backbone.load_state_dict(
        {k.removeprefix(prefix): v for k, v in state_dict.items() if k.startswith(prefix)}
    )
    print_log(f"backbone weights loaded from {path}", logger="current")


def load_weights(model: Any, path: Path | str) -> dict[str, Any]:
    """Fill a whole model whose backbone is ours, every tensor of it, and return the checkpoint.

    Raises:
        FileNotFoundError, ValueError: as `read_checkpoint` and `fit_backbone`, or a tensor of
            neck or head that the checkpoint lacks or holds in another shape.
    """
    checkpoint = read_checkpoint(path)
    state_dict = dict(checkpoint["state_dict"])
    backbone = own_backbone(model)
    if backbone is not None:
        state_dict = fit_backbone(backbone, checkpoint, path, "backbone.")
    try:
        model.load_state_dict(state_dict)
    except RuntimeError as error:
        details = " ".join(line.strip() for line in str(error).splitlines()[1:3])
        raise UserError(f"checkpoint {path} does not fit the model: {details[:300]}") from None
    return checkpoint
