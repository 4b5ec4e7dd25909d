"""Damaged files and odd values: the page is written without them, and says which they are."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from report_folders import TINY, Page, build, build_all

from detnas.cli import main
from detnas.report.page import draw_search_pictures, write_report
from detnas.search.history.reading import SearchHistory
from search_space.architecture import Architecture
from search_space.spaces import get_space


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damaged") / "whole"
    build_all(folder)
    return folder


@pytest.fixture
def whole(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "experiment"))


def changed(file: Path, **values: Any) -> str:
    return json.dumps({**json.loads(file.read_text()), **values})


DAMAGES = {
    "no JSON": ("summary.json", "{", "summary.json: not a JSON file"),
    "no object": ("summary.json", "[]", "summary.json: must hold a JSON object"),
    "metrics as a list": ("summary.json", {"test_metrics": [1]}, "summary.json: test_metrics"),
    "metrics as a text": ("summary.json", {"test_metrics": "x"}, "summary.json: test_metrics"),
    "score as a list": ("summary.json", {"score": []}, "summary.json: score"),
    "seconds": ("summary.json", '{"seconds": NaN}', "summary.json"),
    "huge MACs": ("summary.json", {"detector_macs": 10**400}, "summary.json"),
    "deep": ("summary.json", {"a": json.loads("[" * 90 + "]" * 90)}, "nested more than 50 deep"),
    "time": ("test/stage.json", {"began": 1e20}, "test/stage.json is damaged"),
    "stage": ("test/stage.json", "{", "test/stage.json is damaged"),
    "finalists": ("finalists.json", "{", "finalists.json: not a JSON file"),
    "comparison": ("compare/comparison.json", {"networks": []}, "comparison.json"),
    "errors": ("test/errors.json", {"objects": [1]}, "errors.json: objects of 1 classes, of 3"),
    "confusion": ("test/errors.json", {"confusion": [[1]]}, "confusion must have 4 rows"),
    "classes": ("detections.json", {"classes": ["one"]}, "label 1 is none of the 1 classes"),
    "history": ("history.db", "no database", "history.db"),
    "best": (
        "best_architecture.json",
        json.dumps(Architecture(get_space("small"), (0,) * 20).to_dict()),
        "belongs to another search",
    ),
}


@pytest.mark.parametrize(("name", "content", "said"), DAMAGES.values(), ids=list(DAMAGES))
def test_the_page_is_written_without_a_damaged_file(
    name: str, content: Any, said: str, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = whole / name
    file.write_text(content if isinstance(content, str) else changed(file, **content))
    assert main(["report", str(whole)]) == 0
    words = Page(whole / "report.html").words
    assert "Left out, as a file cannot be used" in words
    assert said in words
    assert str(whole) not in words.partition("Result")[0], "paths are relative to the folder"
    printed = capsys.readouterr().err
    assert printed.count("left out: ") == 1
    assert said in printed


def test_several_damaged_files_are_all_named(whole: Path) -> None:
    for name in ("summary.json", "finalists.json"):
        (whole / name).write_text("{")
    words = Page(write_report(whole)).words
    assert "Left out, as files cannot be used" in words
    assert "summary.json: not a JSON" in words
    assert "finalists.json: not a JSON" in words


def test_metrics_of_the_test_replace_a_damaged_summary(whole: Path) -> None:
    (whole / "summary.json").write_text("[]")
    (whole / "test" / "test_metrics.json").write_text('{"coco/bbox_mAP": 0.41, "note": "x"}')
    assert "test split after retraining, coco/bbox_mAP 0.4100" in Page(write_report(whole)).words


def test_a_picture_that_is_cut_short_is_left_out(whole: Path) -> None:
    (whole / "detections.json").unlink()
    picture = whole / "detections.png"
    noise = np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8)
    Image.fromarray(noise).save(picture)
    assert "data:image" in write_report(whole).read_text().split("worst")[-1]
    picture.write_bytes(picture.read_bytes()[:500])
    assert "detections.png: not a readable picture" in Page(write_report(whole)).words


def test_a_damaged_copy_of_an_image_is_named(whole: Path) -> None:
    file = whole / "detections.json"
    images = json.loads(file.read_text())["images"]
    images[0]["jpeg"] = images[0]["jpeg"][:40]
    file.write_text(changed(file, images=images))
    assert (
        "the copy of shown.jpg in it is not a readable picture" in Page(write_report(whole)).words
    )


def test_a_history_alone_that_is_damaged_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "history.db").write_text("no database")
    with pytest.raises(ValueError, match=r"history\.db"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_huge_scores_are_listed_and_not_compared(tmp_path: Path) -> None:
    build(tmp_path, [[1e308, -1e308] * 6, [1e308] * 4])
    words = Page(write_report(tmp_path)).words
    assert "There are scores beyond" in words
    assert "1e+308" in words
    assert "Against random architectures" not in words
    Architecture(TINY, (0,) * 10).save(tmp_path / "best_architecture.json")
    draw_search_pictures(SearchHistory.read(tmp_path), tmp_path)
    assert (tmp_path / "architecture.png").is_file()
    assert not (tmp_path / "search.png").exists()


def test_losses_without_a_number_leave_gaps(whole: Path) -> None:
    run = next((whole / "pretrain").glob("*/vis_data/scalars.json"))
    huge = "1" + "0" * 400
    lines = [{"loss": 1.0, "step": 1}, {"loss": 1e308, "step": 2}, {"loss": 0.5, "step": 3}]
    text = "\n".join(map(json.dumps, lines))
    run.write_text(f'{text}\n{{"loss": {huge}, "step": 4}}\n{{"loss": 1, "step": {huge}}}')
    assert "Losses" in Page(write_report(whole)).words


def test_what_was_looked_for_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = tmp_path / "photos"
    assert main(["report", str(photos)]) == 2
    assert "photos: no such folder" in capsys.readouterr().err
    photos.mkdir()
    assert main(["report", str(photos)]) == 2
    said = capsys.readouterr().err
    assert "photos is no search and no experiment" in said
    assert "none of history.db, search/history.db, stage.json and */stage.json" in said
    build(photos / "mine", [[0.1]])
    assert main(["report", str(photos)]) == 2
    assert f"give one of {photos / 'mine'}" in capsys.readouterr().err


def test_a_moved_experiment_has_the_same_page(whole: Path, tmp_path: Path) -> None:
    before = Page(write_report(whole)).words.partition("Written")[0]
    moved = whole.rename(tmp_path / "elsewhere" if tmp_path != whole.parent else tmp_path / "moved")
    after = Page(write_report(moved)).words.partition("Written")[0]
    assert after.replace(moved.name, "experiment") == before
    assert not whole.exists()
