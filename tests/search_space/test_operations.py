"""Channel shuffles and depthwise convolutions in training: outputs and gradients of torch's own."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from search_space import operations
from search_space.operations import SPLITS, DepthwiseConv2d, depthwise_weight_gradient


def _channels(name: str, x: Tensor) -> tuple[list[int], list[int]]:
    """Which channels pass, and which are computed, by the definitions of the shuffles."""
    count = x.shape[1]
    if name == "even_odd":
        return list(range(0, count, 2)), list(range(1, count, 2))
    halves = list(range(count // 2)), list(range(count // 2, count))
    order = [channel for pair in zip(*halves, strict=True) for channel in pair]
    return order[: count // 2], order[count // 2 :]


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", SPLITS)
def test_halves_and_gradients_are_those_of_indexing(
    name: str, dtype: torch.dtype, layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 16, 5, 7).to(dtype).contiguous(memory_format=layout)
    weights = torch.randn(2, 16, 5, 7)
    gradients: list[Tensor] = []
    passed, computed = _channels(name, x)
    with torch.no_grad():
        plain = SPLITS[name](x)
    for split in (SPLITS[name], lambda x: (x[:, passed], x[:, computed])):
        given = x.clone(memory_format=torch.preserve_format).requires_grad_()
        halves = split(given)
        for half, expected in zip(halves, plain, strict=True):
            assert torch.equal(half, expected)
        (torch.cat([halves[0], halves[1].relu()], 1) * weights).sum().backward()
        assert given.grad is not None
        gradients.append(given.grad)
    assert torch.equal(*gradients)
    assert gradients[0].stride() == x.stride()


@pytest.mark.parametrize("name", SPLITS)
def test_a_half_that_nothing_uses_has_no_gradient(name: str) -> None:
    x = torch.randn(1, 8, 3, 3, requires_grad=True)
    SPLITS[name](x)[1].sum().backward()
    assert x.grad is not None
    _, computed = _channels(name, x)
    assert x.grad.sum() == 9 * len(computed)
    assert (x.grad[:, computed] == 1).all()


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 2), (4, 4), (5, 9), (8, 3), (13, 12)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_a_depthwise_layer_has_torchs_output_and_gradients(
    kernel: int,
    stride: int,
    size: tuple[int, int],
    layout: torch.memory_format,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(operations, "SLOW_DEPTHWISE_GRADIENTS", True)
    torch.manual_seed(0)
    ours = DepthwiseConv2d(6, 6, kernel, stride, kernel // 2, groups=6, bias=False)
    exact = nn.Conv2d(6, 6, kernel, stride, kernel // 2, groups=6, bias=False).double()
    exact.load_state_dict(ours.state_dict())
    x = torch.randn(3, 6, *size).contiguous(memory_format=layout)
    given, doubled = x.clone().requires_grad_(), x.double().requires_grad_()
    output = ours(given)
    with torch.no_grad():
        assert torch.equal(output, ours(x))
    expected = exact(doubled)
    weights = torch.randn_like(output)
    (output * weights).sum().backward()
    (expected * weights.double()).sum().backward()
    for mine, right in ((output, expected), (given.grad, doubled.grad)):
        torch.testing.assert_close(mine, right.float())
    assert ours.weight.grad is not None
    assert exact.weight.grad is not None
    torch.testing.assert_close(ours.weight.grad, exact.weight.grad.float(), atol=2e-5, rtol=2e-5)
    alone = depthwise_weight_gradient(x, weights, kernel, stride)
    torch.testing.assert_close(alone, exact.weight.grad.float(), atol=2e-5, rtol=2e-5)


def test_a_depthwise_layer_whose_weights_are_fixed_passes_the_gradient_on() -> None:
    layer = DepthwiseConv2d(4, 4, 7, 1, 3, groups=4, bias=False).requires_grad_(False)
    x = torch.randn(2, 4, 6, 6, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad is not None
    assert layer.weight.grad is None


def test_a_depthwise_layer_is_torchs_under_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "SLOW_DEPTHWISE_GRADIENTS", True)
    torch.manual_seed(0)
    layer, x = DepthwiseConv2d(4, 4, 5, 1, 2, groups=4), torch.randn(2, 4, 6, 6)
    plain = nn.Conv2d(4, 4, 5, 1, 2, groups=4)
    plain.load_state_dict(layer.state_dict())
    for each in (layer, plain):
        with torch.autocast("cpu", torch.bfloat16):
            output = each(x)
        assert output.dtype == torch.bfloat16
        output.float().square().sum().backward()
    assert torch.equal(layer.weight.grad, plain.weight.grad)


@pytest.mark.parametrize(
    "options",
    [
        {"padding": 0},
        {"padding": 3, "dilation": 2},
        {"padding": 3, "stride": (1, 2)},
        {"padding": 3, "padding_mode": "reflect"},
    ],
    ids=str,
)
def test_another_geometry_is_torchs(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "SLOW_DEPTHWISE_GRADIENTS", True)
    torch.manual_seed(0)
    layer = DepthwiseConv2d(4, 4, 7, groups=4, **options)
    plain = nn.Conv2d(4, 4, 7, groups=4, **options)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(2, 4, 14, 15)
    for each in (layer, plain):
        each(x).square().sum().backward()
    torch.testing.assert_close(layer.weight.grad, plain.weight.grad)


def test_an_activation_may_work_in_place_on_a_depthwise_layers_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(operations, "SLOW_DEPTHWISE_GRADIENTS", True)
    torch.manual_seed(0)
    layer = DepthwiseConv2d(4, 4, 5, 1, 2, groups=4)
    x = torch.randn(2, 4, 6, 6, requires_grad=True)
    gradients = []
    for inplace in (True, False):
        layer.zero_grad()
        nn.ReLU(inplace)(layer(x)).square().sum().backward()
        assert layer.weight.grad is not None
        gradients.append(layer.weight.grad.clone())
    assert torch.equal(*gradients)
