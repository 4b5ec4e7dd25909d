"""Configs: references, overrides, work directory, seed."""

from argparse import Namespace
from pathlib import Path

import pytest
from mmengine.registry import MODELS

from detnas.cli import main
from detnas.commands.options import overrides
from detnas.config import load_config, unwrap_dataset
from detnas.errors import UserError


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    folder = tmp_path / "exp"
    folder.mkdir()
    path = folder / "stage.py"
    path.write_text(
        'root = "data/x"\n'
        'images = "{root}/images"\n'
        'a = dict(path="{images}/1.jpg", list=["{experiment}/b/final.pth"], other="{unknown}")\n'
    )
    return path


def test_references_follow_overrides(config_file: Path) -> None:
    config = load_config(config_file, {"root": "/elsewhere"}, "work/exp/stage")
    assert config.a.path == "/elsewhere/images/1.jpg"
    assert config.a.list == ["work/exp/b/final.pth"]
    assert config.a.other == "{unknown}"


def test_a_reference_alone_becomes_the_value_with_its_type(config_file: Path) -> None:
    config_file.write_text(
        'size = (4, 3)\nn = 5\npart = dict(scale="{size}")\n'
        'a = dict(n="{n}", text="{n}x", size="{size}", parts=["{part}"])\n'
    )
    config = load_config(config_file, {"n": 7})
    assert config.a.n == 7
    assert config.a.text == "7x"
    assert config.a.size == (4, 3)
    assert config.a.parts == [{"scale": (4, 3)}]


def test_options_reach_into_references(config_file: Path) -> None:
    config_file.write_text('part = dict(n=1, m=2)\na = "{part}"\n')
    config = load_config(config_file, {"a.n": 5})
    assert config.a == {"n": 5, "m": 2}
    assert config.part == {"n": 1, "m": 2}


CUSTOM_SPACE = {
    "name": "mine",
    "stem": 16,
    "stages": [[32, 2], [64, 1], [96, 1], [128, 1]],
    "choices": ["shufflenet_3x3", "xception_3x3"],
}


def test_channels_come_from_the_space(config_file: Path) -> None:
    config_file.write_text(
        'space = "tiny"\na = dict(all="{stage_channels}", first="{stage_channels[0]}")\n'
        'last = "{last_channels}"\n'
    )
    config = load_config(config_file)
    assert config.stage_channels == config.a.all == [32, 64, 128, 256]
    assert (config.a.first, config.last_channels, config.last) == (32, 256, 256)
    config = load_config(config_file, {"space": "small"})
    assert config.a.all == [64, 160, 320, 640]
    assert config.last == 1024
    config = load_config(config_file, {"stage_channels": [1, 2], "space": "small"})
    assert (config.a.all, config.last) == ([1, 2], 1024)


def test_channels_that_the_config_sets_are_kept(config_file: Path) -> None:
    config_file.write_text('space = "tiny"\nlast_channels = 7\nb = "{stage_channels[1:]}"\n')
    config = load_config(config_file)
    assert config.last_channels == 7
    assert config.b == [64, 128, 256]
    config_file.write_text("stage_channels = [256, 512]\n")
    config = load_config(config_file)
    assert config.stage_channels == [256, 512]
    assert "last_channels" not in config


def test_channels_of_a_custom_space(config_file: Path) -> None:
    config_file.write_text(
        f'mine = {CUSTOM_SPACE}\nspace = "{{mine}}"\na = "{{stage_channels}}"\n'
        'backbone = dict(type="DetNASSupernet", space="{space}", out_indices=(3,))\n'
    )
    config = load_config(config_file)
    assert config.backbone.space == CUSTOM_SPACE
    assert config.a == [32, 64, 96, 128]
    assert MODELS.build(config.backbone).space.num_blocks == 5
    assert load_config(config_file, {"mine.stages": [[64, 1]]}).a == [64]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("'smal'", "space: unknown space 'smal'; did you mean 'small'"),
        ({**CUSTOM_SPACE, "name": "tiny"}, "space: space 'tiny' is known with another geometry"),
    ],
)
def test_a_bad_space_is_refused(config_file: Path, space: object, message: str) -> None:
    config_file.write_text(f"space = {space}\n")
    with pytest.raises(UserError, match=message):
        load_config(config_file)


def test_an_option_that_does_not_fit_is_refused(config_file: Path) -> None:
    config_file.write_text("steps = [1, 2]\n")
    with pytest.raises(UserError, match="cannot be read"):
        load_config(config_file, {"steps.0": 5})


CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "mac_budget = 280e6",
            "sets 'mac_budget', which nothing reads; did you mean 'macs_budget'",
        ),
        ("imagescale = (640, 480)", "sets 'imagescale', .* did you mean 'image_scale'"),
        ("optim_wraper = dict()", "did you mean 'optim_wrapper'"),
        ("mac_budget = 280e6\nsearch = dict(budgets=[dict(cost='macs', upper=mac_budget)])", None),
        (
            "mac_budget = 280e6\nsearch = dict(budgets=[dict(cost='macs', upper='{mac_budget}')])",
            None,
        ),
        ("my_own_note = 3", None),
        ("macs_budget = 280e6", None),
    ],
)
def test_a_misspelt_key_is_refused(tmp_path: Path, line: str, message: str | None) -> None:
    """In the stage's own file and in a base; helper variables are allowed."""
    base = tmp_path / "base.py"
    base.write_text(f'_base_ = ["{CONFIGS}/bccd_retinanet/search.py"]\n{line}\n')
    (tmp_path / "search.py").write_text('_base_ = ["base.py"]\n')
    for file in (base, tmp_path / "search.py"):
        if message is None:
            load_config(file)
        else:
            with pytest.raises(UserError, match=message):
                load_config(file)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": 1}, "model is 1; it must be a dict"),
        ({"model.backbone": "supernet"}, "model.backbone is 'supernet'; it must be a dict"),
        ({"train_dataloader": [3]}, r"train_dataloader is \[3\]; it must be a dict"),
        ({"train_dataloader.dataset": 3}, "train_dataloader.dataset is 3; it must be a dict"),
        ({"train_cfg": []}, r"train_cfg is \[\]; it must be a dict"),
        ({"param_scheduler": 7}, "param_scheduler is 7; it must be a list of dicts"),
        ({"custom_hooks": ["a"]}, r"custom_hooks is \['a'\]; it must be a list of dicts"),
        ({"randomness": 5}, "randomness is 5; it must be a dict"),
    ],
)
def test_a_section_of_another_kind_is_refused(options: dict[str, object], message: str) -> None:
    config = Path(__file__).parents[1] / "miniature" / "retinanet" / "finetune.py"
    with pytest.raises(UserError, match=message):
        load_config(config, options)


def test_defaults_of_work_dir_and_seed(config_file: Path) -> None:
    config = load_config(config_file)
    assert config.work_dir == str(Path("work_dirs/exp/stage"))
    assert config.randomness.seed == 0
    assert load_config(config_file, seed=4).randomness.seed == 4


def test_a_reference_to_itself_is_refused(config_file: Path) -> None:
    config_file.write_text('a = "{b}"\nb = "{a}"\n')
    with pytest.raises(ValueError, match="refers to itself"):
        load_config(config_file)


def test_a_broken_config_is_told_in_one_line(
    config_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config_file.write_text("a = 1 / 0\n")
    assert main(["train", str(config_file)]) == 2
    printed = capsys.readouterr().err.strip()
    assert "ZeroDivisionError" in printed
    assert "\n" not in printed


def test_wrapped_datasets_are_found() -> None:
    plain = {"type": "CocoDataset", "ann_file": "a.json"}
    repeated = {"type": "RepeatDataset", "times": 2, "dataset": plain}
    assert unwrap_dataset({"type": "ConcatDataset", "datasets": [plain, repeated]}) == [plain] * 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 1e-3),
        ("a,b", ["a", "b"]),
        ("1,2", [1, 2]),
        ("(1,2)", (1, 2)),
        ("[{'a':1}]", [{"a": 1}]),
        ("None", None),
        ("true", True),
        ("data/x y.json", "data/x y.json"),
        ("tiny:0,1,2", "tiny:0,1,2"),
    ],
)
def test_values_of_cfg_options(text: str, value: object) -> None:
    assert overrides(Namespace(cfg_options=[f"a.b={text}"])) == {"a.b": value}


@pytest.mark.parametrize("item", ["a", "=3", "a=(1,2"])
def test_bad_cfg_options_are_refused(item: str) -> None:
    with pytest.raises(ValueError, match="--cfg-options"):
        overrides(Namespace(cfg_options=[item]))


def test_cost_as_text_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "detnasnet-300m-coco-fpn"]) == 0
    assert "288,082,368 MACs" in capsys.readouterr().out
    assert main(["cost", "small:1,2"]) == 2
    assert "2 choices" in capsys.readouterr().err
