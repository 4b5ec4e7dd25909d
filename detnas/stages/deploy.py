"""`detnas export --format`: a trained detector as files for other programs.

Both formats write a folder with the weights, `model.pth`, and a config that mmdet's own tools test
them with, `model.py`. "onnx" adds the backbone and, where the detector can be, the whole detector
with decoding and NMS, each in fp32 and fp16.
"""

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn

from detnas.config import save_config, unwrap_dataset
from detnas.errors import UserError
from detnas.evaluation.batches import padded
from detnas.evaluation.complexity import Size, image_size
from detnas.evaluation.detection import inference_pipeline
from detnas.evaluation.evaluator import build_model, quiet_logger, quiet_stdout
from detnas.export.agreement import Agreement, compare_boxes, compare_maps
from detnas.export.dense_decoding import why_not_exportable
from detnas.export.onnx_file import open_session, require_onnx, write_half, write_onnx
from detnas.export.whole_models import WatchedDetector, WholeBackbone, WholeDetector
from detnas.files import file_sha256, files_into, write_text
from detnas.stages.detector import MODEL_FILE, Detector, load_detector, trained_checkpoint
from detnas.stages.test import SCORING
from detnas.version import __version__

FORMATS = ("onnx", "torch")
CONFIG_FILE = "model.py"
DATA_ROOT = "DETNAS_DATA_ROOT"
"""The environment variable that replaces the folder of the data in `model.py`."""
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
        UserError: there is no trained network, the folder holds other files, packages are missing,
            or ONNX Runtime computes something else than torch. Nothing is written then.
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
        _name_data_root(temporary / CONFIG_FILE, detector.config)
        if form == "torch":
            return Deployed(folder, [CONFIG_FILE, MODEL_FILE])
        return _write_onnx_files(detector, temporary, folder)


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


def _name_data_root(file: Path, config: Config) -> None:
    """Write the folder of the data once, as `data_root`, which an environment variable replaces."""
    (dataset, *_) = unwrap_dataset(config.test_dataloader["dataset"])
    root = str(dataset.get("data_root") or "").rstrip("/")
    if not root or not re.fullmatch(r"[^'\\{}\n]+", root):
        return
    # mmengine takes the default as a pattern without spaces.
    is_plain = re.fullmatch(r"[\w./~-]+", root)
    default = f"{{{{${DATA_ROOT}:{root}}}}}" if is_plain else root
    named = re.compile(rf"'{re.escape(root)}/?((?:/[^'\n]*)?)'")
    text = file.read_text(encoding="utf-8")
    text = named.sub(lambda m: f"data_root + '{m[1]}'" if m[1] else "data_root", text)
    head = f"# The folder of the data: change it here, or set {DATA_ROOT} in the environment.\n"
    write_text(file, f"{head}data_root = '{default}'\n{text}\n")


def _write_onnx_files(detector: Detector, temporary: Path, folder: Path) -> Deployed:
    with quiet_stdout():
        model = build_model(detector.config, detector.checkpoint).cpu().eval()
    divisor = int(getattr(model.data_preprocessor, "pad_size_divisor", 1))
    metadata = _metadata(detector, model, divisor)
    done = Deployed(folder, [CONFIG_FILE, MODEL_FILE], without_heads=why_not_exportable(model))
    size = _checked_size(detector.config, divisor)
    backbone = WholeBackbone(model).eval()
    outputs = [f"features_{number}" for number in range(_maps_of(backbone, divisor))]
    _write_part(done, temporary, BACKBONE, backbone, outputs, divisor, metadata, size)
    if done.without_heads is None:
        whole = WatchedDetector(WholeDetector(model)).eval()
        outputs = ["boxes", "scores", "labels"]
        _write_part(done, temporary, DETECTOR, whole, outputs, divisor, metadata, size)
    return done


def _write_part(
    done: Deployed,
    folder: Path,
    name: str,
    module: nn.Module,
    outputs: list[str],
    divisor: int,
    metadata: dict[str, Any],
    size: Size,
) -> None:
    """Write a part in both precisions, and check it."""
    file, half = folder / f"{name}.onnx", folder / f"{name}_fp16.onnx"
    own = metadata | {"part": name, "precision": "fp32"}
    is_detector = isinstance(module, WatchedDetector)
    inputs: list[Any] = [_pictures(count, size, is_detector) for count in (1, 2)]
    inner: list[str] = []
    if isinstance(module, WatchedDetector):
        inner = module.map_names(_count_outputs(module, inputs[0]) - len(outputs))
    write_onnx(module, divisor, file, outputs, own, is_detector, inner)
    write_half(file, half, own | {"precision": "fp16"})
    session = open_session(file, inner=inner)
    if isinstance(module, WatchedDetector):
        found = compare_boxes(module, session, inputs, TOLERANCE)
    else:
        found = compare_maps(module, session, inputs, TOLERANCE)
    if not found.holds:
        raise UserError(
            f"{file.name}: onnxruntime computes something else than torch ({found}): nothing was "
            "written; other versions of onnxruntime, onnxscript or torch may agree"
        )
    done.agreements[file.name] = found
    open_session(half)  # it can be read
    done.files.extend([file.name, half.name])


@torch.no_grad()
def _count_outputs(module: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    return len(module(*inputs))


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
    resizing = _resizing(detector.config)
    if resizing is not None:
        found["resizing"] = resizing
    for key in ("score_thr", "max_per_img"):
        if key in settings:
            found[key] = settings[key]
    return found


def _resizing(config: Config) -> dict[str, Any] | None:
    """How images are resized for a test; None where the pipeline changes them in other ways."""
    steps = inference_pipeline(config)
    names = [str(step.get("type")).rpartition(".")[2] for step in steps]
    resizes = [step for step, name in zip(steps, names, strict=True) if name == "Resize"]
    if sorted(names) != ["LoadImageFromFile", "PackDetInputs", "Resize"]:
        return None
    (load,) = (step for step, name in zip(steps, names, strict=True) if name.startswith("Load"))
    if load.get("color_type", "color") != "color" or not load.keys() <= {"type", "color_type"}:
        return None
    (step,) = resizes
    scale = step.get("scale")
    known = {"type", "scale", "keep_ratio", "interpolation", "backend", "clip_object_border"}
    if not isinstance(scale, list | tuple) or not step.keys() <= known:
        return None
    if (step.get("interpolation", "bilinear"), step.get("backend", "cv2")) != ("bilinear", "cv2"):
        return None
    width, height = map(int, scale)
    return {
        "size": [height, width],
        "keep_ratio": bool(step.get("keep_ratio", False)),
        "interpolation": "bilinear",
    }


def _size_or_none(config: Config) -> Size | None:
    try:
        return image_size(config)
    except UserError:
        return None


def _checked_size(config: Config, divisor: int) -> Size:
    """The size of the images of the check: the config's own, padded."""
    return padded(_size_or_none(config) or (256, 320), divisor)


@torch.no_grad()
def _maps_of(backbone: nn.Module, divisor: int) -> int:
    return len(backbone(torch.zeros(1, 3, *padded((64, 64), divisor))))


def _pictures(count: int, size: Size, with_sizes: bool) -> tuple[Tensor, ...]:
    """Images of smooth colours, the same in every call; the second half of a pair is not square."""
    height, width = size if count == 1 else size[::-1]
    generator = torch.Generator().manual_seed(count)
    coarse = torch.rand(count, 3, 9, 9, generator=generator) * 255
    images = nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    if not with_sizes:
        return (images,)
    return images, torch.tensor([[height - 3, width - 5]] * count)
