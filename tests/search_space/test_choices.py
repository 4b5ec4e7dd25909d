"""The choices' layers: the places that they fill, the modules built from them, inflation."""

import pytest
import torch
from torch import nn

from search_space.blocks import ShuffleBlock, inflate, initialise
from search_space.choices import CHOICES, INFLATION_SOURCE, BlockSpec
from search_space.cost import params_table
from search_space.spaces import PAPER_CHOICES, SPACES, SearchSpace, Stage

PLACES = {
    1: BlockSpec(index=1, stage=0, in_channels=16, out_channels=16, stride=1, input_stride=4),
    2: BlockSpec(index=0, stage=0, in_channels=8, out_channels=16, stride=2, input_stride=2),
}

WITH_LAYERS = [name for name, choice in CHOICES.items() if not choice.is_empty]


def test_published_spaces_have_the_paper_s_choices() -> None:
    published = ("small", "large", "large-wide", "tiny")
    assert {SPACES[name].choices for name in published} == {PAPER_CHOICES}
    assert set(PAPER_CHOICES) <= set(CHOICES)


@pytest.mark.parametrize("choice", WITH_LAYERS)
@pytest.mark.parametrize("stride", PLACES)
def test_layers_fill_their_place(choice: str, stride: int) -> None:
    spec = PLACES[stride]
    main, projection = CHOICES[choice].convs(spec)
    assert [conv.stride for conv in main].count(2) == (stride == 2)
    assert bool(projection) == (stride == 2)
    passed = projection[-1].out_channels if projection else spec.in_channels // 2
    assert passed + main[-1].out_channels == spec.out_channels
    assert main[-1].output_stride == spec.input_stride * spec.stride
    assert ShuffleBlock(spec, choice)(torch.zeros(2, spec.in_channels, 9, 8)).shape == (
        *(2, spec.out_channels),
        *((9, 8) if stride == 1 else (5, 4)),
    )


@pytest.mark.parametrize("choice", CHOICES)
def test_modules_have_the_parameters_that_are_counted(choice: str) -> None:
    space = SearchSpace("every", 8, (Stage(16, 2),), tuple(CHOICES))
    for spec, entries in zip(space.block_specs(), params_table(space).entries, strict=True):
        number = space.choices.index(choice)
        assert (number in entries) == (spec.stride == 1 or CHOICES[choice].halves)
        if number in entries:
            block = ShuffleBlock(spec, choice)
            assert sum(parameter.numel() for parameter in block.parameters()) == entries[number]


@pytest.mark.parametrize("choice", [name for name in WITH_LAYERS if name != INFLATION_SOURCE])
@pytest.mark.parametrize("stride", PLACES)
def test_every_choice_can_be_inflated(choice: str, stride: int) -> None:
    torch.manual_seed(0)
    spec = PLACES[stride]
    source, target = ShuffleBlock(spec, INFLATION_SOURCE), ShuffleBlock(spec, choice)
    for block in (source, target):
        initialise(block)
    inflate(source, target)
    trained = {tuple(w.flatten()[:3].tolist()) for w in _pointwise(source)}
    assert trained <= {tuple(w.flatten()[:3].tolist()) for w in _pointwise(target)}
    images = torch.randn(2, spec.in_channels, 12, 12)
    if CHOICES[choice].inflation is None:
        torch.testing.assert_close(target(images), source(images))


def test_skip_has_no_layers_and_returns_its_input() -> None:
    spec = PLACES[1]
    skip, images = ShuffleBlock(spec, "skip"), torch.randn(2, spec.in_channels, 9, 8)
    assert CHOICES["skip"].convs(spec) == ((), ())
    assert skip(images) is images
    assert not skip.state_dict()
    inflate(ShuffleBlock(spec, INFLATION_SOURCE), skip)
    assert skip(images) is images
    assert [name for name, choice in CHOICES.items() if choice.is_empty] == ["skip"]
    assert [name for name, choice in CHOICES.items() if not choice.halves] == ["skip"]


@pytest.mark.parametrize(("stride", "least"), [(1, 0.99), (2, 0.7)])
def test_an_inflated_xception_block_approximates_its_source(stride: int, least: float) -> None:
    """Per channel, on smooth inputs; subsampling without averages gives 0.59 at stride 2."""
    torch.manual_seed(0)
    spec = PLACES[stride]
    source, target = ShuffleBlock(spec, INFLATION_SOURCE), ShuffleBlock(spec, "xception_3x3")
    for block in (source, target):
        initialise(block)
    inflate(source, target)
    images = nn.functional.interpolate(torch.randn(16, spec.in_channels, 13, 13), scale_factor=2.0)
    images = nn.functional.avg_pool2d(images, 3, stride=1, padding=1)
    with torch.no_grad():
        channels = [block(images).transpose(0, 1).flatten(1) for block in (source, target)]
    half = spec.out_channels // 2 if stride == 1 else spec.in_channels  # the rest passes
    pairs = [torch.stack(pair) for pair in zip(*(c[half:] for c in channels), strict=True)]
    correlations = torch.stack([torch.corrcoef(pair)[0, 1] for pair in pairs])
    assert correlations.mean() > least, correlations


def _pointwise(block: ShuffleBlock) -> list[torch.Tensor]:
    convs = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
    return [conv.weight for conv in convs if conv.kernel_size == (1, 1)]
