"""What must change in a detector's config of mmdet's, so that DetNAS's backbone goes under it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config

from detnas.errors import UserError
from detnas.init.detectors.neck import Path, neck_changes

DIVISOR = 32
"""Where a config does not say: necks that join levels need sizes that halve without remainder."""
REFUSED = {
    "detector": "it is a detector inside another model, for half-labelled data or video",
    "language_model": "it reads text",
    "panoptic_head": "it segments, and predicts no boxes of its own",
    "semantic_head": "it trains on maps of semantic classes",
}
"""Parts of a model, and why a detector with one is not adapted."""
PICKS_QUERIES = ("DINO", "DDQDETR")


@dataclass(frozen=True)
class Changes:
    """What the file of a detector changes.

    Attributes:
        kind: the type of the model.
        values: the new value at each path.
        removed: the paths that are removed, each with the reason.
        out_indices: the stages that the neck takes.
        pad_size_divisor: as `DetectorFile.pad_size_divisor`.
        notes: as `DetectorFile.notes`.
    """

    kind: str
    values: dict[Path, Any]
    removed: dict[Path, str]
    out_indices: tuple[int, ...]
    pad_size_divisor: int
    notes: tuple[str, ...]


def adapted(config: Config, where: str) -> Changes:
    """Work out the changes for a config; UserError, which begins with `where`, if it cannot be."""
    scope = config.get("default_scope", "mmdet")
    if scope != "mmdet":
        raise UserError(f"{where} is a config of {scope}; only detectors of mmdet can be adapted")
    model = config.get("model")
    if not isinstance(model, Mapping):
        raise UserError(f"{where} has no `model`: name the config of a detector")
    model = Config({"model": model}).to_dict()["model"]
    for key, reason in REFUSED.items():
        if model.get(key) is not None:
            raise UserError(f"{where} cannot be adapted: {reason} (model.{key})")
    for key in model:
        if str(key).startswith("teacher"):  # refused unbuilt: some download their weights
            raise UserError(
                f"{where} cannot be adapted: it learns from a teacher, whose backbone cannot be "
                f"replaced (model.{key})"
            )
    if model.get("roi_head") is not None and model.get("rpn_head") is None:
        raise UserError(
            f"{where} cannot be adapted: it has no rpn_head, and reads proposals from files"
        )
    if not isinstance(model.get("backbone"), Mapping):
        raise UserError(f"{where} cannot be adapted: its model has no backbone")
    if not isinstance(model.get("neck"), dict | list):
        raise UserError(
            f"{where} cannot be adapted: it has no neck, and its heads are made for the maps of "
            f"{model['backbone'].get('type')}"
        )
    values, removed, out_indices = neck_changes(model, where)
    values |= _of_classes(model, where)
    values |= _of_norms({key: value for key, value in model.items() if key != "backbone"})
    notes = (*_of_images(model, values, removed), *_of_queries(model))
    if (model.get("init_cfg") or {}).get("type") == "Pretrained":
        removed[("init_cfg",)] = "weights of the whole detector, over its own backbone"
    divisor = values.get(("data_preprocessor", "pad_size_divisor"))
    divisor = divisor or model["data_preprocessor"]["pad_size_divisor"]
    return Changes(str(model.get("type")), values, removed, out_indices, divisor, notes)


def annotation_kinds(config: Config) -> tuple[bool, bool]:
    """Whether training needs masks, and whether it needs semantic maps, besides boxes."""
    steps = [
        step
        for key in ("train_pipeline", "train_dataloader")
        for step in _dicts(Config({"of": config.get(key) or {}}).to_dict())
        if str(step.get("type", "")).startswith("LoadAnnotations")
    ]
    if steps:
        return tuple(any(step.get(key) for step in steps) for key in ("with_mask", "with_seg"))  # type: ignore[return-value]
    return any("mask_head" in part for part in _dicts(config.model.to_dict())), False


def _dicts(value: Any) -> Iterator[Mapping[str, Any]]:
    """All dicts at any depth."""
    if isinstance(value, Mapping):
        yield value
    if isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _dicts(item)


def _of_norms(value: Any, path: Path = ()) -> dict[Path, Any]:
    """mmcv's own synchronised batch norm, which needs several processes, becomes torch's."""
    changes = (
        {(*path, "type"): "SyncBN"}
        if isinstance(value, Mapping) and value.get("type") == "MMSyncBN"
        else {}
    )
    for key, item in _items(value):
        changes |= _of_norms(item, (*path, key))
    return changes


def _of_classes(model: Mapping[str, Any], where: str) -> dict[Path, Any]:
    """`num_classes` of every head that has that of the data."""
    heads = {key: value for key, value in model.items() if key != "backbone"}
    found = dict(_numbers(heads))
    boxes = [path for path in found if "bbox_head" in path]
    if not boxes:
        raise UserError(
            f"{where} cannot be adapted: it has no `bbox_head` with num_classes, so it predicts no "
            "boxes of classes"
        )
    classes = found[boxes[0]]
    others = {path: n for path, n in found.items() if n != classes}
    for path, number in others.items():
        if number != 1:
            raise UserError(
                f"{where} cannot be adapted: it counts its classes in two ways, "
                f"{_written(boxes[0])} is {classes} and {_written(path)} is {number}"
            )
    for path, weights in _lists(heads, "class_weight"):
        if len(weights) in (classes, classes + 1):
            raise UserError(
                f"{where} cannot be adapted: {_written(path)} has a weight for each of its "
                f"{classes} classes"
            )
    return {
        path: "{num_classes}"
        for path in found
        if path not in others and not (path[0] == "rpn_head" and classes == 1)
    }


def _numbers(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The counts of classes at any depth."""
    for key, item in _items(value):
        if key in ("num_classes", "num_things_classes") and isinstance(item, int):
            yield (*path, key), item
        else:
            yield from _numbers(item, (*path, key))


