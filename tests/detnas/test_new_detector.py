"""Adding a detector: one config file on mmdet's own, as docs/configs.md shows, and its stages."""

from pathlib import Path

import pytest
from mmengine.config import Config

from detnas.config import load_config
from detnas.models.checkpoints import read_checkpoint
from detnas.stages.plan import plan_search
from detnas.stages.train import train
from search_space.spaces import SearchSpace

BASE = Path(__file__).parents[2] / "configs" / "_base_"
DETECTOR = """
_base_ = ["mmdet::gfl/gfl_r50_fpn_1x_coco.py"]
for __key in [key for key in _base_ if key != "model"]:
    _base_.pop(__key)  # data, schedule, runtime
_base_.model.neck.pop("start_level")
norm_cfg = dict(type="SyncBN")
out_indices = (1, 2, 3)
model = dict(
    data_preprocessor=dict(mean="{mean}", std="{std}", bgr_to_rgb="{rgb}"),
    backbone="{backbone}",
    neck=dict(in_channels="{stage_channels[1:]}", out_channels=32),
    bbox_head=dict(
        num_classes="{num_classes}", in_channels=32, feat_channels=32, stacked_convs=1,
        loss_bbox=dict(_delete_=True, type="CIoULoss", loss_weight=2.0),
    ),
)
"""
SPACE = {"name": "mine", "stem": 8, "stages": [[16, 1], [32, 1], [48, 2], [64, 1]]}
CHOICES = ["shufflenet_3x3", "shufflenet_7x7"]


@pytest.fixture
def folder(experiment: Path, tmp_path: Path) -> Path:
    """GFL over a space of the config's own, with a stage for fine-tuning and one for the search."""
    names = ("backbones/supernet", "preprocessing/imagenet", "datasets/digits")
    bases = [f"{BASE}/{name}.py" for name in (*names, "schedules/detection", "runtime")]
    (tmp_path / "gfl.py").write_text(DETECTOR)
    (tmp_path / "finetune.py").write_text(
        f"_base_ = {['./gfl.py', *bases]!r}\n"
        f"space = {SPACE | {'choices': CHOICES}!r}\n"
        f"data_root = {str(experiment / 'data/detection')!r}\n"
        "image_scale = (96, 96)\nbatch_size = 2\nnum_workers = 0\nmax_iters = 2\nwarmup_iters = 1\n"
    )
    (tmp_path / "search.py").write_text(
        f"_base_ = ['./finetune.py', '{BASE}/search.py']\nmacs_budget = 8.5e6\n"
        "search = dict(strategy=dict(type='random', generations=1, population=2))\n"
    )
    return tmp_path


def test_it_trains_over_a_space_of_the_config_s_own(folder: Path) -> None:
    weights = train(load_config(folder / "finetune.py", work_dir=folder / "work/finetune"))
    space = read_checkpoint(weights)["meta"]["detnas"]["space"]
    assert space["stages"] == SPACE["stages"]
    assert space["choices"] == CHOICES


def test_it_is_searched(folder: Path) -> None:
    config: Config = load_config(folder / "search.py", work_dir=folder / "work/search")
    sampler = plan_search(config).costs.sampler
    assert isinstance(sampler.space, SearchSpace)
    assert (sampler.space.name, sampler.space.size) == ("mine", 2**5)
    assert 0 < sampler.count < sampler.space.size
