"""Any detector of mmdet's over the backbone: the lines written for it, and its stages on these."""

import re
import sys
import textwrap
from math import isfinite
from pathlib import Path
from typing import Any

import pytest

from detnas.config import load_config
from detnas.data.digits import DigitCounts, write_digits
from detnas.errors import MissingFileError, UserError
from detnas.init.detectors import NAMES, detector_lines
from detnas.models import mmcv_ops
from detnas.models.checkpoints import read_checkpoint
from detnas.stages.plan import plan_search
from detnas.stages.search import search
from detnas.stages.train import train
from search_space.spaces import SearchSpace

COUNTS = DigitCounts(train_crops=10, val_crops=10, train_scenes=6, search_scenes=4, val_scenes=2)
DOCS = Path(__file__).parents[3] / "docs" / "configs.md"
SPACE = {"name": "mine", "stem": 8, "stages": [[16, 1], [32, 1], [48, 2], [64, 1]]}
CHOICES = ["shufflenet_3x3", "shufflenet_7x7"]
BASES = [
    f"detnas::_base_/{name}.py"
    for name in (
        *("backbones/supernet", "preprocessing/imagenet", "datasets/digits"),
        *("schedules/detection", "runtime"),
    )
]
SETTINGS: dict[str, Any] = {
    "space": SPACE | {"choices": CHOICES},
    "image_scale": (96, 96),
    "batch_size": 2,
    "num_workers": 0,
    "max_iters": 2,
    "warmup_iters": 1,
}
_DENSE = {
    "neck": {"out_channels": 32},
    "bbox_head": {"in_channels": 32, "feat_channels": 32, "stacked_convs": 1},
}
_QUERIES = {"num_queries": 20, "encoder": {"num_layers": 1}, "test_cfg": {"max_per_img": 20}}
_ROI_HEADS = {
    "roi_head": {"bbox_head": {"fc_out_channels": 64}},
    "train_cfg": {"rpn_proposal": {"max_per_img": 50}, "rcnn": {"sampler": {"num": 32}}},
    "test_cfg": {"rpn": {"max_per_img": 50}},
}
NARROW: dict[str, dict[str, Any]] = {
    "retinanet": {"fpn_channels": 32},
    "faster-rcnn": {"fpn_channels": 32, "model": _ROI_HEADS},
    "mask-rcnn": {
        "fpn_channels": 32,
        "model": _ROI_HEADS,
        "annotations": {"with_mask": True},
    },
    "efficientdet": {"head_convs": 1},
    "fcos": {"model": _DENSE},
    "atss": {"model": _DENSE},
    "gfl": {"model": _DENSE},
    "rtmdet": {"model": {**_DENSE, "bbox_head": {"in_channels": 32, "feat_channels": 32}}},
    "yolox": {"model": {**_DENSE, "bbox_head": {"in_channels": 32, "feat_channels": 32}}},
    "detr": {"model": {**_QUERIES, "decoder": {"num_layers": 1}}},
    "deformable-detr": {"model": {**_QUERIES, "decoder": {"num_layers": 2}}},
}
"""Values that make each detector small enough for a test."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    write_digits(folder, counts=COUNTS)
    return folder / "detection"


def _write(folder: Path, name: str, data: Path) -> None:
    """An experiment with a stage for fine-tuning and one for the search."""
    file = detector_lines(name)
    (folder / "detector.py").write_text(file.text)
    settings = SETTINGS | {"data_root": str(data)} | NARROW[name]
    lines = [
        f"_base_ = {['./detector.py', *BASES]!r}",
        *(f"{k} = {v!r}" for k, v in settings.items()),
    ]
    if file.optimizer is not None:
        lines.append(f"optim_wrapper = {file.optimizer | {'_delete_': True}!r}")
    (folder / "finetune.py").write_text("\n".join(lines) + "\n")
    (folder / "search.py").write_text(
        "_base_ = ['./finetune.py', 'detnas::_base_/search.py']\nmacs_budget = 8.5e6\n"
        "search = dict(\n"
        "    strategy=dict(type='random', generations=1, population=2),\n"
        "    evaluator=dict(calibration_images=4, calibration_batch_size=2),\n"
        ")\n"
    )


@pytest.mark.parametrize("name", NARROW)
def test_it_trains_and_is_searched(name: str, data: Path, tmp_path: Path) -> None:
    _write(tmp_path, name, data)
    weights = train(load_config(tmp_path / "finetune.py", work_dir=tmp_path / "work/finetune"))
    space = read_checkpoint(weights)["meta"]["detnas"]["space"]
    assert (space["stages"], space["choices"]) == (SPACE["stages"], CHOICES)
    history = search(load_config(tmp_path / "search.py", work_dir=tmp_path / "work/search"))
    scores = [each.score for each in history.candidates]
    assert len(scores) == 2
    assert all(isfinite(score) for score in scores)


def test_a_space_of_the_config_s_own_is_searched_within_its_budget(
    data: Path, tmp_path: Path
) -> None:
    _write(tmp_path, "gfl", data)
    config = load_config(tmp_path / "search.py", work_dir=tmp_path / "work/search")
    sampler = plan_search(config).costs.sampler
    assert isinstance(sampler.space, SearchSpace)
    assert (sampler.space.name, sampler.space.size) == ("mine", 2**5)
    assert 0 < sampler.count < sampler.space.size


def _blocks() -> dict[str, str]:
    """The blocks of the docs that are a detector's lines, by what their first line names."""
    text = DOCS.read_text()
    section = text[text.index("## A detector of mmdet's") : text.index("## What DetNAS adds")]
    blocks = re.findall(r"(?:^(?:    .*)?\n)+", section, flags=re.MULTILINE)
    lines = [textwrap.dedent(block).strip("\n") + "\n" for block in blocks if block.strip()]
    return {block.split(" as in ")[0]: block for block in lines if " as in " in block}


