"""Loading and matching at the shape of COCO's val2017: DetNAS beside the plain way.

    python scripts/benchmark/coco_shape.py [--images 5000] [--scale 1333 800] [--repeats 5] \
        [--json FILE]

Generated JPEG files of 640x480, 80 classes, seven objects and 100 detections an image. Loading,
batching and matching are real; the network is a stand-in that gives detections made beforehand.
What it would take is modelled: `--network-ms` an image. The plain way opens the data set for each
candidate, decodes and resizes every image, and matches by pycocotools; 500 calibration images
are loaded as well. DetNAS keeps the images of a search (in a file, as its workers share it). Both
give the same mAP, to the last digit.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import torch
from mmdet.evaluation.metrics import coco_metric
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from pycocotools.cocoeval import COCOeval
from torch import nn

from detnas.evaluation import metrics as _metrics  # noqa: F401 - registers UnroundedCocoMetric
from detnas.evaluation.batches import Batches, scored_loader
from detnas.evaluation.evaluator import build_metrics, quiet_logger, quiet_stdout, score
from detnas.evaluation.kept_images import SharedFolder

WIDTH, HEIGHT, FILES = 640, 480, 200
CLASSES, OBJECTS, FOUND = 80, 7, 100
DIVISOR = 32


class StandIn(nn.Module):
    """Gives the detections that were made for each image."""

    def __init__(self, found: dict[int, tuple[torch.Tensor, ...]]) -> None:
        super().__init__()
        self.found = found

    def val_step(self, batch: dict[str, Any]) -> Any:
        for sample in batch["data_samples"]:
            boxes, scores, labels = self.found[sample.img_id]
            sample.pred_instances = InstanceData(bboxes=boxes, scores=scores, labels=labels)
        return batch["data_samples"]


def write_data(folder: Path, images: int) -> dict[int, tuple[torch.Tensor, ...]]:
    """Write images and annotations; the detections, some of them close to objects."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    for number in range(FILES):  # smooth noise, which a JPEG of a photograph's size describes
        small = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        image = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"images/{number}.jpg"), image)
    listed, annotations, found = [], [], {}
    for number in range(1, images + 1):
        # Links, so that no file is listed twice.
        name = f"images/image_{number}.jpg"
        (folder / name).symlink_to(folder / f"images/{number % FILES}.jpg")
        listed.append({"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT})
        sides = rng.uniform(8, 300, (OBJECTS, 2))
        corners = rng.uniform(0, 1, (OBJECTS, 2)) * ([WIDTH, HEIGHT] - sides)
        classes = rng.integers(0, CLASSES, OBJECTS)
        for (x, y), (w, h), label in zip(corners, sides, classes, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": int(label) + 1,
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": int(rng.random() < 0.01),
                }
            )
        of = rng.integers(0, OBJECTS, FOUND)
        boxes = np.concatenate([corners[of], corners[of] + sides[of]], axis=1)
        boxes += rng.normal(0, 0.15, boxes.shape) * np.tile(sides[of], 2)
        labels = np.where(rng.random(FOUND) < 0.7, classes[of], rng.integers(0, CLASSES, FOUND))
        found[number] = (
            torch.from_numpy(boxes.astype(np.float32)),
            torch.from_numpy(np.sort(rng.random(FOUND).astype(np.float32))[::-1].copy()),
            torch.from_numpy(labels),
        )
    content = {
        "images": listed,
        "annotations": annotations,
        "categories": [{"id": k + 1, "name": f"class {k}"} for k in range(CLASSES)],
    }
    (folder / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
    return found


def loader_config(folder: Path, scale: tuple[int, int], images: int | None) -> dict[str, Any]:
    """A data loader as a config of mmdet has it; of the first images, or of all."""
    return {
        "batch_size": 8,
        "num_workers": 2,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "dataset": {
            "type": "CocoDataset",
            "data_root": str(folder),
            "ann_file": "annotations.json",
            "data_prefix": {"img": ""},
            "metainfo": {"classes": tuple(f"class {k}" for k in range(CLASSES))},
            "test_mode": True,
            "indices": images,
            "pipeline": [
                {"type": "LoadImageFromFile"},
                {"type": "Resize", "scale": scale, "keep_ratio": True},
                {"type": "LoadAnnotations", "with_bbox": True},
                {"type": "PackDetInputs"},
            ],
        },
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--calibration", type=int, default=500)
    parser.add_argument("--scale", type=int, nargs=2, default=(1333, 800))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--network-ms", type=float, nargs="+", default=[10.0, 30.0])
    parser.add_argument("--cache-mb", type=int, default=1 << 20)
    parser.add_argument("--folder", type=Path, help="for the files; by default a temporary one")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    quiet_logger()
    init_default_scope("mmdet")
    with tempfile.TemporaryDirectory(dir=options.folder) as name, quiet_stdout():
        times, maps = measure(Path(name), options)
    report(times, maps, options)
    if options.json:
        found = {"seconds": times, "mAP": maps}
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def measure(folder: Path, options: Any) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds by part and way, and the mAP of each pass."""
    model = StandIn(write_data(folder, options.images))
    scale = tuple(options.scale)
    scored, calibration = (
        loader_config(folder, scale, images) for images in (None, options.calibration)
    )
    metric = {"type": "UnroundedCocoMetric", "ann_file": str(folder / "annotations.json")}
    shared = SharedFolder.of_search(folder)
    limit = options.cache_mb << 20
    began = time.perf_counter()
    kept = [
        Batches(lambda c=config: scored_loader(c, 0), limit, DIVISOR, shared.keep(part))
        for part, config in (("scored", scored), ("calibration", calibration))
    ]
    images = sum(batches.images for batches in kept)  # loads them
    times: dict[str, list[float]] = {"detnas, once": [time.perf_counter() - began]}
    assert images == options.images + options.calibration
    metrics = build_metrics(metric, kept[0].metainfo)
    maps: dict[str, list[float]] = {"plain": [], "detnas": []}
    for _ in range(options.repeats):
        began = time.perf_counter()
        for batch in kept[1]:
            assert batch["inputs"][0].dtype == torch.uint8
        found = score(model, kept[0], metrics)
        times.setdefault("detnas", []).append(time.perf_counter() - began)
        maps["detnas"].append(found["coco/bbox_mAP"])
        began = time.perf_counter()
        for _ in scored_loader(calibration, 0):
            pass
        plain = build_metrics(metric | {"outfile_prefix": str(folder / "found")}, kept[0].metainfo)
        loader = Runner.build_dataloader(scored | {"persistent_workers": False})
        for batch in loader:
            plain.process(data_samples=model.val_step(batch), data_batch=batch)
        loaded = time.perf_counter()
        with mock.patch.object(coco_metric, "COCOeval", type("Plain", (COCOeval,), {})):
            found = plain.evaluate(options.images)
        times.setdefault("plain, loading", []).append(loaded - began)
        times.setdefault("plain, matching", []).append(time.perf_counter() - loaded)
        times.setdefault("plain", []).append(time.perf_counter() - began)
        maps["plain"].append(found["coco/bbox_mAP"])
    return times, maps


def report(times: dict[str, list[float]], maps: dict[str, list[float]], options: Any) -> None:
    """Print the table."""
    for name, values in times.items():
        low, high = min(values), max(values)
        print(f"{name:<18}{statistics.median(values):9.2f} s ({low:.2f} to {high:.2f})")
    shares = [a / b for a, b in zip(times["detnas"], times["plain"], strict=True)]
    low, high = min(shares), max(shares)
    print(f"detnas / plain: {statistics.median(shares):.4f} ({low:.4f} to {high:.4f})")
    same = "equal" if maps["plain"] == maps["detnas"] else "NOT EQUAL"
    print(f"mAP {maps['plain'][0]!r}, {same} in all passes")
    for milliseconds in options.network_ms:
        network = milliseconds * (options.images + options.calibration) / 1000
        ours, plain = (statistics.median(times[way]) for way in ("detnas", "plain"))
        print(
            f"with a network of {milliseconds:g} ms an image (modelled): {plain + network:.0f} s "
            f"and {ours + network:.0f} s a candidate; loading and matching are "
            f"{plain / (plain + network):.0%} and {ours / (ours + network):.1%}"
        )


if __name__ == "__main__":
    main()
