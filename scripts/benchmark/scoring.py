"""Scoring one candidate: DetNAS's evaluator beside the plain way, on real images.

    python scripts/benchmark/scoring.py configs/bccd_retinanet/search.py --weights SUPERNET.pth \
        --data-root data/bccd --calibration 200 [--images 1000] [--repeats 5] [--threads 2]

The plain way opens the data sets for each candidate, recalibrates by passes through the whole
detector, runs mmengine's own loop and matches by pycocotools, in torch's default memory format.
Both have the same weights, paths, images, batches, threads and precision. They take turns, each
repeat with another path. A third row is DetNAS in the memory format of the plain way and without
folding: its scores must be equal to the last digit.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from mmdet.evaluation.metrics import coco_metric
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from msgspec import structs
from pycocotools.cocoeval import COCOeval
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from detnas.config import load_config
from detnas.data.coco_records import load_content
from detnas.evaluation import metrics as _metrics  # noqa: F401 - registers UnroundedCocoMetric
from detnas.evaluation.batches import calibration_loader, scored_loader
from detnas.evaluation.evaluator import (
    CandidateEvaluator,
    build_model,
    make_batches,
    quiet_logger,
    quiet_stdout,
)
from detnas.evaluation.settings import EvaluatorSettings
from detnas.models.memory_format import use_memory_format
from search_space.sampling import BudgetSampler

Score = Callable[[tuple[int, ...]], dict[str, float]]


@dataclass(frozen=True)
class Measured:
    """Seconds of a way to score, and its scores, one for each repeat."""

    seconds: list[float]
    scores: list[float]


class PlainWay:
    """Scores candidates as one would with torch, mmengine and pycocotools alone.

    Attributes:
        space: the supernet's.
    """

    def __init__(self, config: Config, weights: Path, settings: EvaluatorSettings) -> None:
        self._config = config
        self._settings = settings
        self._model = build_model(config, weights)
        use_memory_format(self._model, settings.memory_format)
        self.space = self._model.backbone.space
        self._work_dir = tempfile.mkdtemp()
        # The images in DetNAS's batches, so that both compute the same.
        calibration, scored = (
            make_batches(partial(load, self), self._model, settings).places
            for load in (PlainWay._calibration_loader, PlainWay._scored_loader)
        )
        self._batches = calibration, scored

    def _calibration_loader(self) -> DataLoader:
        config, settings = deepcopy(self._config), self._settings
        return calibration_loader(
            config.train_dataloader,
            config.val_dataloader,
            settings.calibration_images,
            settings.calibration_batch_size,
            0,
        )

    def _scored_loader(self) -> DataLoader:
        return scored_loader(self._config.val_dataloader, 0)

    def __call__(self, choices: tuple[int, ...]) -> dict[str, float]:
        """The metrics of one architecture."""
        torch.set_num_threads(self._settings.threads or 1)
        self._model.backbone.set_path(choices)
        self._recalibrate(in_batches(self._calibration_loader(), self._batches[0]))
        metric = dict(self._config.val_evaluator) | {"outfile_prefix": f"{self._work_dir}/found"}
        runner = Runner(
            model=self._model,
            work_dir=self._work_dir,
            val_dataloader=in_batches(self._scored_loader(), self._batches[1]),
            val_cfg={"type": "ValLoop"},
            val_evaluator=metric,
            default_scope="mmdet",
            log_level="WARNING",
            experiment_name=f"plain-{time.monotonic_ns()}",
        )
        # Under a name of its own pycocotools is not replaced by hotcoco.
        with mock.patch.object(coco_metric, "COCOeval", type("Plain", (COCOeval,), {})):
            return runner.val()

    @torch.no_grad()
    def _recalibrate(self, loader: DataLoader) -> None:
        norms = [m for m in self._model.modules() if isinstance(m, _BatchNorm)]
        self._model.eval()
        for norm in norms:
            norm.reset_running_stats()
            norm.train()
        images = 0
        for batch in loader:
            images += len(batch["inputs"])
            for norm in norms:
                norm.momentum = len(batch["inputs"]) / images
            self._model.val_step(batch)
        self._model.eval()


def in_batches(loader: DataLoader, places: list[list[int]]) -> DataLoader:
    """The loader with these batches of its images, by their places in its order."""
    sampler: Any = loader.batch_sampler
    indices = [index for batch in sampler for index in batch]
    return DataLoader(
        loader.dataset,
        batch_sampler=[[indices[place] for place in batch] for batch in places],
        collate_fn=loader.collate_fn,
        num_workers=loader.num_workers,
    )


def scaled(file: Path, images: int, target: Path) -> None:
    """Write the annotations with their images repeated until there are as many as asked for."""
    content = load_content(file)
    originals, annotations = content["images"], content["annotations"]
    by_image: dict[Any, list[Any]] = {}
    for annotation in annotations:
        by_image.setdefault(annotation["image_id"], []).append(annotation)
    new_images: list[Any] = []
    new_annotations: list[Any] = []
    for number in range(images):
        image = originals[number % len(originals)]
        new_images.append(image | {"id": number + 1})
        for annotation in by_image.get(image["id"], []):
            changed = {"id": len(new_annotations) + 1, "image_id": number + 1}
            new_annotations.append(annotation | changed)
    content |= {"images": new_images, "annotations": new_annotations}
    target.write_text(json.dumps(content), encoding="utf-8")


def measure(ways: dict[str, Score], paths: list[tuple[int, ...]], key: str) -> dict[str, Measured]:
    """Score each path by all ways in turn, in a random order; the first path is not timed."""
    measured = {name: Measured([], []) for name in ways}
    rng = np.random.default_rng(0)
    for number, path in enumerate(paths):
        for name in rng.permutation(list(ways)):
            began = time.perf_counter()
            with quiet_stdout():
                score = ways[name](path)[key]
            if number:
                measured[name].seconds.append(time.perf_counter() - began)
                measured[name].scores.append(score)
    return measured


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path, help="of a search")
    parser.add_argument("--weights", type=Path, required=True, help="of the supernet")
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--calibration", type=int, default=200, help="images")
    parser.add_argument("--images", type=int, help="scored ones; more than there are repeats them")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", default="float32", help="of DetNAS; the plain way has float32")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    quiet_logger()
    folder = Path(tempfile.mkdtemp())
    overrides = {"data_root": str(Path(options.data_root).resolve()), "pretrained": None}
    config = load_config(options.config, overrides, folder)
    init_default_scope("mmdet")
    if options.images:
        file = Path(config.data_root) / config.search_ann_file
        scaled(file, options.images, folder / "scored.json")
        config.val_dataloader.dataset.ann_file = str(folder / "scored.json")
        config.val_evaluator.ann_file = str(folder / "scored.json")
    settings = EvaluatorSettings(
        calibration_images=options.calibration,
        calibration_batch_size=config.search.evaluator.calibration_batch_size,
        batch_shapes="equal",
        threads=options.threads,
        dtype=options.dtype,
    )
    plain_format = structs.replace(settings, memory_format="contiguous", dtype="float32")
    settings = structs.replace(settings, fold_batch_norm=options.dtype == "float32")
    plain = PlainWay(config, options.weights, plain_format)
    ways: dict[str, Score] = {
        "plain": plain,
        "detnas": CandidateEvaluator(config, options.weights, settings, 0),
        "detnas, contiguous": CandidateEvaluator(config, options.weights, plain_format, 0),
    }
    sampler = BudgetSampler(plain.space)
    drawn = sampler.sample(np.random.default_rng(0), options.repeats + 1).tolist()
    measured = measure(ways, list(map(tuple, drawn)), config.score)
    report(measured)
    if options.json:
        found = {name: vars(each) for name, each in measured.items()}
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def report(measured: dict[str, Measured]) -> None:
    """Print the seconds of each way, its ratio to DetNAS's, and how far its scores are."""
    ours = measured["detnas"]
    print(f"{'':<22}{'seconds':<26}{'of detnas':<22}largest difference of scores")
    for name, each in measured.items():
        ratios = [a / b for a, b in zip(each.seconds, ours.seconds, strict=True)]
        differences = [
            abs(a - b) for a, b in zip(each.scores, measured["plain"].scores, strict=True)
        ]
        print(
            f"{name:<22}{spread(each.seconds):<26}{spread(ratios):<22}"
            f"{max(differences):.2g} from plain"
        )
    print(f"scores: {min(ours.scores):.4f} to {max(ours.scores):.4f}")


def spread(values: list[float]) -> str:
    """Median, and the range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
