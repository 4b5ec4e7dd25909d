"""Checks of the data that a config names: COCO and VOC annotations, class folders, overlaps."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS

from detnas.config import unwrap_dataset
from detnas.console import say_once
from detnas.data.archives import is_archive, local_path
from detnas.data.checks import Split, check_disjoint, folder_split, quoted, refuse_string
from detnas.data.coco import check_categories, coco_split, read_coco
from detnas.data.coco_mends import UNUSABLE_BOXES, Mends
from detnas.data.voc import check_voc_classes, read_voc, voc_split
from detnas.errors import Problems, UserError

DROP, REFUSE = "drop", "refuse"
"""Values of the config's `unusable_boxes`."""


def check_splits(config: Config, names: Mapping[str, str]) -> list[Split]:
    """Check the data of some dataloaders of a config, and that their images are disjoint.

    Args:
        config: an OpenMMLab config.
        names: the name of each dataloader's split, such as {"train_dataloader": "train"};
            absent dataloaders are skipped.
    Returns:
        The splits with their images.
    """
    splits = []
    detection = True
    problems = Problems(*(f"the {name} split" for name in names.values()))
    for key, name in names.items():
        dataloader = config.get(key)
        if dataloader is None:
            continue
        images: list[Path] = []
        for dataset in unwrap_dataset(dataloader["dataset"].to_dict()):
            detection = detection and not _is_folder(dataset)
            with problems:
                images += _check_dataset(config, dataset, name)
        splits.append(Split(name, tuple(images)))
    problems.raise_found()
    check_disjoint(splits, by_content=detection)
    return splits


def _check_dataset(config: Config, dataset: dict[str, Any], name: str) -> tuple[Path, ...]:
    """Check one data set of a split; return its images."""
    if str(dataset.get("ann_file", "")).lower().endswith(".json"):
        return _check_coco(config, dataset, name).images
    if _kind(dataset) in ("VOCDataset", "XMLDataset"):
        return _check_voc(config, dataset, name).images
    if _is_folder(dataset):
        return _check_folder(config, dataset, name)
    say_once(
        f"the {name} split is a {_kind(dataset)}, which is not checked: see for yourself that its "
        "annotations are sound, that its classes are those of the model, and that it shares no "
        "image with another split"
    )
    return ()


def _check_coco(config: Config, dataset: dict[str, Any], name: str) -> Split:
    root = Path(dataset.get("data_root") or "")
    ann_file = root / dataset["ann_file"]
    prefix = _prefix(dataset, name, "img")
    images = root / prefix.get("img", prefix.get("img_path", ""))
    split = coco_split(name, ann_file, images, _heeds_exif(dataset), _within(config, root, images))
    classes = _classes(dataset)
    check_categories(classes, ann_file, images)
    summary = read_coco(ann_file, images)
    counts = zip(summary.categories, summary.by_class, strict=True)
    boxes = {label: count for label, count in counts if label in classes}
    _check_boxes(config, name, ann_file, boxes, summary.mends)
    if not summary.has_masks and _reads_masks(dataset):
        raise UserError(
            f"{ann_file}, the {name} split, has no masks (`segmentation`), and its pipeline reads "
            "them: add masks, or train a detector of boxes with annotations=dict(with_mask=False)"
        )
    if summary.subpixel:
        say_once(
            f"{ann_file}: {summary.subpixel} boxes are smaller than a pixel: mmdet trains without "
            "them, and scores count them"
        )
    _check_class_counts(config, len(classes), f"the {name} split's `metainfo` has", "classes")
    return split


def _within(config: Config, data_root: Path, images: Path) -> tuple[Path, ...]:
    """The folders that images may lie in; none if they may lie anywhere."""
    allowed = config.get("images_outside_data_root", False)
    if not isinstance(allowed, bool):
        raise UserError(f"images_outside_data_root is {allowed!r}; it may be True or False")
    if allowed:
        return ()
    return (images,) if data_root == Path() else (data_root, images)


def _heeds_exif(dataset: Mapping[str, Any]) -> bool:
    """Whether the first step of the pipeline turns images as their EXIF data says."""
    loaders = [step for step in dataset.get("pipeline") or () if "LoadImage" in str(step["type"])]
    kind = str(loaders[0].get("color_type", "color")) if loaders else "color"
    return kind != "unchanged" and "ignore_orientation" not in kind


def _reads_masks(dataset: Mapping[str, Any]) -> bool:
    return any(step.get("with_mask") for step in dataset.get("pipeline") or ())


