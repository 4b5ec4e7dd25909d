"""The parts of the page: errors, images, losses, stages, choices, and a page before the search."""

import json
import re
from pathlib import Path

import pytest
from report_folders import SETTINGS, Page, build, build_all, candidates

from detnas.locks import lock_writer
from detnas.report.error_types import confusions, types_sentence
from detnas.report.folder import read_folder
from detnas.report.losses import POINTS, draw_losses, read_curve, trainings
from detnas.report.page import write_report
from detnas.report.pattern import pattern, pattern_sentence
from detnas.report.stages import read_stage
from detnas.search.history.reading import SearchHistory
from detnas.search.history.writer import History


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts") / "whole"
    build_all(folder)
    write_report(folder)
    return folder


def test_the_result_and_the_comparison_lead(whole: Path) -> None:
    words = Page(whole / "report.html").words
    tested = words.index("test split after retraining, coco/bbox_mAP 0.3600")
    better = words.index("The found network scores better than another one")
    assert tested < better < words.index("Best architecture") < words.index("Course of the search")


def test_errors_are_told(whole: Path) -> None:
    words = Page(whole / "report.html").words
    assert "Average precision at IoU 0.5 is 0.500. Without missed errors it would be 0.010" in words
    assert "white <b> 0.300 0.300 8" in words
    assert "red 5 1 0 3 white <b> 0 8 0 0 platelet 2 0 1 4 no object 6 1 0" in words
    assert "worst <i>.jpg: 2 detections, 1 object, 2 missed, 2 wrong" in words
    assert "red 0.90" in words
    assert "The gain of a type is how much higher AP would be without its errors" in words
    found = read_folder(whole).errors
    assert found is not None
    assert confusions(found) == [("platelet", "red", 2), ("red", "white <b>", 1)]
    assert types_sentence(found).endswith("more than without any other type.")


def test_finalists_that_cannot_be_told_apart_are_counted(whole: Path) -> None:
    words = Page(whole / "report.html").words
    assert "0 of the 2 other finalists cannot be told apart from the best one" in words


def test_history_table_has_all_rows(whole: Path) -> None:
    html = (whole / "report.html").read_text(encoding="utf-8")
    table = html.split('id="history-table"')[1].split("</table>")[0]
    assert table.count("<tr ") - 1 == 40
    assert "All 40 evaluations." in Page(whole / "report.html").words


def test_stages_have_times_attempts_and_configs(whole: Path) -> None:
    words = Page(whole / "report.html").words
    assert "pretrain finished 1 min 0 s 20 s 2 2023-11-14 22:13 7" in words
    assert "randomness.seed 7 lr 0.1" in words
    state = {"seconds": None, "spent": 5.0, "began": 1.7e9}
    folder = whole.parent / "running"
    (folder / "pretrain").mkdir(parents=True)
    file = folder / "pretrain" / "stage.json"
    file.write_text(json.dumps(state))
    assert read_stage(file).state == "interrupted"
    with lock_writer(folder / "run.lock", folder, "run"):
        assert read_stage(file).state == "running"
    assert read_stage(file).state == "interrupted"
    (folder / "run.lock").write_text("process 1 on another-machine since today")
    assert read_stage(file).state == "not finished"
    assert "No network has been retrained" in Page(write_report(folder)).words
    file.write_text("{")
    with pytest.raises(ValueError, match=r"pretrain/stage\.json is damaged"):
        write_report(folder)


def test_losses_that_were_trained_again_replace_the_first(whole: Path, tmp_path: Path) -> None:
    (training,) = trainings(whole)
    curve = read_curve(training, whole)
    assert curve is not None
    assert (curve.name, curve.steps, curve.began_again) == ("pretrain", (10, 20, 30, 40), (30,))
    assert curve.losses["loss"] == (3.0, 1.5, 1.0, 0.75)
    run = tmp_path / "retrain" / "20260101_000000" / "vis_data"
    run.mkdir(parents=True)
    lines = [json.dumps({"loss": 1.0, "step": step}) for step in range(1, 5 * POINTS)]
    other = ['{"val": 1, "step": 9}', "[]", '{"loss": "x", "step": 3}', '{"loss": 0.5, "st']
    (run / "scalars.json").write_text("\n".join([*lines, *other]))
    (training,) = trainings(tmp_path)
    long = read_curve(training, tmp_path)
    assert long is not None
    assert len(long.steps) == 5 * POINTS - 1
    draw_losses([curve, long], tmp_path / "losses.svg")
    assert "retrain" in (tmp_path / "losses.svg").read_text()
    for damage in ("[" * 100_000, "no log\n", '{"a": 1}'[:4] + "\n"):
        (run / "scalars.json").write_text(damage)
        with pytest.raises(ValueError, match="no line of this log can be read"):
            read_curve(training, tmp_path)
    (run / "scalars.json").write_text('{"loss": 0.5, "st')  # its first line is being written
    assert read_curve(training, tmp_path) is None


def test_pattern_is_of_the_best_tenth(tmp_path: Path) -> None:
    last = [(first, second) for first in range(2) for second in range(4)]
    rows = [
        ((choice,) * 8 + end, costs)
        for choice in (0, 3)
        for end in last[:5]
        for _, costs in candidates(1, 0)
    ]
    with History.create(tmp_path / "history.db", SETTINGS) as history:
        history.record_generation(0, rows)
        for place, row in enumerate(history.generation(0)):
            history.record_done(row.id, 0.5 + 0.1 * (place < 5), {})
    found = pattern(SearchHistory.read(tmp_path))
    assert found is not None
    assert (found.best, found.scored) == (5, 10)
    assert [each.shares["shufflenet_3x3"] for each in found.stages[:3]] == [1.0] * 3
    assert [each.before["shufflenet_3x3"] for each in found.stages[:3]] == [0.5] * 3
    assert re.search(r"5 best of 10 candidates, .* in stage 1 \(100 %\)", pattern_sentence(found))


def test_few_candidates_have_no_pattern(tmp_path: Path) -> None:
    build(tmp_path, [[0.1] * 7])
    assert pattern(SearchHistory.read(tmp_path)) is None
    assert "Which choice wins" not in Page(write_report(tmp_path)).words


def test_a_best_that_is_random_says_nothing_of_the_budget(tmp_path: Path) -> None:
    build(tmp_path, [[0.4, 0.1, 0.2], [0.3]])
    words = Page(write_report(tmp_path)).words
    assert "The search's best is one of the 3 random ones: it found nothing better" in words
    assert "with 95 % confidence" not in words
    assert "Not measured: the only random architectures are the search's own" in words
