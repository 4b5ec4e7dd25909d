"""BiFPN and EfficientDet's head: graphs, fusion, resampling, and the public port's outputs."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detnas.cli import main
from detnas.errors import UserError
from detnas.models import (
    AspectAnchorGenerator,
    BiFPN,
    EfficientDetHead,
    VarianceScaledEfficientNet,
)
from detnas.models.checkpoints import read_checkpoint
from detnas.models.efficientdet.bifpn import FUSIONS, fusion_factors, resize
from search_space.feature_graphs import GRAPHS

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests/data/efficientdet_d0.pt"
"""Outputs of the public port: scripts/benchmark/efficientdet_port.py."""


@pytest.fixture(scope="module")
def port() -> Any:
    sys.path.insert(0, str(ROOT / "scripts/benchmark"))
    import efficientdet_port

    return efficientdet_port


def maps(*sizes: tuple[int, int], channels: tuple[int, ...] = (8, 12, 16)) -> list[Tensor]:
    return [torch.randn(2, c, *size) for c, size in zip(channels, sizes, strict=True)]


@pytest.mark.parametrize("graph", [*GRAPHS, {"nodes": [(0, [0, 1, 2, 3])], "outputs": [4]}])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_graph_and_fusion_gives_the_levels(graph: Any, fusion: str) -> None:
    if isinstance(graph, dict):  # every level from all inputs
        graph = {"nodes": [(i, [0, 1, 2, 3]) for i in range(4)], "outputs": [4, 5, 6, 7]}
    neck = BiFPN([8, 12, 16], 10, num_outs=4, num_cells=2, graph=graph, fusion=fusion)
    neck.init_weights()
    outputs = neck(maps((13, 20), (7, 10), (4, 5)))
    sizes = [(13, 20), (7, 10), (4, 5), (2, 3)]
    assert [tuple(x.shape) for x in outputs] == [(2, 10, *size) for size in sizes]
    sum(x.square().sum() for x in outputs).backward()
    without = [name for name, p in neck.named_parameters() if p.grad is None]
    assert not without


def test_weights_are_fused_as_published() -> None:
    weights = torch.tensor([1.0, -2.0, 3.0])
    assert torch.allclose(fusion_factors(weights, "fast"), torch.tensor([1.0, 0.0, 3.0]) / 4.0001)
    assert torch.allclose(fusion_factors(weights, "softmax").sum(), torch.tensor(1.0))
    assert torch.equal(fusion_factors(weights, "unbounded"), weights)
    plain = BiFPN([8], 8, num_outs=2, num_cells=1, fusion="sum")
    assert not [name for name, _ in plain.named_parameters() if name.endswith("weights")]
    fast = BiFPN([8], 8, num_outs=2, num_cells=1)
    counts = [p.numel() for n, p in fast.named_parameters() if n.endswith("weights")]
    assert counts == [2, 2]
    assert all(torch.all(p == 1) for n, p in fast.named_parameters() if n.endswith("weights"))


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (9, 12), (1, 2), (5, 5)])
@pytest.mark.parametrize("stride", [2, 3, 4])
def test_pooling_pads_as_tensorflow_does(size: tuple[int, int], stride: int) -> None:
    x = torch.randn(1, 3, *size)
    wanted = tuple(-(-side // stride) for side in size)
    strides = [-(-side // want) for side, want in zip(size, wanted, strict=True)]
    kernels = [s + 1 if s > 1 else 1 for s in strides]
    padding: list[int] = []
    for side, want, s, k in zip(size, wanted, strides, kernels, strict=True):
        total = max((want - 1) * s + k - side, 0)
        padding = [total // 2, total - total // 2, *padding]
    expected = F.max_pool2d(F.pad(x, padding, value=-float("inf")), kernels, strides)
    assert torch.equal(resize(x, wanted), expected)


def test_channels_are_matched_only_where_they_differ() -> None:
    neck = BiFPN([8, 16, 16], 16, num_outs=5, num_cells=2)
    assert [type(m) for m in neck.extra] == [nn.Identity, nn.Identity]
    first, second = neck.cells
    convs = [type(m) for node in first.nodes for m in node.matched]
    assert convs.count(nn.Sequential) == 1  # of the finest input
    assert {type(m) for node in second.nodes for m in node.matched} == {nn.Identity}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fusion": "mean"}, "fusion is 'mean'; it may be fast or"),
        ({"num_outs": 2}, "3 inputs and num_outs=2"),
        ({"num_cells": 0}, "num_cells=0"),
        ({"graph": "pan"}, "BiFPN: unknown graph 'pan'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        BiFPN([8, 12, 16], 10, **options)


def test_anchors_have_the_published_sides() -> None:
    aspects = [(1.0, 1.0), (1.4, 0.7), (0.7, 1.4)]
    generator = AspectAnchorGenerator(
        aspects=aspects,
        octave_base_scale=4.0,
        scales_per_octave=3,
        strides=[8, 16],
        center_offset=0.5,
    )
    anchors = generator.base_anchors[0]
    sides = [(float(a[2] - a[0]), float(a[3] - a[1])) for a in anchors]
    for scale in range(3):
        side = 32 * 2 ** (scale / 3)
        for aspect, sides_of in zip(aspects, sides[3 * scale :], strict=False):
            assert sides_of == pytest.approx((aspect[0] * side, aspect[1] * side))
    assert torch.allclose((anchors[:, :2] + anchors[:, 2:]) / 2, torch.tensor(4.0))


def test_levels_share_convolutions_but_not_batch_norms() -> None:
    head = EfficientDetHead(
        3,
        8,
        num_ins=2,
        stacked_convs=2,
        loss_cls={"type": "FocalLoss", "use_sigmoid": True},
        loss_bbox={"type": "SmoothL1Loss"},
        anchor_generator={
            "type": "AspectAnchorGenerator",
            "aspects": [(1.0, 1.0)],
            "octave_base_scale": 4.0,
            "scales_per_octave": 3,
            "strides": [8, 16],
        },
    )
    head.init_weights()
    assert len([m for m in head.modules() if isinstance(m, nn.BatchNorm2d)]) == 2 * 2 * 2
    x = torch.randn(2, 8, 6, 6)
    classes, boxes = head([x, x])
    assert classes[0].shape == (2, 9, 6, 6)
    assert boxes[0].shape == (2, 12, 6, 6)
    assert float(torch.sigmoid(classes[0]).mean()) == pytest.approx(0.01, abs=0.01)
    head.eval()
    norm = head.classes.norms[0][1]
    norm.running_mean += 1.0
    classes, boxes = head([x, x])
    assert not torch.equal(classes[0], classes[1])
    assert torch.equal(boxes[0], boxes[1])


def test_outputs_detections_and_losses_are_those_of_the_public_port(port: Any) -> None:
    found = port.differences(torch.load(GOLDEN))
    assert found["class logits"] < 1e-3
    assert found["box deltas"] < 1e-3
    assert found["detections: scores"] < 1e-5
    assert found["detections: boxes (pixels)"] < 1e-2
    assert found["class loss"] < 1e-4
    assert found["box loss"] < 1e-5


def test_weights_of_the_port_are_imported(
    port: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shapes = torch.load(GOLDEN)["shapes"]
    tensors = {name: port.random_value(name, shape) for name, shape in shapes.items()}
    for name, value in list(tensors.items()):
        if name.endswith(".weight") and value.dim() == 1:
            norm = name.removesuffix(".weight")
            tensors |= {f"{norm}.running_mean": value * 0, f"{norm}.running_var": value * 0 + 1}
    source, output = tmp_path / "port.pth", tmp_path / "ours.pth"
    torch.save({f"model.{name}": value for name, value in tensors.items()}, source)
    command = ["import-weights", str(source), "-o", str(output), "--efficientdet"]
    assert main([*command, "d0"]) == 0
    assert "tensors written" in capsys.readouterr().out
    imported = read_checkpoint(output)["state_dict"]
    detector = port.build("d0", 2)
    assert set(imported) == set(detector.state_dict())
    detector.load_state_dict(imported)
    bias = tensors["box_net.predict.conv_pw.bias"]
    assert torch.equal(detector.bbox_head.boxes.predict.pointwise.bias[:2], bias[[1, 0]])
    for model, message in (
        ("d1", "port.pth does not fit the network"),
        ("d9", "--efficientdet: unknown EfficientDet model 'd9'"),
    ):
        assert main([*command, model]) == 2
        assert message in capsys.readouterr().err
    torch.save({"state_dict": {"conv.weight": torch.zeros(1)}}, source)
    assert main([*command, "d0"]) == 2
    assert "has no 'class_net'" in capsys.readouterr().err


def test_initial_weights_of_efficientnet_are_the_authors() -> None:
    torch.manual_seed(0)
    net = VarianceScaledEfficientNet("b0", init_cfg={"type": "Pretrained", "checkpoint": None})
    net.init_weights()
    for conv in (m for m in net.modules() if isinstance(m, torch.nn.Conv2d)):
        outputs = conv.out_channels // conv.groups
        wanted = (2 / (outputs * conv.kernel_size[0] ** 2)) ** 0.5
        count = conv.weight.numel()
        assert conv.weight.std().item() == pytest.approx(wanted, rel=4 / (2 * count) ** 0.5)
        assert conv.bias is None or not conv.bias.any()


def test_efficientnet_begins_from_a_checkpoint(tmp_path: Path) -> None:
    source = VarianceScaledEfficientNet("b0")
    source.init_weights()
    state = {f"backbone.{name}": value for name, value in source.state_dict().items()}
    torch.save({"state_dict": state, "meta": {}}, tmp_path / "weights.pth")
    initial = {"type": "Pretrained", "prefix": "backbone."}
    net = VarianceScaledEfficientNet(
        "b0", init_cfg={**initial, "checkpoint": str(tmp_path / "weights.pth")}
    )
    net.init_weights()
    for name, value in source.state_dict().items():
        assert torch.equal(net.state_dict()[name], value), name


def test_the_importer_can_be_imported_first() -> None:
    code = "import detnas.export.efficientdet"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "content",
    [
        {"class_net.predict.conv_pw.bias": torch.zeros(())},
        {"class_net.predict.conv_pw.bias": torch.zeros(9), "backbone.blocks.4.0.bn1.weight": 1.0},
        {"class_net.predict.conv_pw.bias": torch.zeros(9), "box_net.predict.conv_pw.bias": 0.0},
        {"class_net.predict.conv_pw.bias": torch.zeros(9).to_sparse()},
    ],
)
def test_a_strange_checkpoint_is_refused(content: dict[str, Any], tmp_path: Path) -> None:
    tensors = {name: torch.as_tensor(value) for name, value in content.items()}
    torch.save({"model": tensors}, tmp_path / "theirs.pth")
    files = [str(tmp_path / "theirs.pth"), "-o", str(tmp_path / "ours.pth")]
    assert main(["import-weights", *files, "--efficientdet", "d0"]) == 2
    assert not (tmp_path / "ours.pth").exists()
