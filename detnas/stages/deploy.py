"""`detnas export --format`: a trained detector as files for other programs.

Both formats write a folder with the weights, `model.pth`, and a config that mmdet's own tools test
them with, `model.py`. "onnx" adds the backbone and, where the detector can be, the whole detector
with decoding and NMS, each in fp32 and fp16.
"""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn

from detnas.config import save_config
from detnas.errors import MissingFileError, UserError
from detnas.evaluation.complexity import Size, image_size
from detnas.evaluation.evaluator import build_model, quiet_logger, quiet_stdout
from detnas.export.agreement import Agreement, compare_boxes, compare_maps
from detnas.export.dense_decoding import why_not_exportable
from detnas.export.onnx_file import open_session, require_onnx, write_half, write_onnx
from detnas.export.whole_models import WholeBackbone, WholeDetector
from detnas.files import file_sha256, files_into
from detnas.stages.deployable import MODEL_FILE
from detnas.stages.detector import Detector, load_detector
from detnas.stages.test import SCORING
from detnas.training.hooks import FINAL_WEIGHTS
from detnas.version import __version__

FORMATS = ("onnx", "torch")
CONFIG_FILE = "model.py"
DETECTOR, BACKBONE = "model", "backbone"
"""Names of ONNX files, which end in `.onnx`, those in fp16 in `_fp16.onnx`."""
TOLERANCE = 1e-3
"""Of the check of each fp32 file, as `Agreement` has it."""
_KEPT = (
    *("custom_imports", "default_scope", "data_preprocessor", "env_cfg", "randomness", "model"),
    *("test_dataloader", "test_evaluator", "test_cfg", SCORING, "classes", "image_scale"),
    *("unusable_boxes", "images_outside_data_root", "load_from", "log_level"),
)
"""Sections of a training's config that a test reads."""


@dataclass(frozen=True)
class Deployed:
    """What was written.

    Attributes:
        folder: with all files.
        files: their names.
        agreements: for each checked file its name, and how near ONNX Runtime is to torch.
        without_heads: why there is no whole detector; None if there is.
    """

    folder: Path
    files: list[str] = field(default_factory=list)
    agreements: dict[str, Agreement] = field(default_factory=dict)
    without_heads: str | None = None


def deploy(source: Path, form: str, output: Path | None = None) -> Deployed:
    """Write a trained detector for other programs.

    Args:
        source: an experiment's work directory whose network was retrained, a folder with
            `model.pth` that `detnas export --calibrated` wrote, or a checkpoint with its config
            beside it.
        form: "onnx" or "torch".
        output: the folder to write; None takes one called as the format, beside the checkpoint's
            folder in an experiment, else in the folder of the checkpoint.
    Raises:
        UserError: before anything is written: there is no trained network, the folder holds other
            files, or packages are missing.
        RuntimeError: ONNX Runtime computes something else than torch.
    """
    checkpoint = trained_checkpoint(source)
    folder = output or _default_folder(source, checkpoint) / form
    _require_free(folder)
    if form == "onnx":
        require_onnx()
    detector = load_detector(checkpoint)
    quiet_logger()
    with files_into(folder, replaced="*.onnx") as temporary:
        shutil.copyfile(checkpoint, temporary / MODEL_FILE)
        save_config(_tested_config(detector.config), temporary / CONFIG_FILE)
        if form == "torch":
            return Deployed(folder, [CONFIG_FILE, MODEL_FILE])
        return _write_onnx_files(detector, temporary, folder)


def trained_checkpoint(source: Path) -> Path:
    """The checkpoint of a trained network in `source`, or `source` itself if it is a file.

    Raises:
        UserError: there is none.
    """
    if source.is_file():
        return source
    for file in (source / "retrain" / FINAL_WEIGHTS, source / MODEL_FILE, source / FINAL_WEIGHTS):
        if file.is_file():
            return file
    if not source.exists():
        raise MissingFileError(f"{source} does not exist: name a work directory or a checkpoint")
    raise UserError(
        f"{source} has no trained network (retrain/{FINAL_WEIGHTS} or {MODEL_FILE}): run the stage "
        "`retrain`, or export without --format but with --calibrated, and then the folder it writes"
    )


def _default_folder(source: Path, checkpoint: Path) -> Path:
    is_retrained = source.is_dir() and checkpoint.parent != source
    return source if is_retrained else checkpoint.parent