def _lists(value: Any, name: str, path: Path = ()) -> Iterator[tuple[Path, Sequence[Any]]]:
    for key, item in _items(value):
        if key == name and isinstance(item, list | tuple):
            yield (*path, key), item
        else:
            yield from _lists(item, name, (*path, key))


def _items(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, list | tuple):
        yield from enumerate(value)


def _written(path: Path) -> str:
    return "model" + "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in path)


def _of_images(
    model: dict[str, Any], values: dict[Path, Any], removed: dict[Path, str]
) -> tuple[str, ...]:
    """Normalisation, padding and batch augmentations; what a user should know of these."""
    processor = model.get("data_preprocessor") or {}
    model["data_preprocessor"] = processor
    path = ("data_preprocessor",)
    if not processor.get("type"):
        values[(*path, "type")] = "DetDataPreprocessor"
    values |= {(*path, "mean"): "{mean}", (*path, "std"): "{std}", (*path, "bgr_to_rgb"): "{rgb}"}
    if processor.get("rgb_to_bgr"):
        removed[(*path, "rgb_to_bgr")] = "the order of channels is that of preprocessing/"
    if not processor.get("pad_size_divisor"):
        values[(*path, "pad_size_divisor")] = DIVISOR
    augments = processor.get("batch_augments")
    if not augments:
        return ()
    removed[(*path, "batch_augments")] = "images keep the size of the pipeline"
    names = ", ".join(str(each.get("type")) for each in augments)
    return (f"Its batch augmentations ({names}) are left out: images keep the pipeline's size.",)


def _of_queries(model: Mapping[str, Any]) -> tuple[str, ...]:
    """What a transformer that picks its queries among the places of an image asks of images."""
    queries = model.get("num_queries")
    if not queries or not (model.get("as_two_stage") or model.get("type") in PICKS_QUERIES):
        return ()
    # Maps at strides 8, 16, 32, ... have 4/3 as many places as the first alone.
    side = math.ceil(math.sqrt(queries * 3 / 4)) * 8
    return (
        f"It picks {queries} queries among the places of an image, so images must have at least "
        f"about {side}x{side} pixels, or `num_queries` must be smaller.",
    )
