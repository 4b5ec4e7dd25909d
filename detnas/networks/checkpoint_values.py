"""The tensors of a checkpoint: refused where they are no weights, or not those of the network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from detnas.errors import UserError

_VARIANCE = "running_var"  # of batch norm


def check_values(state_dict: Mapping[Any, Any], path: Path) -> None:
    """Check that a state dict has tensors of finite numbers, under names that are text.

    Raises:
        UserError: a name is no text, a value no tensor or one without plain numbers in memory (a
            sparse one, say), a number is not finite, or a variance is negative.
    """
    for name, value in state_dict.items():
        if not isinstance(name, str):
            raise UserError(
                f"checkpoint {path}: the name {name!r} of one of its weights is not text"
            )
        if not isinstance(value, Tensor):
            kind = type(value).__name__
            raise UserError(f"checkpoint {path}: {name!r} of its weights is a {kind}, not a tensor")
        if (other := _other_kind(value)) is not None:
            raise UserError(
                f"checkpoint {path}: {name} is {other}; it is not loaded: save plain tensors"
            )
        problem = None
        if value.is_floating_point():
            if not _is_finite(value):
                problem = "values that are not finite"
            elif name.endswith(_VARIANCE) and bool((value.float() < 0).any()):
                problem = "negative values, which no variance has"
        if problem:
            raise UserError(
                f"checkpoint {path}: {name} has {problem}; it is not loaded: take an earlier one"
            )


def _other_kind(value: Tensor) -> str | None:
    """What a tensor is, where it is not plain numbers in memory."""
    if value.is_nested:
        return "a nested tensor"
    if value.layout != torch.strided:
        return "a sparse tensor"
    if value.is_quantized:
        return "a quantised tensor"
    return "a tensor without data" if value.is_meta else None


def _is_finite(value: Tensor) -> bool:
    if value.element_size() == 1:  # torch.isfinite does not know the types of eight bits
        value = value.float()
    return bool(torch.isfinite(value).all())


def check_kind(given: Tensor, wanted: Tensor, name: str, source: Path | str) -> None:
    """Refuse numbers of another kind than the network's: torch converts them without a word.

    Args:
        given: the tensor of the checkpoint, of finite numbers.
        wanted: the tensor of the network.
        name: of the tensor in the file.
        source: the checkpoint's name in messages.

    Raises:
        UserError: only one of the two has floating point, or the network's type has not the range.
    """
    if given.is_floating_point() != wanted.is_floating_point() or given.is_complex():
        raise UserError(
            f"checkpoint {source} does not fit the network: {name} has numbers of the type "
            f"{given.dtype}, the network's are {wanted.dtype}"
        )
    is_wider = given.dtype != wanted.dtype and given.is_floating_point()
    if is_wider and not _is_finite(given.to(wanted.dtype)):
        raise UserError(
            f"checkpoint {source} does not fit the network: {name} has numbers up to "
            f"{given.abs().max().item():.3g}, which {wanted.dtype} cannot hold"
        )
