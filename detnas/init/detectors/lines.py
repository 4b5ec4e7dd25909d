"""The model part of an experiment's `detector.py`, for any detector of mmdet's.

Four detectors inherit DetNAS's own configs. The lines of every other one are worked out from its
config: `detector_model.py` and `detector_neck.py` find what must change, `detector_text.py` writes
it, and `detector_trial.py` trains it for a step.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hub import get_config

import detnas.config  # noqa: F401 - makes the prefix "detnas::" known
from detnas.config_keys import CONFIGS, OWN_CONFIGS, own_config
from detnas.errors import MissingFileError, UserError
from detnas.init.detectors.model import adapted, annotation_kinds
from detnas.init.detectors.text import inheriting_text, own_text
from detnas.init.detectors.trial import try_training
from search_space.validation import did_you_mean

OF_MMDET = "mmdet::"
OWN = {
    "retinanet": "_base_/models/retinanet_sep_bn.py",
    "faster-rcnn": "_base_/models/faster_rcnn.py",
    "mask-rcnn": "_base_/models/mask_rcnn.py",
    "efficientdet": "_base_/models/efficientdet.py",
}
"""Detectors by short name that DetNAS has configs for."""
OF_MMDET_BY_NAME = {
    "fcos": "fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py",
    "atss": "atss/atss_r50_fpn_1x_coco.py",
    "gfl": "gfl/gfl_r50_fpn_1x_coco.py",
    "rtmdet": "rtmdet/rtmdet_tiny_8xb32-300e_coco.py",
    "yolox": "yolox/yolox_tiny_8xb8-300e_coco.py",
    "detr": "detr/detr_r50_8xb2-150e_coco.py",
    "conditional-detr": "conditional_detr/conditional-detr_r50_8xb2-50e_coco.py",
    "deformable-detr": "deformable_detr/deformable-detr_r50_16xb2-50e_coco.py",
    "dino": "dino/dino-4scale_r50_8xb2-12e_coco.py",
}
"""Detectors by short name whose lines come from mmdet's config."""
OF_OPERATORS = ("deformable-detr", "dino")
"""Those whose attention is plain torch on a CPU alone; a GPU needs an operator of mmcv's for it."""
NAMES = (*OWN, *OF_MMDET_BY_NAME)


@dataclass(frozen=True)
class DetectorFile:
    """A detector over DetNAS's backbone.

    Attributes:
        text: the lines of a config that sets `model`, `norm_cfg` and `out_indices`. It refers to
            `backbone`, `stage_channels`, `num_classes`, `mean`, `std` and `rgb`.
        out_indices: which of the backbone's four stages the detector takes.
        pad_size_divisor: batches are padded to a multiple of this many pixels.
        with_mask: whether its training needs masks (`annotations = dict(with_mask=True)`).
        optimizer: the `optim_wrapper` that its training needs, with the learning rate of its
            authors; None means that SGD, as in `_base_/schedules`, serves.
        optimizer_batch: images in a step that its learning rate is for.
        notes: what a user should know, one sentence each.
    """

    text: str
    out_indices: tuple[int, ...]
    pad_size_divisor: int
    with_mask: bool
    optimizer: dict[str, Any] | None
    notes: tuple[str, ...]
    optimizer_batch: int = 16


def detector_lines(detector: str) -> DetectorFile:
    """The lines that put DetNAS's backbone under a detector of mmdet's.

    A detector that is not named by a short name, or that needs an operator of mmcv's on a GPU, is
    trained for one step on two images of noise, which takes some seconds.

    Args:
        detector: a short name (`NAMES`), "mmdet::FOLDER/FILE.py", or the path of a config in
            mmdet's format. A config is code and is run: never a stranger's.
    Raises:
        MissingFileError: there is no such config.
        UserError: the name is unknown, the config cannot be read, or the detector cannot be
            adapted or trained here; the message says what of it stands in the way.
    """
    if detector in OWN:
        return _of_own(detector)
    base = OF_MMDET + OF_MMDET_BY_NAME[detector] if detector in OF_MMDET_BY_NAME else detector
    if not base.startswith(OF_MMDET):
        base = str(_own_path(detector))
    config = _read(base)
    file = _adapted(base, config, detector)
    if detector in OF_OPERATORS or detector not in OF_MMDET_BY_NAME:
        try_training(file.text, file.with_mask, detector)
    return file


