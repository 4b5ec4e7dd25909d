"""Whole detectors as one module equal mmdet's own prediction, and their ONNX files equal both."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor, nn

import detnas.models  # noqa: F401
from detnas.evaluation.evaluator import build_random_model
from detnas.export.agreement import agreeing_boxes, compare_boxes, found_boxes
from detnas.export.dense_decoding import why_not_exportable
from detnas.export.onnx_file import open_session, write_half, write_onnx
from detnas.export.whole_models import WatchedDetector, WholeDetector

CLASSES = 3
LEVELS = [8, 16]
TOLERANCE = 1e-3
"""Of scores, and of boxes relative to the image's longer side."""
SPACE = {"name": "mine", "stem": 8, "stages": [[16, 1], [32, 1], [48, 1], [64, 1]]}
BACKBONE = {
    "type": "DetNASNet",
    "architecture": {
        "space": SPACE | {"choices": ["shufflenet_3x3"]},
        "choices": ["shufflenet_3x3"] * 4,
    },
    "out_indices": (1, 2),
}
FPN = {"type": "FPN", "in_channels": [32, 48], "out_channels": 32, "num_outs": 2}
BIFPN = {"type": "BiFPN", "in_channels": [32, 48], "out_channels": 32, "num_outs": 3}
ANCHORS = {"type": "AnchorGenerator", "ratios": [0.5, 1.0, 2.0], "strides": LEVELS}
SQUARES = ANCHORS | {"ratios": [1.0], "octave_base_scale": 8, "scales_per_octave": 1}
POINTS = {"type": "MlvlPointGenerator", "offset": 0, "strides": LEVELS}
DELTAS = {"type": "DeltaXYWHBBoxCoder"}
LOSSES = {
    "loss_cls": {"type": "FocalLoss", "use_sigmoid": True},
    "loss_bbox": {"type": "L1Loss"},
}
HEADS: dict[str, dict[str, Any]] = {
    "retinanet": {
        "type": "RetinaHead",
        "stacked_convs": 1,
        "anchor_generator": ANCHORS | {"octave_base_scale": 4, "scales_per_octave": 2},
        "bbox_coder": DELTAS,
    },
    "separate": {
        "type": "RetinaSepBNHead",
        "num_ins": 2,
        "stacked_convs": 1,
        "norm_cfg": {"type": "BN"},
        "anchor_generator": ANCHORS | {"octave_base_scale": 4, "scales_per_octave": 1},
        "bbox_coder": DELTAS,
    },
    "fcos": {
        "type": "FCOSHead",
        "stacked_convs": 1,
        "strides": LEVELS,
        "regress_ranges": ((-1, 64), (64, 1e8)),
        "norm_cfg": {"type": "BN"},
        "norm_on_bbox": True,
    },
    "atss": {
        "type": "ATSSHead",
        "stacked_convs": 1,
        "norm_cfg": {"type": "BN"},
        "anchor_generator": SQUARES,
        "bbox_coder": DELTAS,
    },
    "gfl": {"type": "GFLHead", "stacked_convs": 1, "norm_cfg": {"type": "BN"}}
    | {"anchor_generator": SQUARES, "reg_max": 7},
    "rtmdet": {
        "type": "RTMDetHead",
        "with_objectness": True,
        "stacked_convs": 1,
        "norm_cfg": {"type": "BN"},
        "anchor_generator": POINTS,
        "bbox_coder": {"type": "DistancePointBBoxCoder"},
    },
    "rtmdet_separate": {
        "type": "RTMDetSepBNHead",
        "with_objectness": False,
        "exp_on_reg": True,
        "stacked_convs": 1,
        "norm_cfg": {"type": "BN"},
        "anchor_generator": POINTS,
        "bbox_coder": {"type": "DistancePointBBoxCoder"},
    },
    "softmax": {
        "type": "RetinaHead",
        "stacked_convs": 1,
        "anchor_generator": ANCHORS | {"octave_base_scale": 4, "scales_per_octave": 2},
        "bbox_coder": DELTAS,
        "loss_cls": {"type": "CrossEntropyLoss", "use_sigmoid": False},
    },
    "efficientdet": {
        "type": "EfficientDetHead",
        "num_ins": 3,
        "stacked_convs": 1,
        "bbox_coder": DELTAS,
        "anchor_generator": {
            "type": "AspectAnchorGenerator",
            "aspects": [(1.0, 1.0), (1.4, 0.7)],
            "octave_base_scale": 4,
            "scales_per_octave": 1,
            "strides": [8, 16, 32],
        },
        **LOSSES,
    },
}
DETECTORS = {
    "fcos": "FCOS",
    "atss": "ATSS",
    "gfl": "GFL",
    "rtmdet": "RTMDet",
    "rtmdet_separate": "RTMDet",
}


