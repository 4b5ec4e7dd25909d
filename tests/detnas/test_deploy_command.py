"""`export --format`, `test model.onnx` and `benchmark-latency`, on a finished experiment."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from detnas.cli import main

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
    assert main(["test", str(onnx_folder / "backbone.onnx")]) == 2
    assert "of a backbone, which finds no boxes" in capsys.readouterr().err


def test_mmdet_s_own_tools_test_the_torch_format(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "torch"
    assert main(["export", str(experiment), "--format", "torch", "-o", str(folder)]) == 0
    assert sorted(file.name for file in folder.iterdir()) == ["model.pth", "model.py"]
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
        (["benchmark-latency", str(tmp_path)], "no best_architecture.json"),
    )
    for command, message in refused:
        assert main(command) == 2, command
        assert message in capsys.readouterr().err
    assert not out.exists()


def test_latencies_are_compared(experiment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["benchmark-latency", str(experiment), "--beside", "shufflenetv2-20"]
    options = ["--engines", "torch", "--input-size", "64", "64", "--rounds", "3"]
    assert main([*command, *options, "--json"]) == 0
    timings = json.loads(capsys.readouterr().out)["timings"]
    assert [timing["network"] for timing in timings] == ["found", "shufflenetv2-20"]
    assert all(0 < t["lower"] <= t["median"] <= t["upper"] for t in timings)
    assert main([*command, *options]) == 0
    assert "1.00x" in capsys.readouterr().out


def test_a_network_of_timm_s_is_compared_in_both_engines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for package in ("timm", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    command = ["benchmark-latency", "tiny:0,0,0,0,0,0,0,0,0,0", "--beside", "resnet18"]
    assert main([*command, "--input-size", "64", "64", "--rounds", "2", "--json"]) == 0
    timings = json.loads(capsys.readouterr().out)["timings"]
    assert [timing["engine"] for timing in timings] == ["torch", "onnxruntime"] * 2
    assert main([*command[:-1], "resnet1888", "--rounds", "2"]) == 2
    assert "neither an architecture" in capsys.readouterr().err