def _of_own(name: str) -> DetectorFile:
    config = Config.fromfile(own_config(OWN[name]))
    model = config.model
    divisor = model.data_preprocessor.get("pad_size_divisor", 1)
    notes: tuple[str, ...] = ()
    if name == "efficientdet":
        divisor = 128
        notes = ("`compound` sets the size of EfficientDet's neck and head, from d0 to d7x.",)
    return DetectorFile(
        text=own_text(OWN_CONFIGS + OWN[name], name),
        out_indices=tuple(config.out_indices),
        pad_size_divisor=divisor,
        with_mask=name == "mask-rcnn",
        optimizer=None,
        notes=notes,
    )


def _own_path(detector: str) -> Path:
    path = Path(detector).expanduser()
    if path.suffix == ".py":
        if not path.is_file():
            raise MissingFileError(f"--detector {detector}: this file does not exist")
        if path.resolve().is_relative_to(CONFIGS):
            raise UserError(
                f"--detector {detector} is DetNAS's own: name it {did_you_mean(path.stem, OWN)}"
            )
        return path.resolve()
    raise UserError(
        f"--detector {detector} is not known: {did_you_mean(detector, NAMES, list_all=True)}; or "
        "name a config of mmdet's as mmdet::FOLDER/FILE.py, or a config file of your own"
    )


def _read(base: str) -> Config:
    try:
        if base.startswith(OF_MMDET):
            return get_config(base)
        if Config._is_lazy_import(base):
            raise UserError(
                f"--detector {base} imports its bases by read_base: write it as plain text with "
                "`Config.fromfile(...).dump(...)`, and name that file"
            )
        return Config.fromfile(base)
    except UserError:
        raise
    except FileNotFoundError as error:
        raise MissingFileError(
            f"--detector {base} does not exist: name a file of mmdet's folder `configs`, such as "
            f"{OF_MMDET}{OF_MMDET_BY_NAME['gfl']}"
        ) from error
    except Exception as error:  # a config is code and may raise anything
        raise UserError(
            f"--detector {base} cannot be read: {type(error).__name__}: {error}"
        ) from error


def _adapted(base: str, config: Config, detector: str) -> DetectorFile:
    where = f"--detector {detector}"
    changes = adapted(config, where)
    with_mask, with_seg = annotation_kinds(config)
    if with_seg:
        raise UserError(f"{where} trains on maps of semantic classes, which DetNAS does not read")
    imports = tuple((config.get("custom_imports") or {}).get("imports") or ())
    optimizer = _optimizer(config)
    notes = list(changes.notes)
    images = (config.get("auto_scale_lr") or {}).get("base_batch_size", 16)
    if optimizer is not None:
        rate = optimizer["optimizer"].get("lr")
        notes.append(
            f"Its learning rate of {rate} with {optimizer['optimizer']['type']} is for {images} "
            "images per iteration."
        )
    return DetectorFile(
        text=inheriting_text(base, changes, imports),
        out_indices=changes.out_indices,
        pad_size_divisor=changes.pad_size_divisor,
        with_mask=with_mask,
        optimizer=optimizer,
        notes=tuple(notes),
        optimizer_batch=images,
    )


def _optimizer(config: Config) -> dict[str, Any] | None:
    """The config's `optim_wrapper`, unless it is SGD's."""
    wrapper = config.get("optim_wrapper")
    if not isinstance(wrapper, Mapping) or wrapper.get("optimizer") is None:
        return None
    plain: dict[str, Any] = Config(wrapper).to_dict()
    if plain["optimizer"].get("type", "SGD") == "SGD":
        return None
    # A constructor's own paramwise_cfg is for the layers of another backbone.
    keys = ("clip_grad",) if plain.get("constructor") else ("clip_grad", "paramwise_cfg")
    kept = {key: plain[key] for key in keys if plain.get(key)}
    return {"type": "OptimWrapper", "optimizer": plain["optimizer"], **kept}
