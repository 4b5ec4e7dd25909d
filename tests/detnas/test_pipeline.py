"""The whole pipeline in miniature through the command line, in both detectors; refusals; a kill."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.apis import init_detector
from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric

from detnas.cli import main
from detnas.config import load_config
from detnas.data.digits import DigitCounts, write_digits
from detnas.evaluation.evaluator import CandidateEvaluator
from detnas.evaluation.settings import EvaluatorSettings
from detnas.models import DetNASNet
from detnas.models.checkpoints import load_backbone_weights, read_checkpoint
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import RANDOM, SEARCH
from detnas.search.shown_images import read_shown
from search_space.architecture import Architecture

MINIATURE = Path(__file__).parents[1] / "miniature"
COUNTS = DigitCounts(train_crops=24, val_crops=10, train_scenes=8, search_scenes=4, val_scenes=4)

DIGITS = tuple("0123456789")


def test_run_writes_all_results(experiment: Path) -> None:
    summary = json.loads((experiment / "summary.json").read_text())
    keys = {"best_choices", "best_macs", "budget_macs", "search_score", "retrained_bbox_mAP"}
    assert keys | {"random_mean_score", "seconds"} <= summary.keys()
    assert summary["best_macs"] <= summary["budget_macs"] == 40e6
    best = Architecture.load(experiment / "best_architecture.json")
    assert list(best.choices) == summary["best_choices"]
    for name in ("architecture.png", "search.png", "costs.png", "detections.png", "report.html"):
        assert (experiment / name).stat().st_size > 1000, name
    shown = read_shown(experiment)
    assert shown is not None
    assert (shown.classes, len(shown.images)) == (DIGITS, 4)
    rows = SearchHistory.read(experiment / "search" / "history.db").rows
    assert [row.role for row in rows] == [SEARCH] * 4 + [RANDOM] * 2
    assert all(row.status == "done" for row in rows)
    assert len({row.choices for row in rows[:4]}) == 4


def test_running_again_does_nothing_and_another_config_is_refused(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (experiment / "retrain" / "final.pth").stat().st_mtime_ns
    arguments = ["run", str(MINIATURE / "retinanet"), "--work-dir", str(experiment), "--quiet"]
    assert main(arguments) == 0
    assert (experiment / "retrain" / "final.pth").stat().st_mtime_ns == before
    printed = capsys.readouterr()
    assert printed.err.count("finished before") == 5
    summary = json.loads((experiment / "summary.json").read_text())
    metrics = summary["test_metrics"]
    assert f"test split, coco/bbox_mAP    {metrics['coco/bbox_mAP']:.4f}" in printed.out
    assert {f"coco/{digit}_precision" for digit in DIGITS} >= {
        name for name in metrics if name.endswith("_precision")
    }
    assert f"{summary['best_macs']:,} of a budget of 40,000,000, for 224x224" in printed.out
    assert f"{summary['detector_macs']:,} for 160x160" in printed.out
    assert f"of {summary['random_evaluations']} (scores of the supernet, too)" in printed.out
    assert f"report  {experiment / 'report.html'}" in re.sub(" +", "  ", printed.out)
    options = ["num_workers=1", "checkpoint_interval=9", f"data_root={experiment}/./data/detection"]
    assert main([*arguments, "--cfg-options", *options]) == 0  # nothing that changes results
    assert capsys.readouterr().err.count("finished before") == 5
    assert main([*arguments, "--cfg-options", "max_iters=5"]) == 2
    message = capsys.readouterr().err
    assert "begun with other values, max_iters: 4 -> 5; " in message
    assert "give the earlier ones to go on" in message
    state = json.loads((experiment / "pretrain" / "stage.json").read_text())
    old = {key: value for key, value in state.items() if key != "config"}  # of version 0.1.0
    (experiment / "pretrain" / "stage.json").write_text(json.dumps(old))
    assert main(arguments) == 0
    assert main([*arguments, "--cfg-options", "max_iters=5"]) == 2
    assert "beside it as pretrain.py: go on with that one" in capsys.readouterr().err
    (experiment / "pretrain" / "stage.json").write_text(json.dumps(state))


def test_the_time_of_a_stage_includes_interrupted_attempts(
    experiment: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(experiment, copy)
    file = copy / "retrain" / "stage.json"
    state = json.loads(file.read_text())
    last = max(path.stat().st_mtime for path in file.parent.rglob("*"))
    file.write_text(json.dumps(state | {"seconds": None, "spent": 1000.0, "began": last - 500}))
    os.utime(file, (last, last))
    command = ["run", str(MINIATURE / "retinanet"), "--work-dir", str(copy), "--quiet"]
    assert main([*command, "--stages", "retrain"]) == 0
    assert 1499 < json.loads(file.read_text())["seconds"] < 1600


def test_run_allows_the_changes_that_a_search_allows(experiment: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(experiment, copy)
    command = ["run", str(MINIATURE / "retinanet"), "--work-dir", str(copy), "--quiet"]
    command += ["--stages", "search", "--cfg-options", "search.executor.attempts=3"]
    before = SearchHistory.read(copy / "search/history.db").rows
    assert main(command) == 0
    assert SearchHistory.read(copy / "search/history.db").rows == before
    assert main([*command, "search.strategy.generations=3", "--check"]) == 0
    assert main([*command, "search.strategy.generations=3"]) == 0
    assert main([*command, "search.strategy.generations=2", "--check"]) == 2
    grown = [
        row for row in SearchHistory.read(copy / "search/history.db").rows if row.role == SEARCH
    ]
    assert len(grown) == 6
    assert main([*command, "search.strategy.mutations=0"]) == 2


def test_history_is_listed(experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", str(experiment / "search"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["status"] for row in rows] == ["done"] * 6
    assert main(["history", str(experiment / "search")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 8
    assert main(["history", str(experiment / "pretrain")]) == 2
    assert "no such history" in capsys.readouterr().err


def test_exported_weights_load_into_the_network(experiment: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    output = tmp_path / "best.json"
    command = ["export", str(experiment / "search"), "-o", str(output), "--weights", str(weights)]
    assert main(command) == 0
    architecture = Architecture.load(output)
    net = DetNASNet(architecture)
    load_backbone_weights(net, weights)
    supernet = read_checkpoint(experiment / "finetune" / "final.pth")["state_dict"]
    for block, choice in enumerate(architecture.choices):
        key = f"blocks.{block}.{choice}.main.0.weight"
        own = net.state_dict()[f"blocks.{block}.main.0.weight"]
        assert torch.equal(own, supernet[f"backbone.{key}"])
    assert read_checkpoint(weights)["meta"]["dataset_meta"]["classes"] == DIGITS


@pytest.mark.parametrize("supernet", ["", "5", "[", "open('ran', 'w')"])
def test_export_does_not_execute_the_config_of_a_search(
    supernet: str,
    experiment: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path(shutil.copytree(experiment / "search", tmp_path / "search"))
    value = supernet or repr(str(experiment / "finetune" / "final.pth"))
    (folder / "config.py").write_text(f"open('ran', 'w')\nsearch = dict(supernet={value})\n")
    status = main(["export", str(folder), "-o", "best.json", "--weights", "weights.pth"])
    assert not Path("ran").exists()
    assert status == (2 if supernet else 0)
    if supernet:
        assert "name it by --supernet" in capsys.readouterr().err
        assert not Path("weights.pth").exists()


def test_mmdet_reads_the_classes_of_the_final_weights(experiment: Path) -> None:
    stage = experiment / "retrain"
    model = init_detector(str(stage / "retrain.py"), str(stage / "final.pth"), device="cpu")
    assert model.dataset_meta["classes"] == DIGITS


def test_a_path_of_the_supernet_is_tested_by_name(
    experiment: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config, weights = MINIATURE / "retinanet/finetune.py", experiment / "finetune/final.pth"
    data = f"data_root={experiment}/data/detection"
    command = ["test", str(config), str(weights), "--work-dir", str(tmp_path / "t"), "--json"]
    command += ["--cfg-options", data]
    assert main(command) == 2
    assert "--architecture" in capsys.readouterr().err
    assert main([*command, "--architecture", "tiny:0,1,2,3,0,1,2,3,0,1"]) == 0
    assert "coco/bbox_mAP" in json.loads(capsys.readouterr().out)


@METRICS.register_module()
class DetectionFingerprint(BaseMetric):
    """Numbers that tell two sets of detections apart in the last digit."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        for sample in data_samples:
            found = sample["pred_instances"]
            self.results.append((found["scores"].double(), found["bboxes"].double()))

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        scores = sum(float(s.sum()) for s, _ in results)
        return {"scores": scores, "boxes": sum(float(b.sum()) for _, b in results)}


