"""`detnas test model.onnx`: the score of an exported detector beside that of its checkpoint.

The images are prepared by the pipeline of the config beside the file, batched and padded as for
the checkpoint, and scored by the same metric, so that a difference comes from the file alone.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from detnas.config import load_config
from detnas.errors import UserError
from detnas.evaluation.evaluator import quiet_logger, quiet_stdout
from detnas.files import file_sha256
from detnas.stages.detector import load_detector
from detnas.stages.onnx_detector import OnnxDetector
from detnas.stages.test import score_checkpoint, score_model, scoring_settings

PRECISIONS = ("fp32", "fp16")
TORCH = "torch"
METRICS_FILE = "onnx_metrics.json"
"""Beside the file, or in the work directory: what `score_onnx` returns."""
OF_THE_DATA = ("test_dataloader", "test_evaluator", "unusable_boxes", "images_outside_data_root")
"""Sections of the config beside the file that options may change: what they say holds for all."""


def score_onnx(
    file: Path,
    precisions: Sequence[str] = PRECISIONS,
    options: Mapping[str, Any] | None = None,
    work_dir: Path | None = None,
    device: str = "cpu",
) -> dict[str, dict[str, float]]:
    """Score a detector in ONNX Runtime, and its checkpoint in torch, on `test_dataloader`.

    Args:
        file: `model.onnx` of `detnas export --format onnx`, or `model_fp16.onnx`.
        precisions: "fp32", "fp16" or both; those of `model.onnx` are in the two files.
        options: override values of the config beside the file, of the sections `OF_THE_DATA`.
        work_dir: where metrics of several processes would meet; None takes the file's folder.
        device: as in `open_session`.
    Returns:
        The metrics of "torch", and of each precision.
    Raises:
        UserError: a file is missing, is not of `detnas export`, or not of a whole detector; the
            files are not of the same checkpoint; an option would change torch alone.
    """
    for key in options or {}:
        if key.partition(".")[0] not in OF_THE_DATA:
            raise UserError(
                f"--cfg-options {key}: {file} is already exported, so that this would change at "
                f"most the checkpoint beside it: options may change {', '.join(OF_THE_DATA)}; "
                "else change the config and export again"
            )
    paths = _files(file, precisions)
    detectors = {
        precision: OnnxDetector(path, device)
        for precision, path in zip(precisions, paths, strict=True)
    }
    stated = next(iter(detectors.values())).metadata
    folder = file.parent
    checkpoint = folder / stated["checkpoint"]
    if not checkpoint.is_file():
        raise UserError(f"{checkpoint} is missing: keep the files of an export together")
    found = file_sha256(checkpoint), load_detector(checkpoint, folder / stated["config"]).classes
    for path, (precision, detector) in zip(paths, detectors.items(), strict=True):
        _check_origin(path, precision, detector, checkpoint, *found)
    config = load_config(folder / stated["config"], options, work_dir or folder)
    scores = {TORCH: score_checkpoint(config, checkpoint)}
    for precision, detector in detectors.items():
        scores[precision] = _score(detector, config)
    return scores


def _check_origin(
    file: Path,
    precision: str,
    detector: OnnxDetector,
    checkpoint: Path,
    sha256: str,
    classes: Sequence[str],
) -> None:
    """Refuse a file of another network, precision or classes than its name and folder say."""
    stated = detector.metadata
    if stated["precision"] != precision:
        raise UserError(f"{file} is in {stated['precision']}, not {precision}: export again")
    if stated["checkpoint_sha256"] != sha256:
        raise UserError(
            f"{file} was exported from another checkpoint than {checkpoint}: export again, and "
            "keep the files of an export together"
        )
    if detector.classes != tuple(classes):
        raise UserError(
            f"{file} has the classes {', '.join(detector.classes)}, and {checkpoint} "
            f"{', '.join(classes)}: export again"
        )


def _files(file: Path, precisions: Sequence[str]) -> list[Path]:
    stem = file.name.removesuffix(".onnx").removesuffix("_fp16")
    names = {"fp32": f"{stem}.onnx", "fp16": f"{stem}_fp16.onnx"}
    return [file.parent / names[each] for each in precisions]


def _score(detector: "OnnxDetector", config: Config) -> dict[str, float]:
    quiet_logger()
    with quiet_stdout():
        return score_model(detector, config, None, scoring_settings(config))
