"""`detnas config`: what a config resolves to, as a config file, and what differs between two."""

from pathlib import Path

import pytest
from mmengine.config import Config

from detnas.cli import main
from detnas.config import load_config
from detnas.config_listing import config_text, differences
from detnas.errors import UserError

CONFIGS = Path(__file__).parents[2] / "configs"
DEMO = CONFIGS / "demo"


@pytest.mark.parametrize("name", ["demo/search", "paper/scratch_small_voc_fpn/retrain"])
def test_mmengine_reads_what_is_printed(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = CONFIGS / f"{name}.py"
    options = ["--cfg-options", "max_iters=7", "--seed", "3", "--work-dir", "work/exp/stage"]
    assert main(["config", str(path), *options]) == 0
    printed = tmp_path / "printed.py"
    printed.write_text(capsys.readouterr().out)
    read = Config.fromfile(str(printed)).to_dict()
    assert read == load_config(path, {"max_iters": 7}, "work/exp/stage", 3).to_dict()
    assert read["train_cfg"]["max_iters"] == 7
    assert '"{' not in printed.read_text()


def test_values_of_every_type_are_read_back(tmp_path: Path) -> None:
    values = {
        "string": "a \"quoted\" 'word' \\ \n ü {not_a_reference}",
        "numbers": [1, 1.0, -2.5e-9, float("inf"), True, None],
        "empty": {"dict": {}, "list": [], "tuple": (), "single": (1,)},
        "keys": {"a-b": 1, 3: {"class": 2}, "plain": {"long": ["x" * 40] * 4}},
    }
    file = tmp_path / "config.py"
    file.write_text(config_text(values), encoding="utf-8")
    read = Config.fromfile(str(file)).to_dict()
    assert read == values
    assert [type(value) for value in read["numbers"]] == [type(v) for v in values["numbers"]]
    assert max(map(len, file.read_text(encoding="utf-8").splitlines())) <= 100


def test_a_value_that_no_file_holds_is_refused() -> None:
    with pytest.raises(UserError, match=r"cannot hold .* of type type"):
        config_text({"hook": {"type": Path}})


def test_difference_of_two_stages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", str(DEMO / "search.py"), "--diff", str(DEMO / "finetune.py")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert 'work_dir: "work_dirs/demo/finetune" -> "work_dirs/demo/search"' in lines
    assert 'val_cfg: (not set) -> dict(type="ValLoop")' in lines
    keys = {line.split(":")[0] for line in lines}
    assert keys == {"work_dir", "val_dataloader", "val_cfg", "val_evaluator", "search"}


def test_difference_that_options_make(capsys: pytest.CaptureFixture[str]) -> None:
    stage = str(DEMO / "finetune.py")
    options = ["--cfg-options", "max_iters=9", "model.bbox_head.stacked_convs=4"]
    assert main(["config", stage, "--diff", stage, *options]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "model.bbox_head.stacked_convs: 1 -> 4",
        "max_iters: 1200 -> 9",
        "train_cfg.max_iters: 1200 -> 9",
        "param_scheduler.1.end: 1200 -> 9",
    ]
    assert main(["config", stage, "--diff", stage]) == 0
    assert capsys.readouterr().out == ""


def test_differences_of_lists_and_types() -> None:
    before = {"a": [{}, {"b": 2}], "c": [1, 2], "d": 1, "e": (1,), "f": {"g": 0}}
    after = {"a": [{}, {"b": 3}], "c": [1, 3], "d": 1.0, "e": [1], "f": {}}
    assert differences(before, after) == [
        "a.1.b: 2 -> 3",
        "c: [1, 2] -> [1, 3]",
        "d: 1 -> 1.0",
        "e: (1,) -> [1]",
        "f.g: 0 -> (not set)",
    ]


def test_an_unknown_key_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    stage = str(DEMO / "finetune.py")
    assert main(["config", stage, "--cfg-options", "max_iter=9"]) == 2
    error = capsys.readouterr().err.strip()
    assert "no such key; did you mean 'max_iters'?" in error
    assert "\n" not in error
