"""What counts as the same config of a stage, wherever the experiment's folder lies."""

from pathlib import Path

import pytest

from detnas.stages.identity import digest, plain, what_differs


@pytest.mark.parametrize("experiment", ["a", ".", "train", "/d/exp1"])
def test_the_experiments_folder_is_replaced_in_paths_alone(experiment: str) -> None:
    config = {
        "work_dir": f"{experiment}/finetune",
        "train_batch": 8,
        "lr": 0.1,
        "flag": False,
        "data": ["a", f"{experiment}/data", f"{experiment}_data"],
        "load_from": f"{experiment}/pretrain/final.pth",
    }
    assert plain(config, Path(experiment)) == {
        "train_batch": 8,
        "lr": 0.1,
        "flag": False,
        "data": [
            "{experiment}" if experiment == "a" else "a",
            "{experiment}/data",
            f"{experiment}_data",
        ],
        "load_from": "{experiment}/pretrain/final.pth",
    }


def test_a_moved_experiment_is_the_same_and_other_data_are_not() -> None:
    def config(folder: str) -> dict[str, str]:
        return {"load_from": f"/d/{folder}/pretrain/final.pth", "data_root": f"/d/{folder}_data"}

    one, two = Path("/d/exp1"), Path("/d/exp2")
    earlier, later = plain(config("exp1"), one), plain(config("exp2"), two)
    assert what_differs(earlier, later, ["data_root"]) == [
        'data_root: "/d/exp1_data" -> "/d/exp2_data"'
    ]
    assert what_differs(earlier, later, ["load_from"]) == []
    moved = {**config("exp2"), "data_root": "/d/exp1_data"}
    assert digest(config("exp1"), one) == digest(moved, two)


def test_relative_paths_begin_where_the_stage_was_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {"data": {"data_root": "data/mine"}}
    now = {"data": {"data_root": str(tmp_path / "a/data/mine")}}
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path / "b")
    assert what_differs(before, now, ["data"], tmp_path / "a") == []
    assert what_differs(before, now, ["data"], tmp_path / "b") != []


def test_values_count_only_where_the_stage_reads_them() -> None:
    before = {"macs_budget": 1, "lr": 1, "train": {"lr": 1}, "search": {"macs": 1}}
    other_budget = {**before, "macs_budget": 2, "search": {"macs": 2}}
    assert what_differs(before, other_budget, ["train"]) == []
    assert what_differs(before, other_budget, ["search"])[0] == "macs_budget: 1 -> 2"
