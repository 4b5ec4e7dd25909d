"""The channel shuffles in training: values and gradients of plain slices and reshapes."""

import pytest
import torch
from torch import Tensor

from search_space.blocks import SPLITS


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
