"""The candidate evaluator on images of several sizes, and without recalibration."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from mmdet.registry import METRICS, MODELS
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.registry import init_default_scope
from PIL import Image

from detnas.config import load_config
from detnas.data.digits import DigitCounts, write_digits
from detnas.evaluation.evaluator import CandidateEvaluator, build_model
from detnas.evaluation.settings import EvaluatorSettings

CONFIG = Path(__file__).parents[2] / "miniature/retinanet/search.py"
COUNTS = DigitCounts(train_crops=10, val_crops=10, train_scenes=8, search_scenes=6, val_scenes=2)
PATH = (0, 1, 2, 3, 0, 1, 2, 3, 0, 1)


@METRICS.register_module()
class ScoresOfImages(BaseMetric):
    """For each image the sum of the scores of its detections."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        for sample in data_samples:
            total = float(sample["pred_instances"]["scores"].double().sum())
            self.results.append((Path(sample["img_path"]).name, total))

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        return dict(results)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes cut to several shapes, and an untrained supernet whose statistics are not those."""
    folder = tmp_path_factory.mktemp("shapes")
    write_digits(folder / "data", counts=COUNTS)
    for number, path in enumerate(sorted((folder / "data/detection/images").rglob("*.*"))):
        with Image.open(path) as image:
            width, height = image.size
            cut = [(width, height), (width, height // 2), (width // 2, height)][number % 3]
            part = image.crop((0, 0, *cut))
        part.save(path)
    init_default_scope("mmdet")
    torch.manual_seed(0)
    model = MODELS.build(config(folder).model)
    model.init_weights()
    for norm in norms(model):
        norm.running_mean.normal_(std=0.1)
        norm.running_var.fill_(0.5)
    meta = {"detnas": model.backbone.identity()}
    torch.save({"state_dict": model.state_dict(), "meta": meta}, folder / "supernet.pth")
    return folder


def norms(model: torch.nn.Module) -> Iterator[torch.nn.BatchNorm2d]:
    return (m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))


def config(folder: Path, **options: Any) -> Config:
    options = {
        "data_root": str(folder / "data/detection"),
        "val_evaluator": {"_delete_": True, "type": "ScoresOfImages"},
        "model.test_cfg.score_thr": 0.0,
        "pretrained": None,
        **options,
    }
    return load_config(CONFIG, options, folder / "search")


def evaluator(folder: Path, batch_size: int = 3, **settings: Any) -> CandidateEvaluator:
    settings = {"calibration_images": 6, "calibration_batch_size": 3, "threads": 1, **settings}
    loaded = config(folder, **{"val_dataloader.batch_size": batch_size})
    return CandidateEvaluator(loaded, folder / "supernet.pth", EvaluatorSettings(**settings), 0)


def test_a_score_does_not_depend_on_who_else_is_in_the_batch(folder: Path) -> None:
    alone = evaluator(folder, batch_size=1)(PATH)
    assert len(alone) == 6
    assert evaluator(folder, batch_size=3)(PATH) == pytest.approx(alone, rel=1e-4)
    # In mixed batches, the same calibration and single images, then images beside larger ones.
    mixed = [evaluator(folder, size, batch_shapes="mixed")(PATH) for size in (1, 3)]
    assert mixed[1] != pytest.approx(mixed[0], rel=1e-4)
    assert mixed[0] != pytest.approx(alone, rel=1e-4)  # other statistics


def test_the_cache_changes_no_score(folder: Path) -> None:
    candidate = evaluator(folder)
    first = candidate(PATH)
    assert candidate(PATH) == first == evaluator(folder, cache_mb=0)(PATH)


@pytest.mark.parametrize("threads", [1, 2])
def test_opencv_has_the_threads_of_the_config(folder: Path, threads: int) -> None:
    options = {"env_cfg.mp_cfg.opencv_num_threads": threads}
    build_model(config(folder, **options), folder / "supernet.pth")
    assert cv2.getNumThreads() == threads


def test_without_calibration_images_the_supernets_statistics_are_used(folder: Path) -> None:
    before = torch.load(folder / "supernet.pth", weights_only=True)["state_dict"]
    candidate = evaluator(folder, calibration_images=0)
    assert (candidate.calibration_images, candidate.notes) == (0, [])
    own = candidate(PATH)
    for key, value in candidate._model.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert candidate((3,) * 10) != own
    assert candidate(PATH) == own != evaluator(folder)(PATH)