def detector(name: str, rgb: bool = True, **settings: Any) -> Any:
    """A small detector with random weights and batch norms whose scores are apart."""
    init_default_scope("mmdet")
    head = HEADS[name] | {"num_classes": CLASSES, "in_channels": 32}
    if name != "efficientdet":
        head |= {"feat_channels": 32}
    model = {
        "type": DETECTORS.get(name, "RetinaNet"),
        "data_preprocessor": {
            "type": "DetDataPreprocessor",
            "mean": [120.0, 110.0, 100.0],
            "std": [58.0, 57.0, 56.0],
            "bgr_to_rgb": rgb,
            "pad_size_divisor": 32,
        },
        "backbone": BACKBONE,
        "neck": BIFPN | {"num_cells": 1} if name == "efficientdet" else FPN,
        "bbox_head": head,
        "test_cfg": {
            "nms_pre": 200,
            "min_bbox_size": 0,
            "score_thr": 0.01,
            "nms": {"type": "nms", "iou_threshold": 0.5},
            "max_per_img": 50,
        }
        | settings,
    }
    torch.manual_seed(3)
    built = build_random_model(Config({"model": model}))
    built.init_weights()
    for module in built.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.bias, -0.5, 0.5)
    for module in built.bbox_head.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.2)
    return built.eval().requires_grad_(False)


