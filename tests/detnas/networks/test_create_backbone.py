"""`create_backbone`: equal to `DetNASNet`, checkpoints, timm's and torchvision's conventions."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from detnas import BackboneWithFPN, UserError, create_backbone
from detnas.models import DetNASNet, DetNASSupernet
from detnas.networks.checkpoint_file import write_checkpoint
from search_space.architecture import parse_architecture

CHOICES = [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
TINY = "tiny:" + ",".join(map(str, CHOICES))


def _checkpoint(net: Any, path: Path, prefix: str = "backbone.", **meta: Any) -> Path:
    weights = {prefix + name: value for name, value in net.state_dict().items()}
    write_checkpoint({"state_dict": weights, "meta": {"detnas": net.identity(), **meta}}, path)
    return path


@pytest.mark.parametrize("channel_shuffle", ["even_odd", "interleave"])
@pytest.mark.parametrize("prefix", ["backbone.", "module.backbone.", ""])
def test_features_equal_those_of_the_registered_network(
    channel_shuffle: str, prefix: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    net = DetNASNet(TINY, channel_shuffle=channel_shuffle)
    net.init_weights()
    net.train()(torch.randn(2, 3, 64, 64))
    file = _checkpoint(net, tmp_path / "net.pth", prefix)
    backbone = create_backbone(TINY, file, channel_shuffle=channel_shuffle)
    assert list(backbone.state_dict()) == list(net.state_dict())
    assert backbone.identity() == net.identity()
    image = torch.randn(2, 3, 75, 64)
    with torch.no_grad():
        features, registered = backbone.eval()(image), net.eval()(image)
    assert isinstance(features, list)
    assert isinstance(registered, tuple)
    assert all(torch.equal(*pair) for pair in zip(features, registered, strict=True))


def test_a_supernets_checkpoint_gives_its_part(tmp_path: Path) -> None:
    supernet = DetNASSupernet("tiny").eval()
    supernet.set_path(CHOICES)
    backbone = create_backbone(TINY, _checkpoint(supernet, tmp_path / "supernet.pth")).eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert all(
            torch.equal(*pair) for pair in zip(backbone(image), supernet(image), strict=True)
        )


def test_the_initial_weights_are_those_of_the_registered_network() -> None:
    torch.manual_seed(0)
    backbone = create_backbone(TINY)
    torch.manual_seed(0)
    net = DetNASNet(TINY)
    net.init_weights()
    for one, other in zip(backbone.state_dict().values(), net.state_dict().values(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    "what",
    ["shufflenetv2-20", TINY, parse_architecture(TINY), {"space": "tiny", "choices": CHOICES}],
)
def test_any_form_of_an_architecture_is_taken(what: Any) -> None:
    backbone = create_backbone(what)
    with torch.no_grad():
        strides = [64 // feature.shape[-1] for feature in backbone(torch.zeros(1, 3, 64, 64))]
    assert strides == [4, 8, 16, 32] == backbone.feature_info.reduction()


def test_feature_info_follows_out_indices_and_scaling() -> None:
    backbone = create_backbone(TINY, out_indices=(1, 3), scaling={"width": 2.0, "depth": 1.0})
    info = backbone.feature_info
    assert tuple(info.channels()) == backbone.out_channels
    assert (len(info), info.reduction(), info.channels(0)) == (4, [8, 32], 64)
    assert [info[i]["num_chs"] for i in (1, 3)] == info.channels()
    assert info.get_dicts(["reduction"]) == [{"reduction": 8}, {"reduction": 32}]
    features: dict[str, torch.Tensor] = {}
    for name in info.module_name():
        backbone.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: features.update({name: output})
        )
    for returned, hooked in zip(
        backbone(torch.randn(1, 3, 64, 64)), features.values(), strict=True
    ):
        assert torch.equal(returned, hooked)


def test_feature_info_is_read_by_timms_own_class() -> None:
    features = pytest.importorskip("timm.models._features", reason="timm is not installed")
    info = create_backbone(TINY, out_indices=(1, 2, 3)).feature_info
    theirs = features.FeatureInfo(deepcopy(info.info), info.out_indices)
    for method in ("channels", "reduction", "module_name", "get_dicts"):
        assert getattr(theirs, method)() == getattr(info, method)()
    assert list(theirs) == list(info)
    assert len(theirs) == len(info)


def test_frozen_batch_norm_takes_a_checkpoint(tmp_path: Path) -> None:
    net = DetNASNet(TINY)
    net.train()(torch.randn(2, 3, 64, 64))
    file = _checkpoint(net, tmp_path / "net.pth")
    backbone = create_backbone(TINY, file, norm=FrozenBatchNorm2d, frozen_stages=1)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for one, other in zip(backbone(image), net.eval()(image), strict=True):
            assert torch.allclose(one, other, atol=1e-4)
    assert not any(p.requires_grad for p in backbone.stem.parameters())


def test_a_retinanet_of_torchvision_trains() -> None:
    torch.manual_seed(0)
    backbone = create_backbone(TINY, out_indices=(1, 2, 3), norm_eval=True)
    fpn = BackboneWithFPN(backbone, 32, LastLevelP6P7(32, 32))
    anchors = AnchorGenerator(((16,), (32,), (64,), (128,), (256,)), ((1.0,),) * 5)
    model = RetinaNet(fpn, 3, anchor_generator=anchors, min_size=64, max_size=64).train()
    targets = [{"boxes": torch.tensor([[8.0, 8.0, 50.0, 50.0]]), "labels": torch.tensor([1])}]
    losses = model([torch.rand(3, 64, 64)], targets)
    sum(losses.values()).backward()
    assert backbone.stem[0].weight.grad is not None
    assert set(fpn(torch.rand(1, 3, 64, 64))) == {"0", "1", "2", "p6", "p7"}


def _other_architecture(path: Path) -> dict[str, Any]:
    return {"pretrained": _checkpoint(DetNASNet("tiny:" + ",".join("1" * 10)), path)}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (lambda path: {"architecture": "tiny:1,2"}, "architecture has 2 choices"),
        (lambda path: {"architecture": "none.json"}, "no such architecture"),
        (lambda path: {"architecture": "none"}, "unknown architecture"),
        (lambda path: {"architecture": ""}, "unknown architecture ''"),
        (lambda path: {"architecture": str(path)}, "net.pth is a file of weights.* `pretrained`"),
        (lambda path: {"architecture": "final.pth"}, "final.pth is a file of weights"),
        (lambda path: {"architecture": path.parent}, "is a folder: name a file of it, such as"),
        (lambda path: {"pretrained": path}, "net.pth does not exist"),
        (lambda path: {"pretrained": path.parent}, "is a folder: name a file"),
        (lambda path: {"pretrained": 5}, "the checkpoint is 5; it must be the path of a file"),
        (lambda path: {"pretrained": ""}, "the checkpoint is ''"),
        (lambda path: {"out_indices": (4,)}, "out_indices is .4,.; space 'tiny' has stages 0 to 3"),
        (lambda path: {"out_indices": 3}, "out_indices is 3; it must list stages"),
        (lambda path: {"out_indices": None}, "out_indices is None"),
        (lambda path: {"out_indices": "12"}, "out_indices is '12'"),
        (lambda path: {"out_indices": (1.5,)}, "out_indices is .1.5,."),
        (lambda path: {"out_indices": (True,)}, "out_indices is .True,."),
        (lambda path: {"frozen_stages": 9}, "frozen_stages is 9; it may be -1 to 4"),
        (lambda path: {"frozen_stages": None}, "frozen_stages is None"),
        (lambda path: {"frozen_stages": "1"}, "frozen_stages is '1'"),
        (lambda path: {"frozen_stages": 1.5}, "frozen_stages is 1.5"),
        (lambda path: {"norm_eval": "no"}, "norm_eval is 'no'; it must be True or False"),
        (lambda path: {"norm": "BN"}, "norm is 'BN'; it must make a layer"),
        (lambda path: {"memory_format": ["nhwc"]}, "memory_format is .'nhwc'."),
        (lambda path: {"channel_shuffle": "odd"}, "channel shuffle 'odd'"),
        (lambda path: {"memory_format": "nhwc"}, "memory_format"),
        (_other_architecture, "net.pth is of another architecture"),
        (
            lambda path: {"pretrained": _checkpoint(DetNASSupernet("tiny", "interleave"), path)},
            "channel shuffle 'interleave'",
        ),
    ],
)
def test_bad_arguments_are_user_errors(
    arguments: Callable[[Path], dict[str, Any]], said: str, tmp_path: Path
) -> None:
    given = {"architecture": TINY, **arguments(tmp_path / "net.pth")}
    with pytest.raises(UserError, match=said):
        create_backbone(**given)


@pytest.mark.parametrize("given", [[1, 2], range(1, 3), np.array([1, 2])])
def test_any_list_of_stages_is_taken(given: Any) -> None:
    assert create_backbone(TINY, out_indices=given).out_indices == (1, 2)


def test_a_work_directory_is_answered_with_its_files(tmp_path: Path) -> None:
    (tmp_path / "search").mkdir()
    file = tmp_path / "search" / "best_architecture.json"
    parse_architecture(TINY).save(file)
    with pytest.raises(UserError, match=f"is a folder: name a file of it, {file}$"):
        create_backbone(str(tmp_path))
    assert create_backbone(file).architecture.key == TINY


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("stem.0.weight", lambda t: t.double().fill_(1e300), "up to 1e.300, which torch.float32"),
        ("stem.0.weight", lambda t: t.to_sparse(), "is a sparse tensor"),
        ("stem.0.weight", lambda t: t.to("meta"), "is a tensor without data"),
        ("stem.1.running_var", lambda t: -t, "has negative values, which no variance has"),
    ],
)
def test_weights_that_no_training_gives_are_refused(
    name: str, change: Callable[[torch.Tensor], torch.Tensor], said: str, tmp_path: Path
) -> None:
    weights = create_backbone(TINY).state_dict()
    torch.save({"state_dict": {**weights, name: change(weights[name])}}, tmp_path / "net.pth")
    with pytest.raises(UserError, match=f"net.pth.*{name} .*{said}"):
        create_backbone(TINY, tmp_path / "net.pth")


def test_weights_of_other_precision_are_taken(tmp_path: Path) -> None:
    weights = create_backbone(TINY).state_dict()
    double = {
        name: value.double() if value.is_floating_point() else value
        for name, value in weights.items()
    }
    torch.save({"state_dict": double}, tmp_path / "net.pth")
    loaded = create_backbone(TINY, tmp_path / "net.pth").state_dict()
    assert all(torch.equal(loaded[name], weights[name]) for name in weights)