@pytest.mark.parametrize("name", ["gfl", "rtmdet", "yolox", "detr"])
def test_the_docs_print_the_lines_that_are_written(name: str) -> None:
    text = detector_lines(name).text
    assert _blocks()[text.split(" as in ")[0]] == text


@pytest.mark.parametrize("name", NAMES)
def test_the_docs_list_every_short_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detnas.init.detectors.lines.try_training", lambda *_: None)
    file = detector_lines(name)
    base = re.search(r'^_base_ = \["(.*)"\]$', file.text, flags=re.MULTILINE)
    assert base is not None
    optimizer = file.optimizer["optimizer"]["type"] if file.optimizer else "SGD"
    cells = [f"`{name}`", f"`{base[1]}`", f"{file.out_indices}", optimizer]
    assert f"| {' | '.join(cells)} |" in DOCS.read_text()


def test_the_model_of_a_config_decides_what_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detnas.init.detectors.lines.try_training", lambda *_: None)
    cascade = detector_lines("mmdet::cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py")
    assert cascade.with_mask
    assert (
        "for __item in _base_.model.roi_head.bbox_head:\n"
        '    __item.num_classes = "{num_classes}"\n' in cascade.text
    )
    syncbn = (
        "mmdet::strong_baselines/mask-rcnn_r50_fpn_rpn-2conv_4conv1fc_syncbn-all_lsj-100e_coco.py"
    )
    assert 'norm_cfg=dict(type="SyncBN")' in detector_lines(syncbn).text
    libra = detector_lines("mmdet::libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco.py")
    assert '_base_.model.neck[0].in_channels = "{stage_channels}"\n' in libra.text
    nas_fcos = detector_lines(
        "mmdet::nas_fcos/nas-fcos_r50-caffe_fpn_fcoshead-gn-head_4xb4-1x_coco.py"
    )
    assert nas_fcos.out_indices == (0, 1, 2, 3)  # its neck never starts at level 0 by itself
    yolo = detector_lines("mmdet::yolo/yolov3_d53_8xb8-ms-416-273e_coco.py")
    channels = '["{stage_channels[3]}", "{stage_channels[2]}", "{stage_channels[1]}"]'
    assert f"neck=dict(in_channels={channels})" in yolo.text


