"""Backbones of spaces with skip: what runs, what learns, inflation, slices of checkpoints."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from detnas.errors import UserError
from detnas.models import DetNASNet, DetNASSupernet
from detnas.models.checkpoints import load_backbone_weights, slice_subnet
from search_space.architecture import Architecture, costs
from search_space.blocks import ShuffleBlock
from search_space.choices import CHOICES
from search_space.sampling import BudgetSampler
from search_space.spaces import PAPER_CHOICES, SPACES, WITH_SKIP, SearchSpace, Stage, get_space

SPACE = SPACES["tiny-skip"]
SKIP = WITH_SKIP.index("skip")
HALVING = [spec.index for spec in SPACE.block_specs() if spec.stride == 2]
DEEPEST = (0,) * 10
SHALLOWEST = tuple(0 if block in HALVING else SKIP for block in range(10))
MIXED = (2, SKIP, 1, 0, 3, SKIP, 2, SKIP, 0, SKIP)


def drawn_paths(n: int, seed: int = 0) -> list[list[int]]:
    return BudgetSampler(SPACE).sample(np.random.default_rng(seed), n).tolist()


@pytest.fixture(scope="module")
def supernet() -> DetNASSupernet:
    """A supernet in eval mode whose batch norms have seen images."""
    torch.manual_seed(0)
    net = DetNASSupernet(SPACE)
    net.init_weights()
    net.train()
    with torch.no_grad():
        for path in ([1] * 10, [2] * 10, [3] * 10, [0] * 10, *drawn_paths(3)):
            net.set_path(path)
            net(torch.randn(2, 3, 64, 64))
    return net.eval()


@pytest.mark.parametrize("path", [DEEPEST, SHALLOWEST, MIXED])
def test_every_path_gives_all_features(supernet: DetNASSupernet, path: tuple[int, ...]) -> None:
    supernet.set_path(path)
    assert supernet.path == path
    with torch.no_grad():
        features = supernet(torch.zeros(1, 3, 64, 96))
    assert [tuple(f.shape) for f in features] == [
        (1, 32, 16, 24),
        (1, 64, 8, 12),
        (1, 128, 4, 6),
        (1, 256, 2, 3),
    ]


def test_a_supernet_has_the_choices_of_each_block_alone(supernet: DetNASSupernet) -> None:
    assert DetNASSupernet(SPACE).path == DEEPEST
    for numbers, choices in zip(SPACE.numbers, supernet.blocks, strict=True):
        assert list(choices) == list(map(str, numbers))
    with pytest.raises(ValueError, match=r"block 2 of space 'tiny-skip' cannot be 'skip'"):
        supernet.set_path([SKIP if block == 2 else 0 for block in range(10)])


def test_the_keys_of_weights_are_those_of_the_space_without_skip(supernet: DetNASSupernet) -> None:
    assert list(supernet.state_dict()) == list(DetNASSupernet("tiny").state_dict())


def test_a_path_with_skips_equals_the_network_without_those_blocks(
    supernet: DetNASSupernet,
) -> None:
    supernet.set_path(MIXED)
    image = torch.randn(2, 3, 64, 64)
    blocks = [
        supernet.blocks[block][str(choice)] for block, choice in enumerate(MIXED) if choice != SKIP
    ]
    with torch.no_grad():
        features = supernet(image)
        x = supernet.stem(image.contiguous(memory_format=supernet.memory_format))
        for block in blocks:
            x = block(x)
    assert len(blocks) == 6
    assert torch.equal(x, features[-1])


def test_a_network_without_blocks_has_fewer_blocks_of_the_same_weights(
    supernet: DetNASSupernet,
) -> None:
    """Stage by stage, MIXED has 1, 2, 2 and 1 blocks: the network of that geometry is the same."""
    shorter = SearchSpace(
        "shorter", 16, (Stage(32, 1), Stage(64, 2), Stage(128, 2), Stage(256, 1)), PAPER_CHOICES
    )
    short = DetNASNet(Architecture(shorter, tuple(c for c in MIXED if c != SKIP))).eval()
    skipping = DetNASNet(Architecture(SPACE, MIXED)).eval()
    skipping.load_state_dict(slice_subnet(supernet.state_dict(), MIXED))
    short.load_state_dict(
        dict(zip(short.state_dict(), skipping.state_dict().values(), strict=True))
    )
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert all(map(torch.equal, short(image), skipping(image)))


@pytest.mark.parametrize("path", [DEEPEST, SHALLOWEST, MIXED])
def test_parameters_are_those_that_are_counted(path: tuple[int, ...]) -> None:
    architecture = Architecture(SPACE, path)
    counted = sum(parameter.numel() for parameter in DetNASNet(architecture).parameters())
    assert counted == costs(architecture)["params"]


def test_only_the_active_path_learns_and_decays() -> None:
    torch.manual_seed(0)
    net = DetNASSupernet(SPACE)
    net.init_weights()
    net.train()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    for path in (DEEPEST, *drawn_paths(3), MIXED):
        before = copy.deepcopy(net.state_dict())
        net.set_path(path)
        optimiser.zero_grad()
        sum(f.square().mean() for f in net(torch.randn(2, 3, 64, 64))).backward()
        optimiser.step()
        for key, parameter in net.named_parameters():
            parts = key.split(".")
            on_path = parts[0] == "stem" or path[int(parts[1])] == int(parts[2])
            assert torch.equal(parameter, before[key]) != on_path, (path, key)


@pytest.mark.parametrize("channel_shuffle", ["even_odd", "interleave"])
def test_slices_load_strictly_and_are_bit_identical(channel_shuffle: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = DetNASSupernet(SPACE, channel_shuffle)
    net.init_weights()
    net.eval()
    checkpoint = tmp_path / "supernet.pth"
    state_dict = {f"backbone.{key}": value for key, value in net.state_dict().items()}
    state_dict["head.weight"] = torch.zeros(1)
    torch.save({"state_dict": state_dict, "meta": {"detnas": net.identity()}}, checkpoint)
    image = torch.randn(1, 3, 75, 64)
    for path in (SHALLOWEST, MIXED, *map(tuple, drawn_paths(2))):
        subnet = DetNASNet(Architecture(SPACE, path, channel_shuffle)).eval()
        subnet.load_state_dict(slice_subnet(net.state_dict(), path), strict=True)
        other = DetNASNet(Architecture(SPACE, path, channel_shuffle)).eval()
        load_backbone_weights(other, checkpoint)
        net.set_path(path)
        with torch.no_grad():
            for one, two, three in zip(net(image), subnet(image), other(image), strict=True):
                assert torch.equal(one, two)
                assert torch.equal(one, three)
    sliced = slice_subnet(state_dict, MIXED, "backbone.")
    assert "head.weight" in sliced
    assert not [key for key in sliced if key.startswith("backbone.blocks.1.")]


def test_a_checkpoint_of_the_space_without_skip_is_refused(tmp_path: Path) -> None:
    """Its tensors are the same, but it was trained without skips."""
    net = DetNASSupernet("tiny")
    checkpoint = tmp_path / "tiny.pth"
    state_dict = {f"backbone.{key}": value for key, value in net.state_dict().items()}
    torch.save({"state_dict": state_dict, "meta": {"detnas": net.identity()}}, checkpoint)
    with pytest.raises(ValueError, match=r"of space 'tiny', but the backbone of space 'tiny-skip'"):
        load_backbone_weights(DetNASSupernet(SPACE), checkpoint)


def test_scaled_and_ragged_spaces_are_built() -> None:
    net = DetNASSupernet("tiny-skip@0.5")
    net.set_path(MIXED)
    with torch.no_grad():
        assert [f.shape[1] for f in net(torch.zeros(1, 3, 64, 64))] == [16, 32, 64, 128]
    narrow = DetNASNet(f"tiny-skip:{','.join(map(str, MIXED))}", space="tiny-skip@0.5")
    assert narrow.architecture == Architecture(get_space("tiny-skip@0.5"), MIXED)
    places = (("shufflenet_5x5",), ("skip", "xception_3x3"), ("shufflenet_3x3",))
    space = SearchSpace("ragged", 8, (Stage(16, 2), Stage(32, 1)), WITH_SKIP, places)
    ragged = DetNASSupernet(space.to_dict(), out_indices=(0, 1))
    assert ragged.path == (1, 3, 0)
    ragged.set_path((1, SKIP, 0))
    with torch.no_grad():
        assert [f.shape[1] for f in ragged(torch.zeros(1, 3, 64, 64))] == [16, 32]
    with pytest.raises(UserError, match="first choice of every block, unlike in space 'ragged'"):
        ragged.inflate()


def _trained(net: DetNASSupernet) -> DetNASSupernet:
    """Batch norms of the active path get statistics and weights unlike the initial ones."""
    net.train()
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(4, 3, 64, 64))
        for block in net.active_blocks():
            for module in block.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.weight.uniform_(0.5, 1.5)
    return net.eval()


def test_inflation_leaves_skips_as_they_are() -> None:
    torch.manual_seed(0)
    net = DetNASSupernet(SPACE)
    net.init_weights()
    _trained(net)
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        trained = net(image)
        net.inflate()
        assert all(map(torch.equal, net(image), trained))
        for choice in (1, 2):  # larger kernels
            net.set_path([choice] * 10)
            for inflated, original in zip(net(image), trained, strict=True):
                torch.testing.assert_close(inflated, original)
        # Skips drop their block: what remains is that of the trained path, whichever the kernels.
        for kernels in ((0, 0), (1, 2), (2, 1)):
            path = [SKIP if block in (3, 6, 7) else kernels[block % 2] for block in range(10)]
            net.set_path(path)
            x = net.stem(image.contiguous(memory_format=net.memory_format))
            for block in (0, 1, 2, 4, 5, 8, 9):
                x = net.blocks[block]["0"](x)
            torch.testing.assert_close(net(image)[-1], x)


def test_inflation_needs_its_source_first() -> None:
    choices = ("skip", "shufflenet_3x3")
    space = SearchSpace("skip-first", 8, (Stage(16, 2),), choices)
    with pytest.raises(UserError, match="only shufflenet_3x3 can be inflated"):
        DetNASSupernet(space, out_indices=(0,)).inflate()


def test_a_skip_block_has_no_state() -> None:
    block = ShuffleBlock(SPACE.block_specs()[1], "skip")
    assert not list(block.parameters())
    assert not list(block.buffers())
    assert CHOICES["skip"].is_empty
