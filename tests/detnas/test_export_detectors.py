"""Networks ready to use: their scores are those of the search to the last digit; other budgets."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from detnas.cli import main
from detnas.models.checkpoints import read_checkpoint
from detnas.search.history.reading import SearchHistory
from search_space.architecture import Architecture, choices_to_text, macs

MINIATURE = Path(__file__).parents[1] / "miniature"


def search(experiment: Path, parent: Path, *options: str) -> Path:
    """A search of the experiment's supernet in a folder of its own."""
    for name in ("data", "pretrain", "finetune"):
        (parent / name).symlink_to(experiment / name)
    command = ["search", str(MINIATURE / "retinanet" / "search.py")]
    # Every box counts: the supernet has learnt nothing, and scores of 0 would agree anyway.
    seen = "model.test_cfg.score_thr=0.0"
    folder = parent / "search"
    assert main([*command, "--work-dir", str(folder), "--cfg-options", seen, *options]) == 0
    return folder


@pytest.fixture(scope="module")
def searched(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = search(
        experiment,
        tmp_path_factory.mktemp("searched"),
        "search.strategy.generations=3",
        "search.strategy.population=4",
    )
    assert len(set(SearchHistory.read(folder).scores())) > 4
    return folder


def score_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> float:
    """The score that `detnas test` gives an exported network."""
    capsys.readouterr()
    assert main(["test", str(folder / "config.py"), str(folder / "model.pth"), "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)
    assert json.loads((folder / "test_metrics.json").read_text()) == metrics
    return float(metrics["coco/bbox_mAP"])


def test_the_score_is_that_of_the_search(
    searched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best = SearchHistory.read(searched).require_best()
    assert main(["export", str(searched), "--calibrated"]) == 0
    assert f"{best.score}, exactly as the search has recorded" in capsys.readouterr().out
    folder = tmp_path / "moved"
    shutil.move(searched / "calibrated", folder)
    assert score_of(folder, capsys) == best.score != 0.0
    architecture = Architecture.load(folder / "architecture.json")
    assert architecture.choices == best.choices
    stated = json.loads((folder / "architecture.json").read_text())
    assert stated["score"]["value"] == stated["provenance"]["exported_score"] == best.score
    meta = read_checkpoint(folder / "model.pth")["meta"]
    assert meta["detnas"]["kind"] == "subnet"
    assert len(meta["dataset_meta"]["classes"]) == 10


def test_every_candidate_can_be_named(
    searched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = SearchHistory.read(searched)
    command = ["export", str(searched), "--calibrated", "--architecture", "0.1"]
    assert main([*command, "-o", str(tmp_path / "random")]) == 0
    assert score_of(tmp_path / "random", capsys) == history.baseline[1].score
    unseen = next(
        Architecture(history.space, (a, b, *[0] * 8))
        for a in range(4)
        for b in range(4)
        if (a, b, *[0] * 8) not in {row.choices for row in history.rows}
    )
    command = ["export", str(searched), "--calibrated", "--architecture", unseen.key]
    assert main([*command, "-o", str(tmp_path / "unseen")]) == 0
    assert "the search has not scored it" in capsys.readouterr().out
    assert Architecture.load(tmp_path / "unseen" / "architecture.json").choices == unseen.choices


def test_precision_layout_batches_and_threads_are_those_of_the_search(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {
        "dtype": "bfloat16",
        "memory_format": "contiguous",
        "batch_shapes": "mixed",
        "threads": 1,
        "calibration_images": 6,
        "calibration_batch_size": 4,
    }
    folder = search(
        experiment,
        tmp_path,
        f"search.evaluator={settings}",
        "search.strategy.generations=1",
        "search.random_baseline=0",
    )
    assert main(["export", str(folder), "--calibrated", "-o", str(tmp_path / "out")]) == 0
    score = SearchHistory.read(folder).require_best().score
    assert score_of(tmp_path / "out", capsys) == score != 0.0


@pytest.mark.parametrize("kind", ["faster_rcnn", "efficientdet"])
def test_other_detectors(
    kind: str,
    experiment: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def checksum(_: object, results: list[Any]) -> dict[str, float]:
        # Some of these find nothing yet, so the sum of all numbers of their boxes is the score.
        arrays = [found[key] for _, found in results for key in ("bboxes", "scores")]
        return {"bbox_mAP": float(sum(array.sum(dtype=float) for array in arrays))}

    monkeypatch.setattr("detnas.evaluation.metrics.UnroundedCocoMetric.compute_metrics", checksum)
    for name in ("data", "pretrain"):
        (tmp_path / name).symlink_to(experiment / name)
    threshold = (
        "model.test_cfg.rcnn.score_thr" if kind == "faster_rcnn" else "model.test_cfg.score_thr"
    )
    command = ["run", str(MINIATURE / kind), "--work-dir", str(tmp_path), "--quiet"]
    options = [f"{threshold}=0.0", "search.strategy.generations=1", "search.random_baseline=0"]
    assert main([*command, "--stages", "finetune", "search", "--cfg-options", *options]) == 0
    assert main(["export", str(tmp_path), "--calibrated"]) == 0
    score = SearchHistory.read(tmp_path).require_best().score
    assert score_of(tmp_path / "search" / "calibrated", capsys) == score != 0.0


def test_other_digits_are_said(
    searched: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def score(*_: object, **__: object) -> dict[str, float]:
        return {"coco/bbox_mAP": 0.5}

    monkeypatch.setattr("detnas.stages.deployable.score_checkpoint", score)
    assert main(["export", str(searched), "--calibrated", "-o", str(tmp_path)]) == 0
    best = SearchHistory.read(searched).require_best()
    printed = capsys.readouterr().out
    assert f"0.5, but the search has recorded {best.score}: another machine" in printed


def test_the_front_is_exported_and_kept(
    searched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", str(searched), "--front", "--at-most", "2", "-o", str(tmp_path)]
    assert main(command) == 0
    printed = capsys.readouterr()
    assert "export  2/2" in printed.err
    document = json.loads((tmp_path / "front.json").read_text())
    networks = document["networks"]
    assert len(networks) == 2
    assert len((tmp_path / "front.csv").read_text().splitlines()) == 3
    assert [n["macs"] for n in networks] == sorted(n["macs"] for n in networks)
    on_front = {choices_to_text(r.choices) for r in SearchHistory.read(searched).front(["macs"])}
    for network in networks:
        assert network["exported_score"] == network["search_score"]
        assert network["on_front"] == (network["choices"] in on_front)
        architecture = Architecture.load(tmp_path / network["folder"] / "architecture.json")
        assert macs(architecture) == network["macs"]
        assert network["choices"] in printed.out

    weights = [tmp_path / network["folder"] / "model.pth" for network in networks]
    time = weights[0].stat().st_mtime_ns
    before = (tmp_path / "front.csv").read_bytes()
    weights[1].write_bytes(weights[1].read_bytes()[:-100])  # damaged: it is written again
    assert main(command) == 0
    again = capsys.readouterr()
    assert again.err.count("is complete, kept") == 1
    assert weights[0].stat().st_mtime_ns == time
    assert read_checkpoint(weights[1])["meta"]["detnas"]["kind"] == "subnet"
    assert (tmp_path / "front.csv").read_bytes() == before


def test_what_cannot_be_exported_is_refused_before_anything_is_written(
    searched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "config.py").write_text("a = 1\n")
    changed = tmp_path / "changed.pth"
    shutil.copy(searched.parent / "pretrain" / "final.pth", changed)
    refused = (
        (["--calibrated", "-o", str(foreign)], "is not of an exported network"),
        (["--calibrated", "-o", str(searched)], "is not of an exported network"),
        (["--calibrated", "-o", out, "--supernet", str(changed)], "its content differs"),
        (["--front", "-o", out, "--supernet", "no.pth"], "no.pth, the supernet of the search"),
        (["--front", "joules", "-o", out], "has no cost 'joules'"),
        (["--front", "--at-most", "0", "-o", out], "--at-most is 0"),
        (["--at-most", "3", "-o", out], "--at-most is for --front"),
        (["--front", "--architecture", "1.0", "-o", out], "leave one out"),
        (["--calibrated", "--weights", "a.pth", "-o", out], "--weights"),
        (["--calibrated", "--scale", "d3", "-o", out], "--scale"),
        (["--calibrated", "--architecture", "9.9", "-o", out], "no generation 9"),
    )
    for arguments, message in refused:
        assert main(["export", str(searched), *arguments]) == 2, arguments
        assert message in capsys.readouterr().err
        assert not Path(out).exists()
    assert sorted(path.name for path in foreign.iterdir()) == ["config.py"]


def test_another_budget_is_answered_and_searched(
    searched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = SearchHistory.read(searched)
    bound = sorted(row.costs["macs"] for row in history.candidates)[3]
    inside = [row for row in history.rows if row.costs["macs"] <= bound]
    best = max(inside, key=lambda row: (row.score or 0.0, -row.costs["macs"]))
    budget = ["--budget", f"macs=..{bound}"]
    output = tmp_path / "picked.json"
    assert main(["pick", str(searched), *budget, "-o", str(output)]) == 0
    printed = capsys.readouterr().out
    assert history.architecture(best).key in printed
    assert f"few candidates ({len({row.choices for row in inside})})" in printed
    assert json.loads(output.read_text())["score"]["value"] == best.score

    folder = tmp_path / "on"
    command = ["pick", str(searched), *budget, "--search-on", "3", "--work-dir", str(folder)]
    assert main([*command, "-o", str(output)]) == 0
    further = SearchHistory.read(folder)
    assert len(further.candidates) == 6
    earlier = {row.choices: row.score for row in history.rows}
    again = [row for row in further.candidates if row.choices in earlier]
    assert len(again) >= 3
    assert all(row.score == earlier[row.choices] for row in again)
    assert all(row.costs["macs"] <= bound for row in further.candidates)
    assert json.loads(output.read_text())["score"]["value"] == further.require_best().score
    rows = further.rows
    assert main(command) == 0
    assert SearchHistory.read(folder).rows == rows  # it is finished
    command[command.index("3")] = "4"
    assert main(command) == 0
    assert len(SearchHistory.read(folder).candidates) == 9


def test_what_cannot_be_picked_is_refused(
    searched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pick", str(searched), "--budget", "macs=..1"]) == 0
    assert "none of the 14 recorded candidates lies within macs <= 1;" in capsys.readouterr().out
    refused = (
        (["--budget", "macs=..1", "-o", str(tmp_path / "a.json")], "so there is none for"),
        (["--budget", "macs=..1", "--work-dir", "x"], "--work-dir is for --search-on"),
        (["--budget", "macs=..1", "--search-on", "0"], "--search-on is 0"),
        (["--budget", "macs=..1", "--search-on", "2"], "admits no architecture"),
        (["--budget", "macs=1..", "--search-on", "2", "--work-dir", str(searched)], "itself"),
        (["--budget", "joules=1.."], "has no cost 'joules'"),
    )
    for arguments, message in refused:
        assert main(["pick", str(searched), *arguments]) == 2, arguments
        assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert not list(searched.glob("search_*"))
