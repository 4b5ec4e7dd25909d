"""Reads checkpoints without unpickling, checks them against a backbone, and slices subnets.

Needs no OpenMMLab. In checkpoints that DetNAS writes, `meta["detnas"]` is `identity_of` the
backbone.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from msgspec import Struct
from torch import Tensor

from detnas.errors import MissingFileError, UserError, user_input
from detnas.networks.checkpoint_file import check_whole, why_not_loaded
from detnas.networks.checkpoint_values import check_kind, check_values
from search_space.spaces import SearchSpace
from search_space.validation import convert

_BLOCK_KEY = re.compile(r"^blocks\.(\d+)\.(\d+)\.(main|projection)\.")
_HISTORY_BUFFER = "mmengine.logging.history_buffer.HistoryBuffer"


class Backbone(Protocol):
    """A backbone of DetNAS."""

    def identity(self) -> dict[str, Any]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any: ...


class _Identity(Struct):
    """What a checkpoint says of its backbone; see `identity_of`."""

    kind: Literal["supernet", "subnet"]
    space: dict[str, Any]
    channel_shuffle: str
    choices: list[int] | None


def identity_of(
    space: SearchSpace, channel_shuffle: str, choices: Sequence[int] | None = None
) -> dict[str, Any]:
    """What checkpoints record of a backbone; `choices` are None for a supernet."""
    return {
        "kind": "supernet" if choices is None else "subnet",
        "space": space.to_dict(),
        "channel_shuffle": channel_shuffle,
        "choices": None if choices is None else list(choices),
    }


class HistoryBuffer:
    """Stands for the log history in OpenMMLab's checkpoints where mmengine is not installed."""


def _safe_globals(history_buffer: type) -> list[Any]:
    """What a checkpoint may name besides tensors and plain data: the log history, numpy's arrays.

    A class is given with its name in the file, so that torch does not import mmengine for it.
    """

    def attribute(owner: Any, name: str) -> Any:
        """A getattr for the log history alone: OpenMMLab's checkpoints need no other."""
        if owner is not history_buffer:
            raise pickle.UnpicklingError(f"the checkpoint looks up attribute {name!r} of {owner!r}")
        return name if history_buffer is HistoryBuffer else getattr(owner, name)

    return [
        (history_buffer, _HISTORY_BUFFER),
        (attribute, "builtins.getattr"),
        np.ndarray,
        np.dtype,
        np.zeros(0).__reduce__()[0],  # the functions that rebuild arrays and scalars of numpy
        np.float64(0).__reduce__()[0],
        *(type(np.dtype(kind)) for kind in _NUMBERS),
    ]


_NUMBERS = ("float64", "float32", "int64", "int32", "uint32", "bool")


def read_checkpoint(
    path: Path | str, map_location: str = "cpu", history_buffer: type = HistoryBuffer
) -> dict[str, Any]:
    """Read a checkpoint with `weights_only=True`, allowing only OpenMMLab's log history besides.

    Args:
        path: the file.
        map_location: the device of the tensors.
        history_buffer: the class of the log history: mmengine's, or the stand-in.

    Returns:
        A dict with at least `state_dict` and `meta`. A bare state dict becomes `state_dict`.
        `meta["config"]` is dropped, as mmengine would execute it on resuming.
    Raises:
        MissingFileError: the file does not exist.
        UserError: the file is damaged, or contains more than tensors and plain data.
    """
    if not isinstance(path, str | Path) or not str(path).strip():
        raise UserError(f"the checkpoint is {path!r}; it must be the path of a file")
    path = Path(path)
    if path.is_dir():
        raise UserError(f"checkpoint {path} is a folder: name a file, such as final.pth of a stage")
    if not path.is_file():
        raise MissingFileError(f"checkpoint {path} does not exist: train it first, or name another")
    check_whole(path)
    try:
        with torch.serialization.safe_globals(_safe_globals(history_buffer)):
            content = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # torch raises errors of many types for what it cannot read
        raise UserError(f"checkpoint {path} {why_not_loaded(path, error)}") from None
    if not isinstance(content, dict):
        raise UserError(f"checkpoint {path} contains a {type(content).__name__}, not a state dict")
    if "state_dict" not in content:
        content = {"state_dict": content}
    content.setdefault("meta", {})
    for key in ("state_dict", "meta"):
        if not isinstance(content[key], dict):
            kind = type(content[key]).__name__
            raise UserError(f"checkpoint {path}: '{key}' has the type {kind}, not dict")
    content["meta"].pop("config", None)
    if not isinstance(content["state_dict"].get("model"), dict):  # importers read what is in it
        check_values(content["state_dict"], path)
    return content


