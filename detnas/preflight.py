"""What is checked of a config before any work: data, splits, classes, checkpoints.

Each check raises FileNotFoundError or ValueError with one line that names the thing and the mend.
"""

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from detnas.config import unwrap_dataset
from detnas.data.archives import is_archive, local_path
from detnas.data.checks import Split, check_categories, check_disjoint, coco_split, folder_split
from detnas.models.backbones import DetNASNet, DetNASSupernet
from detnas.models.checkpoints import fit_backbone, read_checkpoint

BACKBONES: dict[str, type[DetNASSupernet] | type[DetNASNet]] = {
    "DetNASSupernet": DetNASSupernet,
    "DetNASNet": DetNASNet,
}


def check_splits(config: Config, names: Mapping[str, str]) -> None:
    """Check the data of some dataloaders of a config, and that their images are disjoint.

    Args:
        config: an OpenMMLab config.
        names: what each dataloader's split is called, as {"train_dataloader": "train"}; absent
            ones are passed over.
    """
    splits = []
    detection = True
    for key, name in names.items():
        dataloader = config.get(key)
        if dataloader is None:
            continue
        images: list[Path] = []
        for dataset in unwrap_dataset(dataloader["dataset"].to_dict()):
            if str(dataset.get("ann_file", "")).endswith(".json"):
                images += _check_coco(config, dataset, name).images
            elif _is_folder(dataset):
                detection = False
                images += _check_folder(config, dataset, name)
        splits.append(Split(name, tuple(images)))
    check_disjoint(splits, by_content=detection)


def _check_coco(config: Config, dataset: dict[str, Any], name: str) -> Split:
    root = Path(dataset.get("data_root") or "")
    ann_file = root / dataset["ann_file"]
    prefix = dataset.get("data_prefix") or {}
    split = coco_split(name, ann_file, root / prefix.get("img", prefix.get("img_path", "")))
    classes = _classes(dataset)
    check_categories(classes, ann_file)
    for path, count in _class_counts(config.model.to_dict()):
        if count != len(classes):
            raise ValueError(
                f"{path}.num_classes is {count}, and the {name} split's `metainfo` has "
                f"{len(classes)} classes: set it to {len(classes)}"
            )
    return split


def _classes(dataset: Mapping[str, Any]) -> tuple[str, ...]:
    classes = (dataset.get("metainfo") or {}).get("classes")
    if classes is None:
        init_default_scope("mmdet")
        classes = DATASETS.get(dataset["type"]).METAINFO["classes"]
    return tuple(classes)


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
    """Whether it is one of mmpretrain's folders with one folder a class."""
    kind = str(dataset.get("type")).rpartition(".")[2]
    return kind in ("CustomDataset", "ImageNet") and not dataset.get("ann_file")


def _check_folder(config: Config, dataset: Mapping[str, Any], name: str) -> tuple[Path, ...]:
    root = _folder_root(dataset)
    images = folder_split(name, root).images
    top = local_path(root)
    classes = len({image.relative_to(top).parts[0] for image in images})
    for path, count in _class_counts(config.model.to_dict()):
        if count != classes:
            raise ValueError(
                f"{path}.num_classes is {count}, and {root} has {classes} class folders: set it "
                f"to {classes}"
            )
    return images


def _folder_root(dataset: Mapping[str, Any]) -> Path | str:
    """The folder of the classes; a text where it is the address of one in an archive."""
    prefix = dataset.get("data_prefix") or ""
    if isinstance(prefix, Mapping):
        prefix = prefix.get("img_path", "")
    prefix = prefix or dataset.get("split", "")
    root = dataset.get("data_root") or ""
    if is_archive(root or prefix):
        return f"{root}/{prefix}" if root and prefix else root or prefix
    return Path(root) / prefix


def check_weights(config: Config, checkpoint: Path | str, prefix: str = "backbone.") -> None:
    """Check the backbone's config, and that a checkpoint exists and fits it.

    Backbones that are not DetNAS's are OpenMMLab's business; only the file's existence is checked.
    """
    read = read_checkpoint(checkpoint)
    backbone = build_backbone(config)
    if backbone is not None:
        fit_backbone(backbone, read, checkpoint, prefix)


def check_pretrained(config: Config) -> None:
    """Check `load_from` and the backbone's `init_cfg`, as `check_weights` does."""
    build_backbone(config)
    init_cfg = config.model.backbone.get("init_cfg") or {}
    if init_cfg.get("checkpoint") is not None and backbone_kind(config) is not None:
        check_weights(config, init_cfg["checkpoint"], init_cfg.get("prefix", "backbone."))
    if config.get("load_from") is not None:
        check_weights(config, config.load_from)


def backbone_kind(config: Config) -> str | None:
    """Either "DetNASSupernet" or "DetNASNet"; None where the backbone is not DetNAS's."""
    name = str(config.model.backbone.get("type")).removeprefix("mmdet.")
    return name if name in BACKBONES else None


def build_backbone(config: Config) -> DetNASSupernet | DetNASNet | None:
    """The config's backbone without its pretrained weights; None where it is not DetNAS's.

    ValueError or TypeError for an architecture, a space or another argument that does not do.
    """
    name = backbone_kind(config)
    if name is None:
        return None
    kind = BACKBONES[name]
    arguments = config.model.backbone.to_dict()
    for key in ("type", "init_cfg"):
        arguments.pop(key, None)
    known = inspect.signature(kind).parameters
    for key in arguments:
        if key not in known:
            raise ValueError(
                f"unknown key '{key}' under model.backbone; {kind.__name__} takes "
                f"{', '.join(known)}"
            )
    if kind is DetNASNet and "architecture" not in arguments:
        raise ValueError(
            "model.backbone of type DetNASNet needs `architecture`: a JSON file, a published name, "
            "or choices such as small:2,1,2,0,..."
        )
    return kind(**arguments)