def test_scores_do_not_depend_on_the_order_of_evaluation(experiment: Path) -> None:
    options = {
        "val_evaluator": {"_delete_": True, "type": "DetectionFingerprint"},
        "model.test_cfg.score_thr": 0.0,
    }
    config = load_config(MINIATURE / "retinanet/search.py", options, experiment / "search")
    settings = EvaluatorSettings(calibration_images=6, calibration_batch_size=4, threads=2)
    paths = np.random.default_rng(0).integers(0, 4, (3, 10)).tolist()
    weights = experiment / "finetune" / "final.pth"

    def scores(order: list[int], evaluator: CandidateEvaluator) -> dict[int, dict[str, float]]:
        return {i: evaluator(paths[i]) for i in order}

    evaluator = CandidateEvaluator(config, weights, settings, seed=0)
    forwards = scores([0, 1, 2], evaluator)
    assert len({row["scores"] for row in forwards.values()}) == 3  # the metric tells them apart
    assert scores([2, 0, 1, 0], evaluator) == forwards
    assert scores([1], CandidateEvaluator(config, weights, settings, seed=0))[1] == forwards[1]
    other = CandidateEvaluator(config, weights, settings, seed=5)(paths[0])
    assert other != forwards[0]  # other calibration images give another score


def test_a_failed_evaluation_does_not_affect_the_next(experiment: Path) -> None:
    options = {
        "val_evaluator": {"_delete_": True, "type": "DetectionFingerprint"},
        "model.test_cfg.score_thr": 0.0,
    }
    config = load_config(MINIATURE / "retinanet/search.py", options, experiment / "search")
    settings = EvaluatorSettings(calibration_images=6, calibration_batch_size=4, threads=2)
    weights = experiment / "finetune" / "final.pth"
    path = (0, 1, 2, 3, 0, 1, 2, 3, 0, 1)
    evaluator = CandidateEvaluator(config, weights, settings, seed=0)
    expected = evaluator(path)
    metric = evaluator._metrics.metrics[0]
    compute = metric.compute_metrics
    metric.compute_metrics = lambda results: 1 / 0
    with pytest.raises(ZeroDivisionError):
        evaluator((3,) * 10)
    metric.compute_metrics = compute
    assert evaluator(path) == expected


