"""`export --format`, `test model.onnx` and `benchmark-latency`, on a finished experiment."""

import json
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from detnas.cli import main

TINY = "tiny:0,0,0,0,0,0,0,0,0,0"
STOCK = """
import sys
from mmengine.config import Config
from mmengine.runner import Runner
from mmdet.apis import init_detector
folder = sys.argv[1]
assert not any(name.startswith("detnas") for name in sys.modules)
init_detector(f"{folder}/model.py", f"{folder}/model.pth", device="cpu")
config = Config.fromfile(f"{folder}/model.py")
config.merge_from_dict({"load_from": f"{folder}/model.pth", "work_dir": sys.argv[2]})
print("mAP", Runner.from_cfg(config).test()["coco/bbox_mAP"])
"""


@pytest.fixture(scope="module")
def retrained(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The retrained network, with a threshold so low that a network that knows nothing finds."""
    folder = tmp_path_factory.mktemp("retrained")
    shutil.copy(experiment / "retrain" / "final.pth", folder)
    config = (experiment / "retrain" / "retrain.py").read_text()
    (folder / "retrain.py").write_text(config + "\nmodel['test_cfg']['score_thr'] = 0.001\n")
    return folder


@pytest.fixture(scope="module")
def onnx_folder(retrained: Path) -> Path:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    assert main(["export", str(retrained / "final.pth"), "--format", "onnx"]) == 0
    return retrained / "onnx"


def test_the_files_say_how_they_are_used_and_score_as_the_checkpoint(
    onnx_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from detnas.export.onnx_file import open_session, read_metadata

    stated = read_metadata(open_session(onnx_folder / "model.onnx"))
    assert len(json.loads(stated["classes"])) == 10
    assert (stated["colours"], stated["precision"]) == ("RGB", "fp32")
    written = (onnx_folder / "model.onnx").read_bytes()
    assert str(Path(__file__).parents[2]).encode() not in written  # no names of source files
    capsys.readouterr()
    assert main(["test", str(onnx_folder / "model.onnx"), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert list(scores) == ["torch", "fp32", "fp16"]
    assert json.loads((onnx_folder / "onnx_metrics.json").read_text()) == scores
    for key, value in scores["torch"].items():
        assert scores["fp32"][key] == pytest.approx(value, abs=2e-3)
        assert scores["fp16"][key] == pytest.approx(value, abs=0.02)
    moved = onnx_folder / "model.onnx"
    assert main(["test", str(moved), "--cfg-options", "model.test_cfg.score_thr=0.9"]) == 2
    assert "--cfg-options model.test_cfg.score_thr" in capsys.readouterr().err
    assert main(["test", str(onnx_folder / "backbone.onnx")]) == 2
    assert "of a backbone, which finds no boxes" in capsys.readouterr().err


def _with_metadata(file: Path, **values: str) -> None:
    """Change what an ONNX file says of itself."""
    import onnx

    proto = onnx.load(file)
    stated = {each.key: each.value for each in proto.metadata_props}
    onnx.helper.set_model_props(proto, stated | values)
    file.write_bytes(proto.SerializeToString())


@pytest.mark.parametrize(
    ("changed", "values", "message"),
    [
        ("model_fp16.onnx", {"checkpoint_sha256": "0" * 64}, "exported from another checkpoint"),
        ("model.onnx", {"checkpoint_sha256": "0" * 64}, "exported from another checkpoint"),
        ("model_fp16.onnx", {"precision": "fp32"}, "model_fp16.onnx is in fp32, not fp16"),
        ("model_fp16.onnx", {"classes": '["cat"]'}, "has the classes cat, and"),
        ("model_fp16.onnx", {"classes": "cat"}, "metadata of"),
        ("model_fp16.onnx", {"part": "backbone"}, "is of a backbone"),
    ],
)
def test_each_file_must_be_of_the_checkpoint_beside_it(
    onnx_folder: Path,
    tmp_path: Path,
    changed: str,
    values: dict[str, str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "onnx"
    shutil.copytree(onnx_folder, folder, ignore=shutil.ignore_patterns("*_metrics.json"))
    _with_metadata(folder / changed, **values)
    assert main(["test", str(folder / "model.onnx")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (folder / "onnx_metrics.json").exists()


def test_predict_takes_onnx_files_and_work_directories(
    onnx_folder: Path, experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = experiment / "data" / "detection" / "images" / "val"
    found = []
    for number, what in enumerate((onnx_folder / "model.onnx", onnx_folder)):
        output = tmp_path / str(number)
        command = ["predict", str(what), str(images), "-o", str(output)]
        assert main([*command, "--score-threshold", "0.001"]) == 0
        found.append(json.loads((output / "predictions.json").read_text()))
    counts = [sum(len(image["detections"]) for image in each["images"]) for each in found]
    assert counts[0] == pytest.approx(counts[1], rel=0.02)
    assert min(counts) > 10
    for image, other in zip(found[0]["images"], found[1]["images"], strict=True):
        best = [each["detections"][0]["score"] for each in (image, other)]
        assert best[0] == pytest.approx(best[1], abs=1e-4)
    assert main(["predict", str(experiment), str(images), "-o", str(tmp_path / "whole")]) == 0
    content = json.loads((tmp_path / "whole" / "predictions.json").read_text())
    assert content["checkpoint"] == str(experiment / "retrain" / "final.pth")
    capsys.readouterr()
    for what, options, message in (
        (experiment / "search", [], "has no trained network"),
        (tmp_path, [], "has no trained network"),
        (onnx_folder / "backbone.onnx", [], "of a backbone"),
        (onnx_folder / "model.onnx", ["--device", "abacus"], "unknown device 'abacus'"),
    ):
        refused = ["predict", str(what), str(images), "-o", str(tmp_path / "refused"), *options]
        assert main(refused) == 2
        assert message in capsys.readouterr().err
    assert main(["test", str(experiment)]) == 2
    expected = f"`detnas test {experiment}/retrain/retrain.py {experiment}/retrain/final.pth`"
    assert expected in capsys.readouterr().err


def _real_image(tmp_path: Path) -> Path:
    """A photograph of blood cells whose sides are no multiples of 32."""
    archive = Path(__file__).parents[3] / "shared" / "data" / "bccd.tar"
    if not archive.is_file():
        pytest.skip("needs shared/data/bccd.tar")
    with tarfile.open(archive) as tar:
        member = next(m for m in tar if m.name.endswith(".jpg"))
        content = tar.extractfile(member)
        assert content is not None
        (tmp_path / "cells.jpg").write_bytes(content.read())
    return tmp_path / "cells.jpg"


def test_the_program_in_the_docs_finds_what_predict_finds(
    onnx_folder: Path, tmp_path: Path
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    program = tmp_path / "detect.py"
    program.write_text(code)
    image = _real_image(tmp_path)
    command = [sys.executable, str(program), str(onnx_folder / "model.onnx"), str(image)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    output = tmp_path / "out"
    predicted = ["predict", str(onnx_folder), str(image), "-o", str(output)]
    assert main([*predicted, "--score-threshold", "0"]) == 0
    content = json.loads((output / "predictions.json").read_text())
    expected = content["images"][0]["detections"]
    assert len(lines) == len(expected) > 10
    printed = np.array([[float(v) for v in line[1:]] for line in lines])
    wanted = np.array([[each["score"], *each["bbox"]] for each in expected])
    wanted[:, 3:] += wanted[:, 1:3]
    found = 0
    for row, each in zip(wanted, expected, strict=True):  # equal scores may come in another order
        same = printed[[line[0] == each["category"] for line in lines]]
        near = np.abs(same - row) <= (2e-4, 0.2, 0.2, 0.2, 0.2)
        found += near.all(1).any()
    assert found >= 0.95 * len(expected)  # rounding decides which of nearly equal scores are last


def test_of_a_two_stage_detector_the_backbone_is_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    from detnas.config import load_config, save_config
    from detnas.evaluation.evaluator import build_random_model

    source = tmp_path / "two_stages"
    source.mkdir()
    path = Path(__file__).parents[1] / "miniature" / "faster_rcnn" / "retrain.py"
    config = load_config(path, {"architecture": TINY}, source)
    config.pop("load_from", None)
    save_config(config, source / "retrain.py")
    weights = build_random_model(config).state_dict()
    meta = {"dataset_meta": {"classes": [str(digit) for digit in range(10)]}}
    torch.save({"state_dict": weights, "meta": meta}, source / "final.pth")
    assert main(["export", str(source), "--format", "onnx"]) == 0
    printed = capsys.readouterr().out
    assert "no model.onnx: FasterRCNN is a two-stage detector, whose RoI heads" in printed
    assert "backbone.onnx in onnxruntime beside torch: feature maps differ by at most" in printed
    assert sorted(file.name for file in (source / "onnx").iterdir()) == [
        *("backbone.onnx", "backbone_fp16.onnx", "model.pth", "model.py")
    ]
    assert main(["test", str(source / "onnx" / "model.onnx")]) == 2
    assert "model.onnx does not exist" in capsys.readouterr().err


def test_a_file_that_computes_something_else_is_refused_in_a_line(
    retrained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    monkeypatch.setattr("detnas.stages.deploy.TOLERANCE", 1e-12)
    command = ["export", str(retrained), "--format", "onnx", "-o", str(tmp_path / "out")]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "backbone.onnx: onnxruntime computes something else than torch" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_mmdet_s_own_tools_test_the_torch_format(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "torch"
    assert main(["export", str(experiment), "--format", "torch", "-o", str(folder)]) == 0
    assert sorted(file.name for file in folder.iterdir()) == ["model.pth", "model.py"]
    data = experiment / "data" / "detection"
    text = (folder / "model.py").read_text()
    assert text.count(str(data)) == 1
    (folder / "model.py").write_text(text.replace(str(data), "/nowhere"))  # as on another machine
    monkeypatch.setenv("DETNAS_DATA_ROOT", str(data))
    command = [sys.executable, "-c", STOCK, str(folder), str(tmp_path / "work")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    recorded = json.loads((experiment / "test" / "test_metrics.json").read_text())
    found = float(done.stdout.split("mAP")[-1])
    assert found == pytest.approx(recorded["coco/bbox_mAP"], abs=1e-3)


def test_mistakes_are_refused_before_anything_is_written(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    model = tmp_path / "model.onnx"
    model.write_text("no ONNX")
    work_dir = str(experiment)
    configs = tmp_path / "configs"  # as `detnas init` writes it, with a model.py of the user's
    configs.mkdir()
    (configs / "model.py").write_text("model = None")
    refused = (
        (["export", str(tmp_path), "--format", "onnx", "-o", str(out)], "no trained network"),
        (["export", "nowhere", "--format", "torch", "-o", str(out)], "does not exist"),
        (["export", work_dir, "--format", "onnx", "-o", str(full)], "holds other files"),
        (["export", work_dir, "--format", "torch", "-o", str(configs)], "holds other files"),
        (["export", work_dir, "--format", "onnx", "--calibrated"], "leave --calibrated out"),
        (["test", str(tmp_path / "no.onnx")], "no.onnx does not exist"),
        (["test", str(model), "--precision", "fp32"], "cannot be read as an ONNX file"),
        (["test", str(model), "final.pth"], "takes no checkpoint"),
        (["test", "retrain.py"], "no checkpoint: add it"),
        (["benchmark-latency", work_dir, "--rounds", "0"], "--rounds is 0"),
        (["benchmark-latency", work_dir, "--batch-size", "1000000000"], "from 1 to 1,000,000"),
        (["benchmark-latency", work_dir, "--batch-size", "1000000"], "and this machine has"),
        (["benchmark-latency", work_dir, "--input-size", "9", "64"], "9 64 (height, width)"),
        (["benchmark-latency", str(tmp_path)], "no best_architecture.json"),
    )
    for command, message in refused:
        assert main(command) == 2, command
        assert message in capsys.readouterr().err
    assert not out.exists()


def test_latencies_are_compared(experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["benchmark-latency", str(experiment), "--beside", "3x3"]
    options = ["--engines", "torch", "--rounds", "3"]
    assert main([*command, *options, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["input_size"] == [160, 160]  # of the experiment
    timings = content["timings"]
    assert [timing["network"] for timing in timings] == ["found", "3x3"]
    assert all(0 < t["lower"] <= t["median"] <= t["upper"] for t in timings)
    assert main([*command, *options, "--input-size", "64", "96"]) == 0
    printed = capsys.readouterr().out
    assert "1.00x" in printed
    assert "at 64x96 (height x width, --input-size)" in printed
    assert main(["benchmark-latency", TINY, *options[:-1], "1", "--beside", "3x3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["input_size"] == [224, 224]


def test_a_network_of_timm_s_is_compared_in_both_engines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for package in ("timm", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    command = ["benchmark-latency", TINY, "--beside", "resnet18"]
    assert main([*command, "--input-size", "64", "64", "--rounds", "2", "--json"]) == 0
    timings = json.loads(capsys.readouterr().out)["timings"]
    assert [timing["engine"] for timing in timings] == ["torch", "onnxruntime"] * 2
    assert main([*command[:-1], "resnet1888", "--rounds", "2"]) == 2
    assert "neither an architecture" in capsys.readouterr().err
