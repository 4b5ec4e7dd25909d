"""Scoring on growing shares of the search split: what is computed, once, and where it stops."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from mmdet.registry import METRICS, MODELS
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.registry import init_default_scope

from detnas.config import load_config
from detnas.data.digits import DigitCounts, write_digits
from detnas.evaluation.evaluator import CandidateEvaluator
from detnas.evaluation.settings import EvaluatorSettings
from detnas.search.racing import DROPPED_AT, Race, RacingSettings, share_images, share_metric

CONFIG = Path(__file__).parents[2] / "miniature/retinanet/search.py"
COUNTS = DigitCounts(train_crops=10, val_crops=10, train_scenes=8, search_scenes=16, val_scenes=2)
PATHS = ((0, 1, 2, 3, 0, 1, 2, 3, 0, 1), (3, 3, 3, 3, 3, 3, 0, 0, 0, 0))
SHARES = (0.25, 0.5)
SCORE = "coco/bbox_mAP_50"
RACE = Race(RacingSettings(SHARES), SCORE, parents=2)
NOBODY = (-math.inf, -math.inf)


@METRICS.register_module()
class ImagesSeen(BaseMetric):
    """The number of images, and the mean of their largest scores; the truth is in the results."""

    default_prefix = "seen"

    def process(self, data_batch: Any, data_samples: Any) -> None:
        for sample in data_samples:
            self.results.append(float(sample["pred_instances"]["scores"].double().max()))

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        return {"images": len(results), "largest": sum(results) / len(results)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes, and an untrained supernet."""
    folder = tmp_path_factory.mktemp("racing")
    write_digits(folder / "data", counts=COUNTS)
    init_default_scope("mmdet")
    torch.manual_seed(0)
    model = MODELS.build(config(folder).model)
    model.init_weights()
    meta = {"detnas": model.backbone.identity()}
    torch.save({"state_dict": model.state_dict(), "meta": meta}, folder / "supernet.pth")
    return folder


def config(folder: Path, **options: Any) -> Config:
    options = {
        "data_root": str(folder / "data/detection"),
        "model.test_cfg.score_thr": 0.0,
        "pretrained": None,
        "val_dataloader.batch_size": 4,
        **options,
    }
    return load_config(CONFIG, options, folder / "search")


def evaluator(folder: Path, race: Race | None = RACE, **options: Any) -> CandidateEvaluator:
    settings = EvaluatorSettings(calibration_images=6, calibration_batch_size=3, threads=1)
    loaded = config(folder, **options)
    packing = loaded.val_dataloader.dataset.pipeline[-1]
    packing.meta_keys = (
        "img_id",
        "img_path",
        "ori_shape",
        "img_shape",
        "scale_factor",
        "instances",
    )
    return CandidateEvaluator(loaded, folder / "supernet.pth", settings, 0, race=race)


def counted(scorer: CandidateEvaluator, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The images of each batch that is scored from now on."""
    seen: list[int] = []
    step = scorer._model.val_step
    monkeypatch.setattr(
        scorer._model, "val_step", lambda data: (seen.append(len(data["inputs"])), step(data))[1]
    )
    return seen


def test_scores_of_shares_are_those_of_their_images_alone(folder: Path, tmp_path: Path) -> None:
    """A share is scored as a split that has its images, and no others, in its annotations."""
    metrics = evaluator(folder)(PATHS[0], NOBODY)
    file = folder / "data/detection/annotations/instances_search.json"
    whole = json.loads(file.read_text())
    for share, places in zip(SHARES, share_images(16, SHARES, 0), strict=True):
        images = [whole["images"][place] for place in places]
        ids = {image["id"] for image in images}
        part = tmp_path / f"{share}.json"
        truth = [each for each in whole["annotations"] if each["image_id"] in ids]
        part.write_text(json.dumps({**whole, "images": images, "annotations": truth}))
        options = {
            "val_dataloader.dataset.ann_file": str(part),
            "val_evaluator.ann_file": str(part),
        }
        alone = evaluator(folder, race=None, **options)(PATHS[0])
        assert alone[SCORE] > 0
        assert metrics[share_metric(SCORE, share)] == pytest.approx(alone[SCORE], rel=1e-6)


def test_the_whole_split_is_scored_as_without_a_race(folder: Path) -> None:
    plain, raced = evaluator(folder, race=None), evaluator(folder)
    for path in PATHS:
        expected = plain(path)
        assert expected[SCORE] > 0
        listed = raced(path)
        assert listed == pytest.approx(expected, rel=1e-6)
        metrics = raced(path, NOBODY)
        names = {share_metric(SCORE, share) for share in SHARES}
        assert {name: metrics[name] for name in listed} == listed
        assert metrics.keys() == listed.keys() | names


def test_a_candidate_is_dropped_at_the_first_share_below_its_cut_off(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = evaluator(folder)
    full = scorer(PATHS[0], NOBODY)
    first, second = (full[share_metric(SCORE, share)] for share in SHARES)
    above = 1e-9
    seen = counted(scorer, monkeypatch)
    assert scorer(PATHS[0], (first + above, -math.inf)) == {
        share_metric(SCORE, 0.25): first,
        DROPPED_AT: 0.25,
    }
    assert sum(seen) == 4
    seen.clear()
    assert scorer(PATHS[0], (first, second + above)) == {
        share_metric(SCORE, 0.25): first,
        share_metric(SCORE, 0.5): second,
        DROPPED_AT: 0.5,
    }
    assert sum(seen) == 8
    seen.clear()
    assert scorer(PATHS[0], (first, second)) == full
    assert sum(seen) == 16  # no image twice


def test_a_dropped_candidate_leaves_no_trace_on_the_next(folder: Path) -> None:
    scorer = evaluator(folder)
    full = scorer(PATHS[1], NOBODY)
    scorer(PATHS[0], (math.inf, -math.inf))
    assert scorer(PATHS[1], NOBODY) == full


def test_truth_that_comes_with_the_results_is_that_of_the_share(folder: Path) -> None:
    """Without an annotation file, CocoMetric makes its ground truth of the first results."""
    coco = {"type": "UnroundedCocoMetric", "metric": "bbox"}
    from_results = evaluator(folder, val_evaluator={"_delete_": True, **coco})
    from_file = evaluator(folder)
    for path in (PATHS[0], PATHS[1], PATHS[0]):
        expected = from_file(path, NOBODY)
        found = from_results(path, NOBODY)
        for name in (SCORE, *(share_metric(SCORE, share) for share in SHARES)):
            assert found[name] == pytest.approx(expected[name])
        assert expected[SCORE] > 0


def test_any_other_metric_races(folder: Path) -> None:
    options = {"val_evaluator": [{"type": "ImagesSeen"}]}
    race = Race(RacingSettings(SHARES), "seen/images", parents=2)
    metrics = evaluator(folder, race, **options)(PATHS[0], NOBODY)
    assert metrics[share_metric("seen/images", 0.25)] == 4
    assert metrics[share_metric("seen/images", 0.5)] == 8
    assert metrics["seen/images"] == 16


def test_a_metric_that_is_missing_on_a_share_drops_nobody(folder: Path) -> None:
    race = Race(RacingSettings(SHARES), "seen/none", parents=2)
    options = {"val_evaluator": [{"type": "ImagesSeen"}]}
    metrics = evaluator(folder, race, **options)(PATHS[0], (math.inf, math.inf))
    assert metrics["seen/images"] == 16
    assert DROPPED_AT not in metrics
