"""The backbones: the authors' outputs, slices, active paths, invalid arguments."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine import ConfigDict
from mmpretrain.registry import MODELS as MMPRETRAIN_MODELS

from detnas.models import DetNASNet, DetNASSupernet
from detnas.models.checkpoints import load_backbone_weights, slice_subnet
from search_space.sampling import BudgetSampler
from search_space.spaces import get_space, parse_space

GOLDEN = Path(__file__).parents[4] / "shared" / "golden"
needs_golden = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason="the authors' golden weights are not in the repository"
)


def _load_in_order(net: torch.nn.Module, official: dict[str, torch.Tensor]) -> None:
    """Load the authors' state dict into a network; its tensors have the same order."""
    own = net.state_dict()
    assert len(own) == len(official)
    filled = {}
    for (key, tensor), given in zip(own.items(), official.values(), strict=True):
        assert tensor.shape == given.shape, key
        filled[key] = given.to(tensor.dtype)
    net.load_state_dict(filled)


@needs_golden
def test_authors_network_gives_the_authors_features() -> None:
    golden = torch.load(GOLDEN / "official_detnasnet_300m_fpn.pth", weights_only=True)
    net = DetNASNet("detnasnet-300m-coco-fpn").eval()
    _load_in_order(net, golden["state_dict"])
    with torch.no_grad():
        features = net(golden["input"].float())
    for ours, theirs in zip(features, golden["outputs"], strict=True):
        assert (ours - theirs.float()).abs().max() <= 1e-4 * theirs.float().abs().max()


@needs_golden
def test_authors_supernet_gives_the_authors_features_on_every_path() -> None:
    golden = torch.load(GOLDEN / "official_supernet_small.pth", weights_only=True)
    net = DetNASSupernet("small", "interleave").eval()
    _load_in_order(net, golden["state_dict"])
    for path, outputs in zip(golden["paths"].tolist(), golden["outputs"], strict=True):
        net.set_path(path)
        with torch.no_grad():
            features = net(golden["input"].float())
        for ours, theirs in zip(features, outputs, strict=True):
            assert (ours - theirs.float()).abs().max() <= 1e-4 * theirs.float().abs().max()


def _trained_a_little(net: DetNASSupernet) -> DetNASSupernet:
    net.init_weights()
    net.train()
    with torch.no_grad():
        for path in ((0,) * 10, (1,) * 10, (2,) * 10, (3,) * 10):
            net.set_path(path)
            net(torch.randn(2, 3, 64, 64))
    return net.eval()


