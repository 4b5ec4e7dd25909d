"""Which maps of a detector's own backbone its neck takes, and what replaces its channels."""

import inspect
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.registry import MODELS, init_default_scope

import detnas.models  # noqa: F401 - registers mmdet's models
from detnas.errors import UserError

Path = tuple[str | int, ...]
"""Keys and indices, from `model` inwards."""

STRIDES = (4, 8, 16, 32)
"""Of the backbone's four stages."""
IMAGE = (1, 3, 256, 256)
OF_BACKBONES = ("init_cfg", "pretrained", "dcn", "stage_with_dcn", "plugins", "norm_cfg")
"""What does not alter the sizes of a backbone's maps."""


def neck_changes(
    model: Mapping[str, Any], where: str
) -> tuple[dict[Path, Any], dict[Path, str], tuple[int, ...]]:
    """Work out what the neck takes from a backbone of four stages.

    Args:
        model: the detector's config, with a backbone and a neck or a list of necks.
        where: how messages begin.
    Returns:
        The new values by path, the paths to remove with the reasons, and the stages taken.
    Raises:
        UserError: the maps of its backbone are not known, or are not at the strides of ours.
    """
    neck, path = model["neck"], ("neck",)
    if isinstance(neck, list):
        neck, path = neck[0], ("neck", 0)  # type: ignore[assignment]
    channels, strides = _maps(model["backbone"], where)
    removed: dict[Path, str] = {}
    taken = neck.get("in_channels")
    wide = list(taken) if isinstance(taken, list | tuple) else [taken]
    is_reversed = len(wide) > 1 and wide == channels[::-1] != channels
    if wide != channels and not is_reversed:
        raise UserError(
            f"{where} cannot be adapted: model.neck.in_channels is {taken}, but its backbone gives "
            f"maps of {channels} channels"
        )
    start = neck.get("start_level") or 0
    if start and _starts_at_0(neck) and neck.get("end_level", -1) == -1 and not is_reversed:
        strides = strides[start:]
        removed[(*path, "start_level")] = "the backbone gives only the maps of out_indices"
    if not set(strides) <= set(STRIDES) or sorted(strides) != strides:
        raise UserError(
            f"{where} cannot be adapted: its neck takes maps at strides {strides}; the backbone's "
            f"are {', '.join(map(str, STRIDES))}"
        )
    indices = tuple(STRIDES.index(stride) for stride in strides)
    value = _channels(indices[::-1] if is_reversed else indices)
    if not isinstance(taken, list | tuple):
        value = f"{{stage_channels[{indices[0]}]}}"
    return {(*path, "in_channels"): value}, removed, indices


def _starts_at_0(neck: Mapping[str, Any]) -> bool:
    """Whether the neck takes all maps if it has no start level."""
    kind = MMDET_MODELS.get(str(neck.get("type")))
    if kind is None:
        return False
    start = inspect.signature(kind).parameters.get("start_level")
    return start is not None and start.default == 0


def _channels(indices: Sequence[int]) -> str | list[str]:
    """A reference to the channels of these stages."""
    if list(indices) == list(range(indices[0], len(STRIDES))):
        return f"{{stage_channels[{indices[0]}:]}}" if indices[0] else "{stage_channels}"
    return [f"{{stage_channels[{index}]}}" for index in indices]


@torch.no_grad()
def _maps(backbone: Mapping[str, Any], where: str) -> tuple[list[int], list[int]]:
    """Channels and strides of the maps that a backbone of mmdet's returns."""
    section = {key: deepcopy(value) for key, value in backbone.items() if key not in OF_BACKBONES}
    init_default_scope("mmdet")
    try:
        try:
            with torch.device("meta"):
                maps = _run(section)
        except Exception:  # some backbones need real numbers
            maps = _run(section)
    except Exception as error:  # a backbone may raise anything
        raise UserError(
            f"{where} cannot be adapted: the maps of its backbone {backbone.get('type')} are not "
            f"known ({type(error).__name__}: {error})"
        ) from error
    return [each.shape[1] for each in maps], [IMAGE[-1] // each.shape[-1] for each in maps]


def _run(backbone: Mapping[str, Any]) -> Sequence[torch.Tensor]:
    with torch.random.fork_rng():
        built = MODELS.build(dict(backbone))
    built.eval()  # returns None in some of them
    maps: Sequence[torch.Tensor] = built(torch.zeros(IMAGE))
    return maps