def _require_free(folder: Path) -> None:
    """Refuse a folder with files of something else than an earlier export."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"-o {folder} is a file: name a folder")
    is_earlier = all((folder / name).is_file() for name in (CONFIG_FILE, MODEL_FILE))
    if folder.is_dir() and any(folder.iterdir()) and not is_earlier:
        raise UserError(f"-o {folder} holds other files: name a new folder")


def _tested_config(config: Config) -> Config:
    """What mmdet's tools need to test the checkpoint, and no more."""
    values = {key: config[key] for key in _KEPT if config.get(key) is not None}
    model = values["model"] = config.to_dict()["model"]
    model["backbone"].pop("init_cfg", None)
    if "data_preprocessor" in config:
        model.setdefault("data_preprocessor", config.to_dict()["data_preprocessor"])
    values.pop("load_from", None)
    values.setdefault("test_cfg", {"type": "TestLoop"})
    return Config({**values, "work_dir": "{{ fileDirname }}"})


def _write_onnx_files(detector: Detector, temporary: Path, folder: Path) -> Deployed:
    with quiet_stdout():
        model = build_model(detector.config, detector.checkpoint).cpu()
    divisor = int(getattr(model.data_preprocessor, "pad_size_divisor", 1))
    metadata = _metadata(detector, model, divisor)
    done = Deployed(folder, [CONFIG_FILE, MODEL_FILE], without_heads=why_not_exportable(model))
    size = _checked_size(detector.config, divisor)
    backbone = WholeBackbone(model).eval()
    names = [f"features_{number}" for number in range(_maps_of(backbone, divisor))]
    parts: list[tuple[str, nn.Module, list[str]]] = [(BACKBONE, backbone, names)]
    if done.without_heads is None:
        outputs = ["boxes", "scores", "labels"]
        parts.append((DETECTOR, WholeDetector(model).eval(), outputs))
    for name, module, outputs in parts:
        file, half = temporary / f"{name}.onnx", temporary / f"{name}_fp16.onnx"
        own = metadata | {"part": name, "precision": "fp32"}
        is_detector = name == DETECTOR
        write_onnx(module, divisor, file, outputs, own, has_sizes=is_detector)
        write_half(file, half, own | {"precision": "fp16"})
        inputs = [_pictures(count, size, is_detector) for count in (1, 2)]
        compare = compare_boxes if is_detector else compare_maps
        found = compare(module, open_session(file), inputs, TOLERANCE)
        if not found.holds:
            raise RuntimeError(f"{file.name}: onnxruntime computes something else: {found}")
        done.agreements[file.name] = found
        open_session(half)  # it can be read
        done.files.extend([file.name, half.name])
    return done


def _metadata(detector: Detector, model: Any, divisor: int) -> dict[str, Any]:
    """What a program must know that runs the files; see docs/deploy.md."""
    settings = getattr(getattr(model, "bbox_head", None), "test_cfg", None) or {}
    found: dict[str, Any] = {
        "producer": f"detnas {__version__}",
        "config": CONFIG_FILE,
        "checkpoint": MODEL_FILE,
        "checkpoint_sha256": file_sha256(detector.checkpoint),
        "classes": list(detector.classes),
        "colours": "RGB",
        "range": [0, 255],
        "normalised_inside": "true",
        "pad_size_divisor": divisor,
    }
    size = _size_or_none(detector.config)
    if size is not None:
        found["image_size"] = list(size)
    for key in ("score_thr", "max_per_img"):
        if key in settings:
            found[key] = settings[key]
    return found


def _size_or_none(config: Config) -> Size | None:
    try:
        return image_size(config)
    except UserError:
        return None


def _checked_size(config: Config, divisor: int) -> Size:
    """The size of the images of the check: the config's own, padded."""
    height, width = _size_or_none(config) or (256, 320)
    return -(-height // divisor) * divisor, -(-width // divisor) * divisor


@torch.no_grad()
def _maps_of(backbone: nn.Module, divisor: int) -> int:
    side = -(-64 // divisor) * divisor
    return len(backbone(torch.zeros(1, 3, side, side)))


def _pictures(count: int, size: Size, with_sizes: bool) -> tuple[Tensor, ...]:
    """Images of smooth colours, the same in every call; the second half of a pair is not square."""
    height, width = size if count == 1 else size[::-1]
    generator = torch.Generator().manual_seed(count)
    coarse = torch.rand(count, 3, 9, 9, generator=generator) * 255
    images = nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    if not with_sizes:
        return (images,)
    return images, torch.tensor([[height - 3, width - 5]] * count)