def slice_subnet(
    state_dict: Mapping[str, Tensor], choices: Sequence[int], prefix: str = ""
) -> dict[str, Tensor]:
    """One architecture's part of a supernet's state dict, under the keys of a `DetNASNet`.

    Keys outside `prefix` (neck, head) are kept.
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
    backbone: Backbone, checkpoint: Mapping[str, Any], source: Path | str, prefix: str = "backbone."
) -> dict[str, Tensor]:
    """Check a checkpoint against a backbone, and slice it if only the checkpoint is a supernet's.

    Args:
        backbone: the backbone to load the weights into.
        checkpoint: from `read_checkpoint`.
        source: the checkpoint's name in messages.
        prefix: the prefix of the backbone's keys.
    Returns:
        The state dict that fits the backbone, with all other keys kept.
    Raises:
        UserError: the checkpoint is of another space, channel shuffle or architecture, or its keys
            or shapes do not fit; the message names the first of them.
    """
    own = backbone.identity()
    if "detnas" in checkpoint["meta"]:
        with user_input(f"checkpoint {source} was not written by DetNAS"):
            identity = convert(checkpoint["meta"]["detnas"], _Identity, "meta.detnas")
        _check_identity(identity, own, source)
    state_dict = {re.sub(r"^module\.", "", k): v for k, v in checkpoint["state_dict"].items()}
    if own["kind"] == "subnet" and any(map(_BLOCK_KEY.match, weights_inside(state_dict, prefix))):
        state_dict = slice_subnet(state_dict, own["choices"], prefix)
    check_tensors(weights_inside(state_dict, prefix), backbone.state_dict(), source)
    return state_dict


def weights_inside(state_dict: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose keys have a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in state_dict.items() if k.startswith(prefix)}


def _check_identity(identity: _Identity, own: Mapping[str, Any], source: Path | str) -> None:
    for key in ("space", "channel_shuffle"):
        pair = getattr(identity, key), own[key]
        if pair[0] != pair[1]:
            theirs, ours = (v.get("name") if key == "space" else v for v in pair)
            name = key.replace("_", " ")
            mend = f"set the backbone's `{key}` to '{theirs}'"
            if key == "space" and identity.kind == own["kind"] == "subnet":
                mend = f"set the backbone's `space` or `scaling` so that it is of '{theirs}'"
            raise UserError(
                f"checkpoint {source} is of {name} '{theirs}', but the backbone of {name} "
                f"'{ours}': {mend}, or name another checkpoint"
            )
    if identity.kind == "supernet":
        return
    if own["kind"] == "supernet":
        raise UserError(
            f"checkpoint {source} is of one architecture, but the backbone is a supernet: name a "
            "supernet's checkpoint"
        )
    if identity.choices != list(own["choices"]):
        raise UserError(
            f"checkpoint {source} is of another architecture ({identity.choices}) than the "
            f"backbone ({own['choices']}): name its checkpoint, or a supernet's"
        )


def check_tensors(
    given: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    source: Path | str,
    names: Mapping[str, str] | None = None,
) -> None:
    """Check that a checkpoint has exactly the wanted tensors, in their shapes.

    Args:
        given: the tensors of the checkpoint.
        wanted: the tensors of the network.
        source: the checkpoint's name in messages.
        names: the names in the file of the tensors that have another name there.
    Raises:
        UserError: they differ; the message names the first difference.
    """
    names = names or {}
    missing = [key for key in wanted if key not in given]
    surplus = [names.get(key, key) for key in given if key not in wanted]
    if missing or surplus:
        raise UserError(
            f"checkpoint {source} does not fit the network: {len(missing)} of its {len(wanted)} "
            f"tensors are missing (first {missing[:1]}), {len(surplus)} of the file's are "
            f"unexpected (first {surplus[:1]}); was it trained in another space?"
        )
    for key, tensor in wanted.items():
        found, needed = tuple(given[key].shape), tuple(tensor.shape)
        if found != needed:
            raise UserError(
                f"checkpoint {source} does not fit the network: {names.get(key, key)} is "
                f"{found}, the network's {key} is {needed}; was it trained in another space?"
            )
        check_kind(given[key], tensor, names.get(key, key), source)
