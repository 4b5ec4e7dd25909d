"""`detnas test model.onnx`: the score of an exported detector beside that of its checkpoint.

The images are prepared by the pipeline of the config beside the file, batched and padded as for
the checkpoint, and scored by the same metric, so that a difference comes from the file alone.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData
from torch import Tensor
from torch.nn import functional as F

from detnas.config import load_config
from detnas.errors import UserError
from detnas.evaluation.evaluator import quiet_logger, quiet_stdout
from detnas.export.onnx_file import open_session, read_metadata
from detnas.files import file_sha256
from detnas.stages.deploy import DETECTOR
from detnas.stages.test import score_checkpoint, score_model, scoring_settings

PRECISIONS = ("fp32", "fp16")
TORCH = "torch"
METRICS_FILE = "onnx_metrics.json"
"""Beside the file, or in the work directory: what `score_onnx` returns."""


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
        options: override values of the config beside the file.
        work_dir: where metrics of several processes would meet; None takes the file's folder.
        device: as in `open_session`.
    Returns:
        The metrics of "torch", and of each precision.
    Raises:
        UserError: a file is missing, is not of `detnas export`, or not of a whole detector.
    """
    detectors = {}
    for precision, path in zip(precisions, _files(file, precisions), strict=True):
        detectors[precision] = OnnxDetector(path, device)
    stated = next(iter(detectors.values())).metadata
    folder = file.parent
    checkpoint = folder / stated["checkpoint"]
    config = load_config(folder / stated["config"], options, work_dir or folder)
    if not checkpoint.is_file() or file_sha256(checkpoint) != stated["checkpoint_sha256"]:
        raise UserError(
            f"{checkpoint} is missing or not the checkpoint that {file} was exported from: export "
            "again, and keep the files together"
        )
    scores = {TORCH: score_checkpoint(config, checkpoint)}
    for precision, detector in detectors.items():
        scores[precision] = _score(detector, config)
    return scores


def _files(file: Path, precisions: Sequence[str]) -> list[Path]:
    stem = file.name.removesuffix(".onnx").removesuffix("_fp16")
    names = {"fp32": f"{stem}.onnx", "fp16": f"{stem}_fp16.onnx"}
    return [file.parent / names[each] for each in precisions]


def _score(detector: "OnnxDetector", config: Config) -> dict[str, float]:
    quiet_logger()
    with quiet_stdout():
        return score_model(detector, config, None, scoring_settings(config))


class OnnxDetector:
    """An exported detector with the methods that scoring calls of a model of mmdet's.

    Args:
        file: of `detnas export --format onnx`.
        device: as in `open_session`.
    Attributes:
        metadata: of the file; docs/deploy.md has the keys.
    """

    def __init__(self, file: Path, device: str = "cpu") -> None:
        self._session = open_session(file, device)
        self.metadata = read_metadata(self._session)
        if not {"part", "config", "checkpoint", "pad_size_divisor"} <= self.metadata.keys():
            raise UserError(f"{file} was not written by `detnas export --format onnx`: name such")
        if self.metadata["part"] != DETECTOR:
            raise UserError(f"{file} is of a backbone, which finds no boxes: name {DETECTOR}.onnx")
        self._divisor = json.loads(self.metadata["pad_size_divisor"])
        self.data_preprocessor = SimpleNamespace(pad_size_divisor=self._divisor)

    def eval(self) -> "OnnxDetector":
        """For scoring; there is nothing to set."""
        return self

    def val_step(self, batch: Mapping[str, Any]) -> list[Any]:
        """The data samples of a batch with `pred_instances`, in pixels of the image files.

        Args:
            batch: `inputs`, BGR images (3, H, W) as mmdet's pipelines load them, and
                `data_samples`.
        """
        images = list(batch["inputs"])
        sizes = [tuple(image.shape[-2:]) for image in images]
        height, width = (
            -(-max(size[side] for size in sizes) // self._divisor) * self._divisor
            for side in (0, 1)
        )
        padded = torch.stack([_padded(image, height, width) for image in images])
        boxes, scores, labels = self._session.run(
            None, {"images": padded.numpy(), "sizes": np.array(sizes, np.int64)}
        )
        samples = list(batch["data_samples"])
        for number, sample in enumerate(samples):
            found = boxes[number], scores[number], labels[number]
            sample.pred_instances = _instances(*found, sample.scale_factor)
        return samples


def _padded(image: Tensor, height: int, width: int) -> Tensor:
    rgb = image.flip(0).float()
    return F.pad(rgb, (0, width - rgb.shape[2], 0, height - rgb.shape[1]))


def _instances(boxes: Any, scores: Any, labels: Any, scale: tuple[float, float]) -> InstanceData:
    found = scores > 0
    return InstanceData(
        bboxes=torch.from_numpy(boxes[found]) / torch.tensor([*scale, *scale]),
        scores=torch.from_numpy(scores[found]),
        labels=torch.from_numpy(labels[found]),
    )