@pytest.mark.parametrize("channel_shuffle", ["even_odd", "interleave"])
@pytest.mark.parametrize("memory_format", ["channels_last", "contiguous"])
def test_slice_is_bit_identical_to_the_supernet_on_that_path(
    channel_shuffle: str, memory_format: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    supernet = _trained_a_little(
        DetNASSupernet("tiny", channel_shuffle, memory_format=memory_format)
    )
    checkpoint = tmp_path / "supernet.pth"
    state_dict = {f"backbone.{k}": v for k, v in supernet.state_dict().items()}
    torch.save({"state_dict": state_dict, "meta": {"detnas": supernet.identity()}}, checkpoint)
    image = torch.randn(2, 3, 75, 64)
    paths = BudgetSampler(get_space("tiny"), []).sample(np.random.default_rng(0), 3)
    for path in paths.tolist():
        supernet.set_path(path)
        architecture = {"space": "tiny", "choices": path, "channel_shuffle": channel_shuffle}
        net = DetNASNet(architecture, memory_format=memory_format).eval()
        load_backbone_weights(net, checkpoint)
        with torch.no_grad():
            for one, other in zip(supernet(image), net(image), strict=True):
                assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("out_indices", "strides", "channels"),
    [
        ((0, 1, 2, 3), (4, 8, 16, 32), (64, 160, 320, 640)),
        ((1, 2, 3), (8, 16, 32), (160, 320, 640)),
    ],
)
def test_outputs_fit_fpn_and_retinanet(
    out_indices: tuple[int, ...], strides: tuple[int, ...], channels: tuple[int, ...]
) -> None:
    net = MMDET_MODELS.build({"type": "DetNASSupernet", "out_indices": out_indices})
    assert net.out_channels == channels
    with torch.no_grad():
        features = net(torch.zeros(1, 3, 64, 96))
    assert [tuple(f.shape) for f in features] == [
        (1, c, 64 // s, 96 // s) for c, s in zip(channels, strides, strict=True)
    ]


def test_backbones_are_in_both_registries() -> None:
    for name in ("DetNASSupernet", "DetNASNet", "mmdet.DetNASNet"):
        assert MMDET_MODELS.get(name) is not None
        assert MMPRETRAIN_MODELS.get(name) is not None


def test_only_the_active_path_learns_and_decays() -> None:
    """Weights, momentum and decay of every choice off the path stay bit-identical."""
    torch.manual_seed(0)
    net = DetNASSupernet("tiny")
    net.init_weights()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    rng = np.random.default_rng(0)
    for _ in range(3):  # so that many choices have momentum
        _step(net, optimiser, rng.integers(0, 4, 10).tolist())
    names = {id(p): n for n, p in net.named_parameters()}
    before = {n: p.detach().clone() for n, p in net.named_parameters()}
    momentum = {
        names[id(p)]: state["momentum_buffer"].clone() for p, state in optimiser.state.items()
    }
    running = {n: b.clone() for n, b in net.named_buffers()}
    path = rng.integers(0, 4, 10).tolist()
    _step(net, optimiser, path)

    def is_active(name: str) -> bool:
        parts = name.split(".")
        return parts[0] == "stem" or path[int(parts[1])] == int(parts[2])

    for name, parameter in net.named_parameters():
        assert torch.equal(parameter, before[name]) != is_active(name), name
        if not is_active(name) and name in momentum:
            assert torch.equal(optimiser.state[parameter]["momentum_buffer"], momentum[name]), name
    for name, buffer in net.named_buffers():
        if not is_active(name):
            assert torch.equal(buffer, running[name]), name


def test_a_custom_space_comes_from_a_config() -> None:
    choices = ["shufflenet_5x5", "xception_3x3"]
    space = {"name": "mine", "stem": 8, "stages": [[16, 1], [32, 1]], "choices": choices}
    config = ConfigDict(space=space, out_indices=(0, 1))
    supernet = MMDET_MODELS.build({"type": "DetNASSupernet", **config})
    architecture = {"space": config.space, "choices": [1, 0]}
    net = MMDET_MODELS.build({"type": "DetNASNet", "architecture": architecture, **config})
    assert supernet.space == net.space == parse_space(config.space)
    assert net.architecture.choice_names == ("xception_3x3", "shufflenet_5x5")


def _step(net: DetNASSupernet, optimiser: torch.optim.Optimizer, path: list[int]) -> None:
    net.train()
    net.set_path(path)
    optimiser.zero_grad()
    sum(f.square().mean() for f in net(torch.randn(2, 3, 64, 64))).backward()
    optimiser.step()


def test_frozen_stages_do_not_learn_and_keep_their_statistics() -> None:
    net = DetNASSupernet("tiny", frozen_stages=1)
    net.train()
    assert not any(p.requires_grad for p in net.stem.parameters())
    assert not any(p.requires_grad for p in net.blocks[:2].parameters())
    assert all(p.requires_grad for p in net.blocks[2:].parameters())
    assert not net.stem[1].training
    assert net.blocks[2]["0"].main[1].training


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"space": "smal"}, "smal"),
        ({"channel_shuffle": "odd"}, "channel_shuffle"),
        ({"out_indices": (4,)}, "out_indices"),
        ({"memory_format": "nhwc"}, "memory_format"),
        ({"init_cfg": {"type": "Kaiming"}}, "init_cfg"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DetNASSupernet(**arguments)


def test_path_of_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="9 choices"):
        DetNASSupernet("tiny").set_path([0] * 9)


def test_checkpoints_of_another_space_shuffle_or_architecture_are_refused(tmp_path: Path) -> None:
    supernet = DetNASSupernet("tiny")
    checkpoint = tmp_path / "s.pth"
    state_dict = {f"backbone.{k}": v for k, v in supernet.state_dict().items()}
    torch.save({"state_dict": state_dict, "meta": {"detnas": supernet.identity()}}, checkpoint)
    with pytest.raises(ValueError, match=r"space 'tiny'.*'small'"):
        load_backbone_weights(DetNASSupernet("small"), checkpoint)
    with pytest.raises(ValueError, match="channel shuffle 'even_odd'"):
        load_backbone_weights(DetNASSupernet("tiny", "interleave"), checkpoint)
    net = DetNASNet("tiny:" + ",".join("0" * 10))
    subnet = tmp_path / "n.pth"
    sliced = slice_subnet(state_dict, [1] * 10, "backbone.")
    meta = {"detnas": net.identity() | {"choices": [1] * 10}}
    torch.save({"state_dict": sliced, "meta": meta}, subnet)
    with pytest.raises(ValueError, match="another architecture"):
        load_backbone_weights(net, subnet)
    with pytest.raises(ValueError, match="one architecture"):
        load_backbone_weights(supernet, subnet)
