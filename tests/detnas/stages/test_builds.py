"""Values that OpenMMLab's parts do not take are one line before any work, not a trace in it."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from detnas.config import load_config
from detnas.errors import UserError
from detnas.models.memory_format import memory_format_explained
from detnas.stages.plan import plan_search
from detnas.stages.train import check_training

CONFIGS = Path(__file__).parents[2] / "miniature/retinanet"


def check(stage: str, digits: Path, options: dict[str, object]) -> None:
    shared: dict[str, object] = {"pretrain_root": str(digits / "classification")}
    if stage != "pretrain":
        shared = {"data_root": str(digits / "detection"), "pretrained": None}
    config = load_config(CONFIGS / f"{stage}.py", shared | options, digits / "work" / stage)
    (plan_search if stage == "search" else check_training)(config)


@pytest.mark.parametrize("stage", ["pretrain", "finetune", "search", "retrain"])
def test_sound_configs_pass_and_leave_random_states_alone(stage: str, digits: Path) -> None:
    def states() -> tuple[object, ...]:
        return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002

    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    expected = states()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    check(stage, digits, {})
    assert states() == expected


def test_an_image_scale_may_be_a_list(digits: Path) -> None:
    check("finetune", digits, {"image_scale": [96, 96]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_scale": "wide"}, "image_scale is 'wide'; it must be a pair of sides of at least"),
        ({"image_scale": (0, 9)}, "image_scale is (0, 9); it must be a pair of sides of at least"),
        ({"image_scale": (9, 9, 9)}, "image_scale is (9, 9, 9); it must be a pair of sides"),
        ({"classes": 5}, "classes is 5; it must be a tuple of texts"),
        ({"metainfo": 5}, "metainfo is 5; it must be a dict"),
        ({"train_folder": 5}, "data_prefix of the train split: img is 5; write a path"),
        ({"train_pipeline": 5}, "train_dataloader.dataset.pipeline is 5; it must be a list of dic"),
        ({"train_dataloader.dataset.pipeline": [5]}, "pipeline is [5]; it must be a list of dict"),
        ({"norm_cfg": 5}, "norm_cfg is 5; it must be a dict"),
        ({"default_scope": 5}, "default_scope is 5; it must be a text"),
        ({"pretrained": 5}, "pretrained is 5; it must be a text"),
        ({"train_dataloader.dataset.type": "Nope"}, "dataset.type is 'Nope', which is not registe"),
        ({"train_dataloader.sampler": 5}, "train_dataloader.sampler is 5; it must be a dict"),
        ({"param_scheduler": [{"type": "Nope"}]}, "param_scheduler[0].type is 'Nope', which is no"),
        ({"custom_hooks": [{"type": "Nope"}]}, "custom_hooks[0].type is 'Nope', which is not reg"),
        ({"default_hooks.checkpoint": 5}, "default_hooks.checkpoint is 5; it must be a dict"),
        (
            {"checkpoint_interval": "x"},
            "default_hooks.checkpoint.interval is 'x'; write an integer",
        ),
        ({"log_level": "NOPE"}, "log_level is 'NOPE'; it may be"),
        ({"log_processor": 5}, "log_processor is 5; it must be a dict"),
        ({"env_cfg.mp_cfg": 5}, "env_cfg.mp_cfg is 5; it must be a dict"),
        ({"randomness.nope": 1}, "randomness has no key 'nope'"),
        (
            {"randomness.seed": 2**32},
            "seed is 4294967296; set it to an integer >= 0 and below 2^32",
        ),
        ({"train_dataloader.num_worker": 0}, "train_dataloader has no key 'num_worker': did you m"),
        ({"test_dataloader.num_worker": 0}, "test_dataloader has no key 'num_worker': did you me"),
        ({"train_dataloader.sampler.shufle": 1}, "train_dataloader.sampler has no key 'shufle'"),
        ({"default_hooks.checkpoint.intervall": 5}, "default_hooks.checkpoint has no key 'interva"),
        ({"default_hooks.logger.intervall": 5}, "default_hooks.logger has no key 'intervall'"),
        ({"train_cfg.max_iter": 5}, "train_cfg has no key 'max_iter': did you mean 'max_iters'?"),
        ({"test_cfg.fp17": 5}, "test_cfg has no key 'fp17'"),
        ({"env_cfg.mp_cfg.start": 5}, "env_cfg.mp_cfg has no key 'start'"),
        ({"num_workers": 10**10}, "write an integer of at most 1,000,000,000"),
        ({"train_pipeline": []}, "train_dataloader ends without packing its images"),
        ({"flip": {"type": "Turn"}}, "the pipeline of train_dataloader: KeyError"),
        ({"batch_size": 0}, "train_dataloader.batch_size is 0; write an integer >= 1"),
        ({"batch_size": 2.0}, "train_dataloader.batch_size is 2.0; write an integer >= 1"),
        ({"num_workers": -1}, "train_dataloader.num_workers is -1; write an integer >= 0"),
        ({"max_iters": 2.5}, "train_cfg.max_iters is 2.5; write an integer >= 1"),
        ({"data_root": ["a", "b"]}, "train_dataloader.dataset.data_root is ['a', 'b']; write one"),
        ({"lr": "high"}, "optim_wrapper: TypeError"),
        ({"optim_wrapper.optimizer.type": "Sdg"}, "optimizer.type is 'Sdg', which is not known"),
        ({"model.neck.in_channels": [64, 128]}, "and model.neck.in_channels is [64, 128]: Asser"),
        ({"model.neck.start_level": 4}, "model.neck does not take what it is given"),
        ({"model.backbone.depth": 50}, "unknown key 'depth' under model.backbone"),
        ({"model.bbox_head.in_channels": 7}, "model.bbox_head does not take levels of [64, 64,"),
        ({"model.bbox_head.depth": 7}, "unexpected keyword argument 'depth'"),
        ({"model.data_preprocessor.mean": [1.0, 2.0]}, "model: AssertionError: `mean` should"),
        ({"classes": "7"}, "classes is the string '7'; write a tuple: ('7',)"),
        ({"test_evaluator.metric": "iou"}, "test_evaluator: KeyError"),
    ],
)
def test_odd_values_are_one_line(digits: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as refusal:
        check("finetune", digits, options)
    assert message in str(refusal.value)


def test_a_search_is_checked_as_well(digits: Path) -> None:
    with pytest.raises(UserError, match="val_evaluator: KeyError"):
        check("search", digits, {"search_evaluator.metric": "iou"})
    with pytest.raises(UserError, match=r"model\.neck does not take"):
        check("search", digits, {"model.neck.in_channels": [64, 128]})


def test_a_part_that_needs_contiguous_maps_has_the_keys_named() -> None:
    maps = torch.zeros(1, 2, 3, 3).contiguous(memory_format=torch.channels_last)
    with (
        pytest.raises(UserError, match=r"set model.backbone.memory_format='contiguous'"),
        memory_format_explained(),
    ):
        maps.view(1, -1)
    with pytest.raises(RuntimeError, match="shape"), memory_format_explained():
        maps.view(7, 7)