def pictures(count: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """RGB images, padded by noise that must not matter, and their sizes."""
    torch.manual_seed(count)
    sizes = torch.tensor([[height - 7 * n, width - 5 * n - 3] for n in range(count)])
    return torch.rand(count, 3, height, width) * 255, sizes


def predicted(model: Any, images: Tensor, sizes: Tensor) -> list[Any]:
    """What mmdet's own prediction finds on the images without their padding."""
    found = []
    for image, (height, width) in zip(images, sizes.tolist(), strict=True):
        cut = image[:, :height, :width].flip(0)  # its pipelines load BGR
        shape = (height, width)
        meta = {"img_shape": shape, "ori_shape": shape, "scale_factor": (1.0, 1.0)}
        data = {"inputs": [cut], "data_samples": [DetDataSample(metainfo=meta)]}
        prepared = model.data_preprocessor(data, False)
        padded = torch.zeros(1, 3, *images.shape[2:])
        inputs = prepared["inputs"]
        padded[..., : inputs.shape[2], : inputs.shape[3]] = inputs
        found.append(model.predict(padded, prepared["data_samples"])[0].pred_instances)
    return found


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("rgb", [True, False])
def test_a_whole_detector_finds_what_mmdet_finds(name: str, rgb: bool) -> None:
    model = detector(name, rgb)
    assert why_not_exportable(model) is None
    whole = WholeDetector(model)
    for count, height, width in ((1, 128, 192), (3, 192, 64)):
        images, sizes = pictures(count, height, width)
        boxes, scores, labels = whole(images, sizes)
        for number, expected in enumerate(predicted(model, images, sizes)):
            kept = scores[number] > 0
            assert len(expected.scores) == kept.sum() > 0
            torch.testing.assert_close(scores[number, kept], expected.scores, atol=1e-5, rtol=0)
            torch.testing.assert_close(boxes[number, kept], expected.bboxes, atol=1e-2, rtol=0)
            assert torch.equal(labels[number, kept], expected.labels)


def saturated(name: str) -> Any:
    """A detector that gives most priors the highest score there is."""
    model = detector(name, nms_pre=100)
    with torch.no_grad():
        model.bbox_head.retina_cls.bias.copy_(
            torch.randn(len(model.bbox_head.retina_cls.bias)) + 30
        )
    return model


def test_of_equal_scores_the_first_ones_are_taken() -> None:
    scores = torch.tensor([[0.5] * 1000 + [0.9] + [0.5] * 1000, [1.0] * 2001])
    values, places = torch.ops.detnas.best(scores, 4)
    assert places.tolist() == [[1000, 0, 1, 2], [0, 1, 2, 3]]
    assert values.tolist() == [scores[0, 1000:1001].tolist() + [0.5] * 3, [1.0] * 4]


def test_sizes_beyond_the_image_are_those_of_the_image() -> None:
    whole = WholeDetector(detector("fcos"))
    images, _ = pictures(1, 64, 96)
    for one, other in zip(
        whole(images, torch.tensor([[640, 960]])),
        whole(images, torch.tensor([[64, 96]])),
        strict=True,
    ):
        assert torch.equal(one, other)


def exported(model: Any, file: Path) -> tuple[WatchedDetector, list[str]]:
    """Write a detector's file, and return it with the names of its maps."""
    watched = WatchedDetector(WholeDetector(model)).eval()
    names = watched.map_names(len(watched(*pictures(1, 64, 64))) - 3)
    divisor = model.data_preprocessor.pad_size_divisor
    outputs = ["boxes", "scores", "labels"]
    write_onnx(watched, divisor, file, outputs, {"part": "model"}, True, names)
    return watched, names


@pytest.mark.parametrize("name", ["fcos", "rtmdet", "efficientdet"])
def test_an_onnx_file_finds_the_same_at_every_size_and_batch(name: str, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    for package in ("onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    file, half = tmp_path / "model.onnx", tmp_path / "model_fp16.onnx"
    watched, names = exported(detector(name), file)
    assert [each.name for each in open_session(file).get_outputs()] == [
        *("boxes", "scores", "labels")
    ]
    inputs = [pictures(1, 128, 192), pictures(3, 192, 64)]
    found = compare_boxes(watched, open_session(file, inner=names), inputs, TOLERANCE)
    assert found.holds, found
    assert found.boxes == found.agreeing
    assert found.whole > 20
    assert found.same + found.tied >= 0.98 * found.whole
    write_half(file, half, {"part": "model"})
    weights = Counter(each.data_type for each in onnx.load(half).graph.initializer)
    assert weights[onnx.TensorProto.FLOAT16] > weights[onnx.TensorProto.FLOAT]
    images, sizes = inputs[1]
    expected = [each.numpy() for each in watched(images, sizes)[:3]]
    got = open_session(half).run(None, {"images": images.numpy(), "sizes": sizes.numpy()})
    rough = [
        agreeing_boxes(one, other, 192, 0.02).mean()
        for one, other in zip(found_boxes(expected), found_boxes(got), strict=True)
    ]
    assert min(rough) > 0.4  # of random networks, whose boxes are much alike


def test_equal_scores_another_network_and_no_box_are_told_apart(tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    file = tmp_path / "model.onnx"
    watched, names = exported(saturated("retinanet"), file)
    inputs = [pictures(1, 256, 320)]
    session = open_session(file, inner=names)
    found = compare_boxes(watched, session, inputs, TOLERANCE)
    assert found.holds, found
    assert found.boxes == found.agreeing == found.whole == 50
    other = WatchedDetector(WholeDetector(detector("retinanet"))).eval()
    differs = compare_boxes(other, session, inputs, TOLERANCE)
    assert not differs.holds
    assert differs.largest > 0.1
    model = detector("retinanet", score_thr=0.999999)
    with torch.no_grad():
        model.bbox_head.retina_cls.bias.fill_(-30)
    watched, names = exported(model, file)
    none = compare_boxes(watched, open_session(file, inner=names), inputs, TOLERANCE)
    assert none.holds
    assert str(none).endswith("it found no box on made-up images, so no box was compared")


def test_of_two_stages_the_heads_are_refused_with_a_reason() -> None:
    class TwoStages(nn.Module):
        rpn_head = roi_head = None

    assert "a two-stage detector, whose RoI heads" in str(why_not_exportable(TwoStages()))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"nms": {"type": "soft_nms", "iou_threshold": 0.5}}, "soft_nms"),
        ({"nms_pre": -1}, "test_cfg.nms_pre is -1"),
        ({"min_bbox_size": 4}, "min_bbox_size is 4"),
    ],
)
def test_other_settings_are_refused_with_a_reason(settings: Any, reason: str) -> None:
    assert reason in str(why_not_exportable(detector("retinanet", **settings)))
