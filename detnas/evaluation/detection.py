"""Runs a detector on image files, batched and padded as in scoring."""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader, Dataset

from detnas.config import unwrap_dataset
from detnas.errors import UserError
from detnas.evaluation.batches import Batches

AT_ONCE = 64
"""Images that are loaded, detected on and given back together."""
_FEW = 8  # images, for which starting workers takes longer than loading
_CACHE = 1 << 40  # bytes; all images of `AT_ONCE` fit


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector finds on an image, the best first.

    Attributes:
        image: the file.
        width, height: of the image as it is displayed, so after the turn that EXIF asks for.
        boxes: (n, 4) as x1, y1, x2, y2, in pixels of the displayed image.
        labels: (n,) indices into the detector's classes.
        scores: (n,) from 0 to 1.
    """

    image: Path
    width: int
    height: int
    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray


def inference_pipeline(config: Config) -> list[dict[str, Any]]:
    """The steps of `test_dataloader`, for image files without annotations.

    Images are turned as EXIF asks for, even where the data set's are not.

    Raises:
        UserError: the config has no `test_dataloader` with a pipeline.
    """
    loader = config.get("test_dataloader")
    datasets = [] if loader is None else unwrap_dataset(loader.get("dataset") or {})
    steps = datasets[0].get("pipeline") if datasets else None
    if not steps:
        raise UserError(
            f"config {config.filename} has no test_dataloader with a pipeline, which prepares the "
            "images: name another with --config"
        )
    pipeline = []
    for step in map(deepcopy, map(dict, steps)):
        name = posixpath.basename(str(step.get("type")).replace(".", "/"))
        if name.startswith("Load") and "Image" not in name:
            continue
        if name.startswith("Load"):
            step.pop("backend_args", None)  # of the data set's storage
            if step.get("color_type") == "color_ignore_orientation":
                step["color_type"] = "color"
        pipeline.append(step)
    return pipeline


class _Images(Dataset[Any]):
    """Image files as a pipeline prepares them."""

    def __init__(self, files: Sequence[Path], pipeline: Sequence[Mapping[str, Any]]) -> None:
        self._files = files
        self._pipeline = Compose(deepcopy(list(pipeline)))

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Any:
        return self._pipeline(
            {"img_path": str(self._files[index]), "img_id": index, "instances": []}
        )


def detect(model: Any, config: Config, images: Sequence[Path]) -> Iterator[Detections]:
    """Detect on image files.

    Args:
        model: from `detnas.evaluation.evaluator.build_model`.
        config: its config. Batch size and workers are those of `test_dataloader`.
        images: readable image files.
    Yields:
        The detections of each image, in the order of the images.
    """
    init_default_scope(config.get("default_scope", "mmdet"))
    pipeline = inference_pipeline(config)
    for start in range(0, len(images), AT_ONCE):
        yield from _detect(model, config, images[start : start + AT_ONCE], pipeline)


@torch.no_grad()
def _detect(
    model: Any, config: Config, images: Sequence[Path], pipeline: Sequence[Mapping[str, Any]]
) -> list[Detections]:
    loader = config.test_dataloader
    loaded: DataLoader[Any] = DataLoader(
        _Images(images, pipeline),
        loader.get("batch_size", 1),
        num_workers=loader.get("num_workers", 0) if len(images) > _FEW else 0,
        collate_fn=pseudo_collate,
    )
    divisor = getattr(model.data_preprocessor, "pad_size_divisor", 1)
    batches = Batches(lambda: loaded, _CACHE, divisor)
    model.eval()
    samples = [sample for batch in batches for sample in model.val_step(batch)]
    return [_detections(images[batches.order[i]], samples[i]) for i in np.argsort(batches.order)]


def _detections(image: Path, sample: Any) -> Detections:
    found = sample.pred_instances.cpu()
    height, width = sample.ori_shape[:2]
    boxes, labels, scores = (
        value.numpy() for value in (found.bboxes, found.labels, found.scores.float())
    )
    best_first = np.argsort(-scores, kind="stable")
    return Detections(
        image, width, height, boxes[best_first], labels[best_first], scores[best_first]
    )