def _check_boxes(
    config: Config, name: str, ann_file: Path, boxes: Mapping[str, int], mends: Mends
) -> None:
    """Refuse a split without usable boxes; say what was mended, and which classes have none."""
    rule = config.get("unusable_boxes", DROP)
    if rule not in (DROP, REFUSE):
        raise UserError(f"unusable_boxes is {rule!r}; it may be {DROP!r} or {REFUSE!r}")
    if rule == REFUSE and (count := mends.counts.get(UNUSABLE_BOXES, 0)):
        raise UserError(
            f"{ann_file}: {count} {UNUSABLE_BOXES}: correct them, or leave them out with "
            f"unusable_boxes={DROP!r}"
        )
    if not any(boxes.values()):
        why = f" ({mends})" if mends.counts else ""
        raise UserError(
            f"{ann_file}, the {name} split, has no usable box of {quoted(list(boxes))}{why}: "
            "correct its boxes or the classes"
        )
    for what, count in mends.counts.items():
        say_once(f"{ann_file}: {count} {what}")
    if empty := [label for label, count in boxes.items() if not count]:
        say_once(f"{ann_file}, the {name} split, has no box of {quoted(empty)}")


def _check_voc(config: Config, dataset: dict[str, Any], name: str) -> Split:
    data_root = Path(dataset.get("data_root") or "")
    ann_file = data_root / dataset["ann_file"]
    root = data_root / _prefix(dataset, name, "sub_data_root").get("sub_data_root", "")
    split = voc_split(name, ann_file, root, _heeds_exif(dataset), _within(config, data_root, root))
    classes = _classes(dataset)
    check_voc_classes(classes, ann_file, root)
    summary = read_voc(ann_file, root)
    boxes = {label: summary.by_class.get(label, 0) for label in classes}
    _check_boxes(config, name, ann_file, boxes, summary.mends)
    _check_class_counts(config, len(classes), f"the {name} split's `metainfo` has", "classes")
    return split


def _prefix(dataset: Mapping[str, Any], name: str, key: str) -> Mapping[str, str]:
    prefix = dataset.get("data_prefix") or {}
    if not isinstance(prefix, Mapping):
        raise UserError(
            f"data_prefix of the {name} split is {prefix!r}; write dict({key}={prefix!r})"
        )
    for inner, value in prefix.items():
        if not isinstance(value, str | Path):
            raise UserError(f"data_prefix of the {name} split: {inner} is {value!r}; write a path")
    return prefix


def _classes(dataset: Mapping[str, Any]) -> tuple[str, ...]:
    classes = (dataset.get("metainfo") or {}).get("classes")
    if classes is None:
        with DATASETS.switch_scope_and_registry("mmdet") as registry:
            classes = registry.get(dataset["type"]).METAINFO["classes"]
    refuse_string(classes)
    return tuple(classes)


def _check_class_counts(config: Config, classes: int, where: str, what: str) -> None:
    for path, count in _class_counts(config.model.to_dict()):
        if count != classes:
            raise UserError(
                f"{path}.num_classes is {count}, but {where} {classes} {what}: set it to {classes}"
            )


def _class_counts(model: Any, path: str = "model") -> Iterator[tuple[str, int]]:
    if isinstance(model, Mapping):
        for key, value in model.items():
            if key == "num_classes":
                yield path, value
            else:
                yield from _class_counts(value, f"{path}.{key}")
    elif isinstance(model, list | tuple):
        for i, item in enumerate(model):
            yield from _class_counts(item, f"{path}[{i}]")


def _is_folder(dataset: Mapping[str, Any]) -> bool:
    """Whether it is an mmpretrain data set with one folder per class."""
    return _kind(dataset) in ("CustomDataset", "ImageNet") and not dataset.get("ann_file")


def _kind(dataset: Mapping[str, Any]) -> str:
    """The type of a data set, without the prefix of its library."""
    return str(dataset.get("type")).rpartition(".")[2]


def _check_folder(config: Config, dataset: Mapping[str, Any], name: str) -> tuple[Path, ...]:
    root = _folder_root(dataset)
    images = folder_split(name, root).images
    top = local_path(root)
    classes = len({image.relative_to(top).parts[0] for image in images})
    _check_class_counts(config, classes, f"{root} has", "class folders")
    return images


def _folder_root(dataset: Mapping[str, Any]) -> Path | str:
    """The folder that contains the class folders; a str if it is in an archive."""
    prefix = dataset.get("data_prefix") or ""
    if isinstance(prefix, Mapping):
        prefix = prefix.get("img_path", "")
    prefix = prefix or dataset.get("split", "")
    root = dataset.get("data_root") or ""
    if is_archive(root or prefix):
        return f"{root}/{prefix}" if root and prefix else root or prefix
    return Path(root) / prefix