MINE = """
_base_ = ["mmdet::gfl/gfl_r50_fpn_1x_coco.py"]
custom_imports = dict(imports=["colorsys"])
data_preprocessor = dict(type="DetDataPreprocessor", batch_augments=[dict(type="BatchResize")])
model = dict(
    data_preprocessor=dict(_delete_=True, **data_preprocessor),
    backbone=dict(depth=18),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=32),
    bbox_head=dict(num_classes=7, in_channels=32, feat_channels=32, stacked_convs=1),
    init_cfg=dict(type="Pretrained", checkpoint="nowhere.pth"),
)
optim_wrapper = dict(optimizer=dict(_delete_=True, type="AdamW", lr=1e-4))
"""


def test_a_config_of_the_user_s_own_is_adapted_and_tried(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    file = detector_lines(str(path))
    assert f'_base_ = ["{path.resolve()}"]' in file.text
    assert 'importlib.import_module("colorsys")' in file.text
    assert '_base_.model.data_preprocessor.pop("batch_augments")' in file.text
    assert '_base_.model.pop("init_cfg")' in file.text
    assert file.pad_size_divisor == 32
    assert "BatchResize" in file.notes[0]
    assert file.optimizer == {"type": "OptimWrapper", "optimizer": {"type": "AdamW", "lr": 1e-4}}


@pytest.mark.parametrize(
    ("detector", "message"),
    [
        ("retinanett", "did you mean 'retinanet'"),
        ("mmdet::gfl/gfl_r51.py", "does not exist: name a file of mmdet's"),
        ("mine/gfl.py", "this file does not exist"),
        ("mmdet::ld/ld_r18-gflv1-r101_fpn_1x_coco.py", "learns from a teacher"),
        ("mmdet::lad/lad_r101-paa-r50_fpn_2xb8_coco_1x.py", "learns from a teacher"),
        ("mmdet::fast_rcnn/fast-rcnn_r50_fpn_1x_coco.py", "reads proposals from files"),
        ("mmdet::faster_rcnn/faster-rcnn_r50-caffe-c4_ms-1x_coco.py", "it has no neck"),
        ("mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py", "semantic_head"),
        ("mmdet::rpn/rpn_r50_fpn_1x_coco.py", "predicts no boxes of classes"),
        ("mmdet::rtmdet/rtmdet_x_p6_4xb8-300e_coco.py", r"strides \[8, 16, 32, 64\]"),
    ],
)
def test_what_cannot_be_adapted_is_refused_in_one_line(detector: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        detector_lines(detector)
    assert str(raised.value).startswith(f"--detector {detector}")
    assert "\n" not in str(raised.value)


def test_a_missing_config_is_a_missing_file() -> None:
    with pytest.raises(MissingFileError):
        detector_lines("mmdet::gfl/gfl_r51.py")


CHANGED_GFL = '_base_ = ["mmdet::gfl/gfl_r50_fpn_1x_coco.py"]\nmodel = dict({})\n'


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("neck=dict(in_channels=[256, 512, 1024, 99])", "in_channels is .* maps of"),
        ("bbox_head=dict(loss_cls=dict(class_weight=[1.0] * 80))", "a weight for each of its 80"),
        ("mask_head=dict(num_classes=3)", "counts its classes in two ways"),
    ],
)
def test_a_config_that_contradicts_itself_is_refused(
    change: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(CHANGED_GFL.format(change))
    with pytest.raises(UserError, match=message):
        detector_lines(str(path))


def test_a_config_that_python_does_not_take_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("model = dict(\n")
    with pytest.raises(UserError, match="cannot be read: SyntaxError"):
        detector_lines(str(path))


def test_a_config_with_read_base_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "new.py"
    path.write_text("from mmengine.config import read_base\n\nwith read_base():\n    pass\n")
    with pytest.raises(UserError, match="read_base"):
        detector_lines(str(path))


@pytest.mark.skipif(
    not isinstance(sys.modules.get(mmcv_ops.EXTENSION), mmcv_ops._StandIn),
    reason="mmcv has compiled operators here",
)
def test_deformable_convolutions_are_refused_where_mmcv_has_no_operators() -> None:
    with pytest.raises(UserError, match="cannot be trained here: mmcv's operator 'deform_conv"):
        detector_lines("mmdet::ddod/ddod_r50_fpn_1x_coco.py")
