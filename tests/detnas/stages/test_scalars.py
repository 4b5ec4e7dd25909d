"""What searches and tests give to the config's visualizer, read back from TensorBoard's files."""

from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from detnas.cli import main
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import RANDOM
from detnas.stages.identity import what_matters

MINIATURE = Path(__file__).parents[2] / "miniature" / "retinanet"
SHOWN = (
    "visualizer={'type': 'Visualizer', 'name': 'visualizer', 'vis_backends': "
    "[{'type': 'TensorboardVisBackend'}]}"
)


def _scalars(work_dir: Path) -> dict[str, dict[int, float]]:
    events = EventAccumulator(str(work_dir / "vis_data")).Reload()
    found: dict[str, dict[int, float]] = {}
    for tag in events.Tags()["scalars"]:
        steps = [event.step for event in events.Scalars(tag)]
        assert len(set(steps)) == len(steps), (tag, steps)
        found[tag] = {event.step: event.value for event in events.Scalars(tag)}
    return found


def _search(experiment: Path, work_dir: Path, *arguments: str) -> SearchHistory:
    supernet = f"search.supernet={experiment}/finetune/final.pth"
    data = f"data_root={experiment}/data/detection"
    command = ["search", str(MINIATURE / "search.py"), "--work-dir", str(work_dir), "--resume"]
    assert main([*command, "--cfg-options", supernet, data, *arguments]) == 0
    return SearchHistory.read(work_dir)


def test_a_search_shows_its_candidates_and_a_resumed_one_goes_on(
    experiment: Path, tmp_path: Path
) -> None:
    short = "search.strategy.generations=1"
    history = _search(experiment, tmp_path, SHOWN, short)
    history = _search(experiment, tmp_path, SHOWN)
    found = _scalars(tmp_path)
    candidates: list[Any] = [row for row in history.rows if row.role != RANDOM]
    assert [*found["search/score"]] == [1, 2, 5, 6]
    assert [*found["random/score"]] == [3, 4]
    scores = [row.score for row in candidates]
    assert [*found["search/score"].values()] == pytest.approx(scores)
    best = [max(scores[: number + 1]) for number in range(4)]
    assert [*found["search/best_score"].values()] == pytest.approx(best)
    assert [*found["search/macs"].values()] == [row.costs["macs"] for row in candidates]
    means = {2: sum(scores[:2]) / 2, 6: sum(scores[2:]) / 2}
    assert found["search/generation_mean"] == pytest.approx(means)
    assert history.fingerprint == SearchHistory.read(experiment / "search").fingerprint


def test_without_a_visualizer_a_search_and_a_test_write_no_curves(experiment: Path) -> None:
    assert not (experiment / "search" / "vis_data").exists()
    assert not (experiment / "test" / "vis_data").exists()


def test_the_metrics_of_a_test_are_shown(experiment: Path, tmp_path: Path) -> None:
    config, weights = experiment / "retrain" / "retrain.py", experiment / "retrain" / "final.pth"
    work_dir = ["--work-dir", str(tmp_path)]
    assert main(["test", str(config), str(weights), *work_dir, "--cfg-options", SHOWN]) == 0
    assert "test/coco/bbox_mAP" in _scalars(tmp_path)


def test_a_visualizer_is_no_part_of_what_a_stage_is_held_to() -> None:
    shown = {"visualizer": {"type": "Visualizer"}, "lr": 1.0}
    assert what_matters(shown, Path()) == what_matters({"lr": 1.0}, Path()) == {"lr": 1.0}
