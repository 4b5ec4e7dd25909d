"""`detnas predict`: detects on image files with a trained detector, and draws the boxes."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from detnas.config import load_config
from detnas.data.image_list import picture_names
from detnas.errors import UserError
from detnas.evaluation.detection import Detections, detect, inference_pipeline
from detnas.evaluation.evaluator import build_model, quiet_logger, quiet_stdout
from detnas.files import files_into, write_text
from detnas.stages.detector import load_detector, trained_checkpoint
from detnas.stages.onnx_detector import OnnxDetector

PREDICTIONS_FILE = "predictions.json"
ProgressCallback = Callable[[int, int], None]


def predict(
    checkpoint: Path,
    images: Sequence[Path],
    output: Path,
    config: Path | None = None,
    score_threshold: float = 0.3,
    device: str | None = None,
    progress: ProgressCallback | None = None,
) -> list[dict[str, Any]]:
    """Detect on images, and write pictures with the boxes and `predictions.json`.

    Args:
        checkpoint: of a detector of one architecture; a folder as `trained_checkpoint` takes it;
            or `model.onnx` of `detnas export`, with the config beside it.
        images: image files that can be read, from `detnas.data.image_list.find_images`.
        output: the folder to write into. It gets all files, or none.
        config: the detector's; None takes the one beside the checkpoint.
        score_threshold: boxes with a lower score are left out.
        device: such as "cpu" or "cuda:1"; None takes the GPU if there is one.
        progress: called with the number of images done, and of all.
    Returns:
        The section `images` of `predictions.json`; see docs/commands.md.
    Raises:
        UserError: before any work: a file of the output exists, or the checkpoint or its config is
            missing, does not fit, or is not of one detector.
    """
    if not 0 <= score_threshold <= 1:
        raise UserError(f"--score-threshold is {score_threshold}; it must be from 0 to 1")
    pictures = picture_names(images)
    _check_output(output, [*pictures, PREDICTIONS_FILE])
    is_exported = checkpoint.suffix == ".onnx"
    if not is_exported:
        checkpoint = trained_checkpoint(checkpoint)
    load = _exported if is_exported else _trained
    model, resolved, classes = load(checkpoint, config, device)
    draw = _drawing()
    with files_into(output) as folder:
        entries = []
        for number, found in enumerate(detect(model, resolved, images)):
            entry = _entry(found, classes, score_threshold)
            if draw is not None:
                draw(found, folder / pictures[number], classes, score_threshold)
                entry["picture"] = pictures[number]
            entries.append(entry)
            if progress is not None:
                progress(number + 1, len(images))
        content = {
            "checkpoint": str(checkpoint),
            "score_threshold": score_threshold,
            "categories": [{"id": number, "name": name} for number, name in enumerate(classes, 1)],
            "images": entries,
        }
        write_text(folder / PREDICTIONS_FILE, json.dumps(content, indent=2) + "\n")
    return entries


Loaded = tuple[Any, Config, tuple[str, ...]]
"""A model, the config that prepares its images, and its classes."""


def _trained(checkpoint: Path, config: Path | None, device: str | None) -> Loaded:
    _check_device(device)
    detector = load_detector(checkpoint, config)
    inference_pipeline(detector.config)
    quiet_logger()
    with quiet_stdout():
        model = build_model(detector.config, checkpoint)
    if device is not None:
        model.to(device)
    return model, detector.config, detector.classes


def _exported(file: Path, config: Path | None, device: str | None) -> Loaded:
    detector = OnnxDetector(file, device or "cpu")
    resolved = load_config(config or file.parent / detector.metadata["config"])
    inference_pipeline(resolved)
    quiet_logger()
    return detector, resolved, detector.classes


def _check_output(output: Path, names: Sequence[str]) -> None:
    if output.exists() and not output.is_dir():
        raise UserError(f"{output} is not a folder: name another with -o")
    for name in names:
        if (output / name).exists():
            raise UserError(f"{output / name} already exists: name another folder with -o")


def _check_device(device: str | None) -> None:
    if device is None:
        return
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"--device {device} cannot be used here ({reason}); name cpu, or cuda where there is "
            "a GPU"
        ) from None


def _drawing() -> Callable[[Detections, Path, Sequence[str], float], None] | None:
    """What draws an image; None where matplotlib is missing."""
    try:
        from detnas.report.detections import DetectionSample, draw_image
    except ModuleNotFoundError as error:
        print(f"no pictures: {error.name} is missing (detnas[report] has it)", file=sys.stderr)
        return None

    def draw(found: Detections, path: Path, classes: Sequence[str], threshold: float) -> None:
        sample = DetectionSample(found.image, found.boxes, found.labels, found.scores)
        draw_image(sample, path, classes, threshold)

    return draw


def _entry(found: Detections, classes: Sequence[str], threshold: float) -> dict[str, Any]:
    detections = []
    for box, label, score in zip(found.boxes, found.labels, found.scores, strict=True):
        if score < threshold:
            continue
        left, top, right, bottom = map(float, box)
        detections.append(
            {
                "bbox": [round(v, 3) for v in (left, top, right - left, bottom - top)],
                "score": round(float(score), 6),
                "category": classes[int(label)],
                "category_id": int(label) + 1,
            }
        )
    return {
        "file": str(found.image),
        "width": found.width,
        "height": found.height,
        "detections": detections,
    }
