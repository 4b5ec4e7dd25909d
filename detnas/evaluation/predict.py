"""Detections of a trained network on images of its test split, for the pictures of a report."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS

from detnas.config import unwrap_dataset
from detnas.evaluation.evaluator import build_model, quiet_logger, quiet_stdout


@dataclass(frozen=True)
class Prediction:
    """Detections and ground truth of an image, in pixels of the image file.

    Boxes are (n, 4) as x1, y1, x2, y2; labels are indices into the classes of `predict`.
    """

    image: Path
    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    truth_boxes: np.ndarray
    truth_labels: np.ndarray


@torch.no_grad()
def predict(
    config: Config, checkpoint: Path | str, images: int = 12
) -> tuple[list[Prediction], tuple[str, ...]]:
    """Run a checkpoint on evenly spaced images of `test_dataloader`.

    Returns:
        The predictions, and the names of the classes.
    """
    quiet_logger()
    model = build_model(config, checkpoint)
    with quiet_stdout():
        dataset = DATASETS.build(unwrap_dataset(config.test_dataloader["dataset"])[0])
        dataset.full_init()
    predictions = []
    for index in np.linspace(0, len(dataset) - 1, min(images, len(dataset))).astype(int):
        item = dataset[int(index)]
        batch = {key: [value] for key, value in item.items()}
        sample = model.val_step(batch)[0]
        found = sample.pred_instances.cpu()
        truth = dataset.get_data_info(int(index))["instances"]
        predictions.append(
            Prediction(
                Path(sample.img_path),
                found.bboxes.numpy(),
                found.labels.numpy(),
                found.scores.numpy(),
                np.array([t["bbox"] for t in truth], float).reshape(-1, 4),
                np.array([t["bbox_label"] for t in truth], int),
            )
        )
    return predictions, tuple(dataset.metainfo["classes"])
