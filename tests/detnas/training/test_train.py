"""Training runs: resuming is exact, loader workers change nothing, settings are checked."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from detnas.config import load_config
from detnas.errors import UserError
from detnas.evaluation.path_validation import uniform_paths
from detnas.models.checkpoints import read_checkpoint
from detnas.stages.train import train
from search_space.architecture import Architecture
from search_space.spaces import parse_space

CONFIG = Path(__file__).parents[2] / "miniature" / "retinanet" / "pretrain.py"


def _losses(work_dir: Path) -> dict[int, float]:
    """The logged loss of every iteration of all runs in a work directory."""
    losses = {}
    for file in sorted(work_dir.glob("*/vis_data/scalars.json")):
        for line in file.read_text().splitlines():
            row = json.loads(line)
            if "loss" in row:
                losses[row["step"]] = row["loss"]
    return losses


def _train(data: Path, work_dir: Path, resume: bool = False, **options: Any) -> dict[str, Any]:
    logged = {"default_hooks.logger.interval": 1, "console_level": "ERROR"}
    options = {"pretrain_root": str(data), **logged, **options}
    config = load_config(CONFIG, options, work_dir)
    return read_checkpoint(train(config, resume=resume))


def _assert_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one["state_dict"].keys() == other["state_dict"].keys()
    for key, value in one["state_dict"].items():
        assert torch.equal(value, other["state_dict"][key]), key


def test_resuming_and_loader_workers_change_nothing(data: Path, tmp_path: Path) -> None:
    whole = _train(data, tmp_path / "whole")
    curve = _losses(tmp_path / "whole")
    assert list(curve) == [1, 2, 3, 4]
    assert whole["meta"]["detnas"]["kind"] == "supernet"
    assert whole["meta"]["detnas"]["space"]["name"] == "tiny"
    for name in ("final.pth", "iter_4.pth"):  # as if it had been killed after iteration 2
        (tmp_path / "whole" / name).unlink()
    for file in (tmp_path / "whole").glob("*/vis_data/scalars.json"):
        file.unlink()
    _assert_equal(whole, _train(data, tmp_path / "whole", resume=True))
    assert _losses(tmp_path / "whole") == {step: curve[step] for step in (3, 4)}
    workers = {"train_dataloader.num_workers": 2}
    _assert_equal(whole, _train(data, tmp_path / "workers", **workers))
    assert _losses(tmp_path / "workers") == curve
    other = _train(data, tmp_path / "seed", **{"randomness.seed": 1})
    stem = "backbone.stem.0.weight"
    assert not torch.equal(other["state_dict"][stem], whole["state_dict"][stem])


def test_a_loss_that_is_not_finite_stops_training(data: Path, tmp_path: Path) -> None:
    wild = {"lr": 1e30, "optim_wrapper.clip_grad": None, "max_iters": 8}
    with pytest.raises(
        UserError, match=r"loss of iteration \d is not finite \(loss nan\) on .*png"
    ):
        _train(data, tmp_path, checkpoint_interval=1, **wild)
    assert (tmp_path / "iter_1.pth").is_file()
    assert not (tmp_path / "final.pth").exists()
    assert not (tmp_path / "iter_8.pth").exists()


def test_paths_are_validated_without_a_change_of_the_training(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    section = {"interval": 2, "paths": 3, "calibration_images": 16, "per_choice": True}
    backends = [{"type": "LocalVisBackend"}, {"type": "TensorboardVisBackend"}]
    visualizer = {"type": "Visualizer", "name": "visualizer", "vis_backends": backends}
    other = {"path_validation": section, "visualizer": visualizer}
    validated = _train(data, tmp_path / "validated", **other)
    (log,) = (tmp_path / "validated").glob("*/*.log")
    assert log.read_text().count("3 random paths: accuracy/top1 ") == 2
    assert log.read_text().count("paths of one choice: accuracy/top1 3x3 ") == 2
    number = r"\d+\.\d{3}"
    short = rf"paths: top1 {number} \({number} to {number}\); 3x3 {number}, 5x5 {number}, "
    assert len(re.findall(short, capsys.readouterr().err)) == 2
    (scalars,) = (tmp_path / "validated").glob("*/vis_data/scalars.json")
    rows = [json.loads(line) for line in scalars.read_text().splitlines()]
    means = {row["step"]: row["paths/accuracy/top1"] for row in rows if "loss" not in row}
    assert means.keys() == {2, 4}
    assert all(0 <= mean <= 100 for mean in means.values())
    (vis_data,) = (tmp_path / "validated").glob("*/vis_data")
    events = EventAccumulator(str(vis_data)).Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3, 4]
    for row in (row for row in rows if "loss" not in row):
        for choice in ("shufflenet_3x3", "xception_3x3"):
            name = f"paths/accuracy/top1/{choice}"
            found = {event.step: event.value for event in events.Scalars(name)}
            assert found[row["step"]] == pytest.approx(row[name])
    _assert_equal(validated, _train(data, tmp_path / "plain"))


def test_a_path_of_one_choice_has_it_wherever_a_block_may() -> None:
    space = parse_space("tiny-skip")
    paths = uniform_paths(space)
    assert list(paths) == list(space.choices)
    for path in paths.values():
        Architecture(space, path)
    skipping = [space.choices[number] for number in paths["skip"]]
    assert skipping.count("skip") == sum(len(numbers) == 5 for numbers in space.numbers)
    assert set(skipping) == {"shufflenet_3x3", "skip"}
    assert set(paths["xception_3x3"]) == {3}


def test_strictly_fair_steps_depend_on_seed_and_step_alone(data: Path, tmp_path: Path) -> None:
    """The hook computes some paths before the iteration; their dropout uses its seed, too."""
    fair = {"path_policy.type": "strictly_fair", "path_warmup_iters": 0}
    whole = _train(data, tmp_path / "whole", **fair)
    for name in ("final.pth", "iter_4.pth"):
        (tmp_path / "whole" / name).unlink()
    workers = {"train_dataloader.num_workers": 2}
    _assert_equal(whole, _train(data, tmp_path / "whole", resume=True, **fair, **workers))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"pretrain_batch_size": 4}, "batch size 8, but this run has 4"),
        ({"randomness.seed": 1}, "seed 0, but this run has 1"),
    ],
)
def test_resuming_with_another_seed_or_batch_size_is_refused(
    option: dict[str, Any], message: str, data: Path, tmp_path: Path
) -> None:
    _train(data, tmp_path)
    with pytest.raises(ValueError, match=message):
        _train(data, tmp_path, resume=True, **option)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"amp": "fp8"}, "amp is 'fp8'"),
        ({"path_policy.type": "unifrom"}, "path policy 'unifrom' is unknown"),
        ({"path_policy": {"type": "uniform_bins", "lower": 1, "upper": 2, "bins": 1}}, "empty"),
        ({"backbone.frozen_stage": 1}, "unknown key 'frozen_stage'"),
        ({"pretraind": None}, "did you mean 'pretrained'"),
        ({"warmup_iters": 9}, "LinearLR of param_scheduler cannot be built"),
        ({"path_warmup_iters": 4}, "path_warmup_iters is 4 of 4"),
        ({"path_validation": {"interval": 0}}, "path_validation.interval"),
        ({"path_validation": {"every": 2}}, "unknown key 'every' under path_validation"),
        ({"path_validation": {"interval": 2}, "score": None}, "by `score`, which the config lacks"),
        ({"search": {"supernet": "x"}}, "no such key"),
        (
            {"visualizer": {"type": "Visualizer", "vis_backends": [{"type": "AimVisBackend"}]}},
            "pip install aim",
        ),
        (
            {"visualizer": {"type": "Visualizer", "vis_backends": [{"type": "Tensorboard"}]}},
            "type is 'Tensorboard', which is not registered",
        ),
    ],
)
def test_invalid_settings_are_refused_before_any_work(
    option: dict[str, Any], message: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        _train(data, tmp_path / "work", **option)
    assert not (tmp_path / "work").exists()


def test_a_used_work_dir_is_refused(data: Path, tmp_path: Path) -> None:
    _train(data, tmp_path)
    with pytest.raises(ValueError, match="already contains a run"):
        _train(data, tmp_path)


def test_a_config_without_training_is_refused(data: Path, tmp_path: Path) -> None:
    config = load_config(CONFIG, {"pretrain_root": str(data)}, tmp_path)
    config.train_cfg = None
    with pytest.raises(ValueError, match="no `train_cfg`"):
        train(config)


def test_losses_of_the_last_paths_are_compared_by_choice(data: Path, tmp_path: Path) -> None:
    # The last quarter begins at 63, but the warm-up, which trains one path, ends after it.
    options = {"max_iters": 84, "path_warmup_iters": 64, "checkpoint_interval": 100}
    options["log_processor.window_size"] = 1  # no averages over iterations
    _train(data, tmp_path / "run", **options)
    found = json.loads((tmp_path / "run" / "choice_losses.json").read_text())
    curve = _losses(tmp_path / "run")
    last = [loss for step, loss in curve.items() if step > 64]
    assert found["paths"] == len(last) == 20
    assert found["mean"] == pytest.approx(sum(last) / 20, abs=1e-4)
    blocks = sum(effect["blocks"] for effect in found["effects"])
    assert blocks == 20 * 10
    (scalars,) = (tmp_path / "run").glob("*/vis_data/scalars.json")
    shown = json.loads(scalars.read_text().splitlines()[-1])
    for effect in found["effects"]:
        name = f"choice_losses/stage{effect['stage'] + 1}/{effect['choice']}"
        assert shown.get(name) == effect["mean"]
