"""What is checked of a config before any work: data, splits, classes, checkpoints.

Each check raises FileNotFoundError or ValueError with one line that names the thing and the mend.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, init_default_scope

from detnas.config import unwrap_dataset
from detnas.data.checks import Split, check_categories, check_disjoint, coco_split, folder_split
from detnas.models.checkpoints import fit_backbone, read_checkpoint


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
            else:
                detection = False
                images += _check_folder(dataset, name)
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


def _check_folder(dataset: Mapping[str, Any], name: str) -> tuple[Path, ...]:
    prefix = dataset.get("data_prefix") or ""
    if isinstance(prefix, Mapping):
        prefix = prefix.get("img_path", "")
    root = Path(dataset.get("data_root") or "") / (prefix or dataset.get("split", ""))
    return folder_split(name, root).images


def check_checkpoints(config: Config) -> None:
    """Check that `load_from` and the backbone's pretrained weights exist and fit the backbone."""
    init_default_scope(config.get("default_scope", "mmdet"))
    backbone_config = config.model.to_dict()["backbone"]
    init_cfg = backbone_config.pop("init_cfg", None)
    sources = [(config.get("load_from"), "backbone.")]
    if init_cfg is not None and init_cfg.get("type") == "Pretrained":
        sources.append((init_cfg["checkpoint"], init_cfg.get("prefix", "backbone.")))
    backbone = MODELS.build(backbone_config)
    if not hasattr(backbone, "identity"):
        return
    for source, prefix in sources:
        if source is not None:
            fit_backbone(backbone, read_checkpoint(source), source, prefix)
