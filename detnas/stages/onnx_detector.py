"""An exported detector with the methods of a model of mmdet's, for scoring and for predictions."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import Tensor
from torch.nn import functional as F

from detnas.errors import UserError
from detnas.evaluation.batches import padded
from detnas.export.onnx_file import open_session, read_metadata
from detnas.stages.deploy import DETECTOR

_KEYS = ("part", "precision", "config", "checkpoint", "checkpoint_sha256", "classes")
"""Of the metadata of every file."""


class OnnxDetector:
    """An exported detector with the methods that scoring calls of a model of mmdet's.

    Args:
        file: of `detnas export --format onnx`.
        device: as in `open_session`.
    Attributes:
        metadata: of the file; docs/deploy.md has the keys.
        classes: the names of its classes.
    """

    def __init__(self, file: Path, device: str = "cpu") -> None:
        self._session = open_session(file, device)
        self.metadata = read_metadata(self._session)
        if not {*_KEYS, "pad_size_divisor"} <= self.metadata.keys():
            raise UserError(f"{file} was not written by `detnas export --format onnx`: name such")
        if self.metadata["part"] != DETECTOR:
            raise UserError(f"{file} is of a backbone, which finds no boxes: name {DETECTOR}.onnx")
        try:
            self.classes = tuple(map(str, json.loads(self.metadata["classes"])))
            self._divisor = int(json.loads(self.metadata["pad_size_divisor"]))
        except (ValueError, TypeError) as error:
            raise UserError(f"the metadata of {file} is damaged: export again") from error
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
        heights, widths = zip(*sizes, strict=True)
        height, width = padded((max(heights), max(widths)), self._divisor)
        stacked = torch.stack([_padded(image, height, width) for image in images])
        boxes, scores, labels = self._session.run(
            None, {"images": stacked.numpy(), "sizes": np.array(sizes, np.int64)}
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