def test_run_refuses_a_later_stage_before_the_first(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", str(MINIATURE / "retinanet"), "--work-dir", str(tmp_path / "new")]
    command += ["--cfg-options", f"data_root={experiment}/data/detection"]
    command += [f"pretrain_root={experiment}/data/classification"]
    assert main([*command, "search.strategy.population=1"]) == 2
    _assert_one_line(capsys.readouterr().err, "population|parents")
    assert not (tmp_path / "new").exists()


def test_export_of_another_path_or_supernet_is_checked(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", str(experiment / "search")]
    assert main([*command, "--architecture", "tiny:" + ",".join("0" * 10)]) == 2
    _assert_one_line(capsys.readouterr().err, "needs -o")
    output = tmp_path / "x.json"
    small = ["--architecture", "detnasnet-300m-coco-fpn", "-o", str(output)]
    assert main([*command, *small]) == 2
    _assert_one_line(capsys.readouterr().err, "space 'small'")
    other = _other_checkpoint(tmp_path, space="tiny")
    weights = ["-o", str(output), "--weights", str(tmp_path / "w.pth"), "--supernet", str(other)]
    assert main([*command, *weights]) == 2
    _assert_one_line(capsys.readouterr().err, "not the supernet")
    assert not output.exists()


def _copy_search(experiment: Path, folder: Path) -> list[str]:
    """Arguments of another search in `folder` on the experiment's supernet."""
    return [
        "search",
        str(MINIATURE / "retinanet/search.py"),
        "--work-dir",
        str(folder),
        "--cfg-options",
        f"data_root={experiment}/data/detection",
        f"search.supernet={experiment}/finetune/final.pth",
    ]


def _trajectory(rows: list[Any]) -> list[tuple[Any, ...]]:
    return [(r.role, r.generation, r.position, r.choices, r.score, r.status) for r in rows]


def test_faster_rcnn_runs_all_stages(tmp_path: Path) -> None:
    write_digits(tmp_path / "data", counts=COUNTS)
    folder = MINIATURE / "faster_rcnn"
    assert main(["run", str(folder), "--work-dir", str(tmp_path), "--quiet"]) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["evaluations"] == 2
    assert 0 <= summary["retrained_bbox_mAP"] <= 1


def _without_images(experiment: Path, tmp_path: Path, change: Any) -> str:
    """An annotation file changed by `change`, as a path."""
    source = experiment / "data/detection/annotations/instances_train.json"
    content = json.loads(source.read_text())
    change(content)
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(content))
    return str(path)


def _other_checkpoint(tmp_path: Path, **arguments: Any) -> Path:
    from detnas.models import DetNASSupernet

    supernet = DetNASSupernet(**arguments)
    state_dict = {f"backbone.{k}": v for k, v in supernet.state_dict().items()}
    path = tmp_path / "other.pth"
    torch.save({"state_dict": state_dict, "meta": {"detnas": supernet.identity()}}, path)
    return path


REFUSALS: dict[str, tuple[str, str]] = {
    # what: (option of `search`, what the line must say)
    "missing annotations": ("train_dataloader.dataset.ann_file=none.json", "none.json"),
    "empty annotations": ("train_dataloader.dataset.ann_file={empty}", "empty.json"),
    "absent image": ("train_dataloader.dataset.ann_file={absent}", "nowhere.jpg"),
    "overlapping splits": (
        "val_dataloader.dataset.ann_file=annotations/instances_train.json",
        "train.*search",
    ),
    "other classes": ("train_dataloader.dataset.metainfo.classes=('cat','dog')", "cat"),
    "other number of classes": ("model.bbox_head.num_classes=7", "num_classes is 7"),
    "infeasible budget": ("search.budgets=[{'cost':'macs','upper':1e6}]", "32,357,248"),
    "unknown key": ("search.generations=3", "'generations' under search"),
    "unknown key of a strategy": ("search.strategy.genrations=3", "did you mean 'generations'"),
    "absent checkpoint": ("search.supernet=none.pth", "none.pth does not exist"),
    "checkpoint of another space": ("search.supernet={space}", "space 'small'"),
    "checkpoint of another shuffle": ("search.supernet={shuffle}", "shuffle 'interleave'"),
    "damaged checkpoint": ("search.supernet={damaged}", "damaged"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_refusals_of_search(
    what: str, experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    option, expected = REFUSALS[what]
    if "{empty}" in option:
        (tmp_path / "empty.json").write_text("")
        option = option.format(empty=tmp_path / "empty.json")
    elif "{absent}" in option:

        def rename(content: dict[str, Any]) -> None:
            content["images"][0]["file_name"] = "nowhere.jpg"

        option = option.format(absent=_without_images(experiment, tmp_path, rename))
    elif "{space}" in option:
        option = option.format(space=_other_checkpoint(tmp_path, space="small"))
    elif "{shuffle}" in option:
        other = _other_checkpoint(tmp_path, space="tiny", channel_shuffle="interleave")
        option = option.format(shuffle=other)
    elif "{damaged}" in option:
        (tmp_path / "damaged.pth").write_bytes(b"PK\x03\x04 nothing")
        option = option.format(damaged=tmp_path / "damaged.pth")
    work_dir = tmp_path / "work"
    assert main([*_copy_search(experiment, work_dir), option]) == 2
    _assert_one_line(capsys.readouterr().err, expected)
    assert not work_dir.exists()


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("model.backbone.architecture=tiny:0,1,2", "3 choices"),
        ("model.backbone.architecture=detnasnet-300m-coco-fpn", "space 'small'.*'tiny'"),
        ("load_from=none.pth", "none.pth does not exist"),
        ("train_dataloader.dataset.ann_file=none.json", "none.json"),
        ("model.backbone.architectre=x", "unknown key 'architectre'"),
    ],
)
def test_refusals_of_training(
    option: str,
    expected: str,
    experiment: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    work_dir = tmp_path / "work"
    command = ["train", str(MINIATURE / "retinanet/retrain.py"), "--work-dir", str(work_dir)]
    options = [
        f"data_root={experiment}/data/detection",
        f"load_from={experiment}/finetune/final.pth",
        f"model.backbone.architecture={experiment}/search/best_architecture.json",
        option,
    ]
    assert main([*command, "--cfg-options", *options]) == 2
    _assert_one_line(capsys.readouterr().err, expected)
    assert not work_dir.exists()


def test_training_a_search_is_refused_and_a_wrong_score_writes_no_history(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = _copy_search(experiment, tmp_path / "work")
    assert main(["train", *arguments[1:]]) == 2
    _assert_one_line(capsys.readouterr().err, "the config of a search")
    assert not (tmp_path / "work").exists()
    assert main([*arguments, "search.score=coco/foo"]) == 2
    _assert_one_line(capsys.readouterr().err, "'coco/foo' is not among")
    assert not list((tmp_path / "work").glob("history*"))


def test_a_missing_config_is_a_user_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "configs/none.py"]) == 2
    _assert_one_line(capsys.readouterr().err, r"configs/none\.py does not exist")


def _assert_one_line(printed: str, expected: str) -> None:
    import re

    lines = [line for line in printed.splitlines() if line.startswith("detnas ")]
    assert len(lines) == 1, printed
    assert re.search(expected, lines[0]), printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", '{"seconds": "x"}'])
def test_a_damaged_state_of_a_stage_is_refused(
    content: str, experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(experiment, copy)
    (copy / "finetune" / "stage.json").write_text(content)
    command = ["run", str(MINIATURE / "retinanet"), "--work-dir", str(copy), "--check"]
    assert main(command) == 2
    _assert_one_line(capsys.readouterr().err, "stage.json is damaged .*: remove .*finetune")


@pytest.mark.parametrize(
    ("option", "expected"),
    [("search=5", "search must be a dict, not 5"), ("randomness.seed=-1", "seed is -1; set it")],
)
def test_wrong_sections_are_refused(
    option: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(MINIATURE / "retinanet" / "search.py")
    assert main(["search", config, "--work-dir", "none", "--cfg-options", option]) == 2
    _assert_one_line(capsys.readouterr().err, expected)


def test_an_experiment_takes_a_space_from_the_command_line(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = "space={'name':'mine','stem':16,'stages':[[32,1],[64,1],[128,1],[256,1]],"
    space += "'choices':['shufflenet_3x3','xception_3x3']}"
    command = ["run", str(MINIATURE / "retinanet"), "--work-dir", str(tmp_path), "--check"]
    command += ["--cfg-options", space, "search.budgets=[]"]
    command += [f"data_root={experiment}/data/detection"]
    command += [f"pretrain_root={experiment}/data/classification"]
    assert main(command) == 0
    assert capsys.readouterr().out.count("about ") == 5 + 1  # each stage, and all of them
    assert main([*command[:-3], space.replace("xception_3x3", "xcepton")]) == 2
    _assert_one_line(capsys.readouterr().err, "xcepton")


def test_a_check_lists_the_mistakes_of_all_stages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", str(MINIATURE / "retinanet"), "--work-dir", str(tmp_path), "--check"]
    options = ["pretrain_root=no/such", "data_root=none/either"]
    assert main([*command, "--cfg-options", *options]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("detnas run: error: ") for line in lines)
    assert len(lines) == len(set(lines)) >= 2
    assert any("data folder no does not exist" in line for line in lines)
    assert any("data folder none does not exist" in line for line in lines)
