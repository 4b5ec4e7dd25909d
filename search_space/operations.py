"""What the blocks compute with beyond torch's layers: channel shuffles and depthwise convolution.

Their outputs are torch's own; their gradients take less time.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad


def even_odd_split(x: Tensor) -> tuple[Tensor, Tensor]:
    """Channel shuffle `even_odd`: (even channels, which pass; odd channels, which are computed).

    Args:
        x: (N, C, H, W), C even. Returns two (N, C/2, H, W).
    """
    if torch.is_grad_enabled() and x.requires_grad:
        return _EvenOddSplit.apply(x)
    return x[:, 0::2], x[:, 1::2]


def interleave_split(x: Tensor) -> tuple[Tensor, Tensor]:
    """Channel shuffle `interleave`: interleave the two halves of the channels, then cut in halves.

    Args:
        x: (N, C, H, W), C divisible by four. Returns two (N, C/2, H, W): the one that passes, and
            the one that is computed.
    """
    if torch.is_grad_enabled() and x.requires_grad:
        return _InterleaveSplit.apply(x)
    return _interleaved(x)


def _interleaved(x: Tensor) -> tuple[Tensor, Tensor]:
    n, c, h, w = x.shape
    shuffled = x.reshape(n, 2, c // 2, h, w).transpose(1, 2)
    half = c // 4
    passed = shuffled[:, :half].reshape(n, c // 2, h, w)
    computed = shuffled[:, half:].reshape(n, c // 2, h, w)
    return passed, computed


def _empty_like(x: Tensor, channels: int) -> Tensor:
    """Uninitialised maps of other channels, in the layout of x."""
    is_last = x.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if is_last else torch.contiguous_format
    n, _, h, w = x.shape
    return torch.empty((n, channels, h, w), dtype=x.dtype, device=x.device, memory_format=layout)


class _EvenOddSplit(torch.autograd.Function):
    """`even_odd_split` in training, with the same values and gradients in fewer copies.

    The computed half is copied once, where the convolution would copy it again for its gradients.
    Autograd's own gradient of two slices fills two maps with zeros and adds them.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        computed = _empty_like(x, x.shape[1] // 2)
        computed.copy_(x[:, 1::2])
        return x[:, 0::2], computed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        passed, computed = gradients
        gradient = _empty_like(computed, 2 * computed.shape[1])
        gradient[:, 0::2] = passed
        gradient[:, 1::2] = computed
        return gradient


class _InterleaveSplit(torch.autograd.Function):
    """`interleave_split` in training, with the same values and gradients in fewer copies.

    It keeps the layout of x, which reshaping loses.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        halves = _empty_like(x, x.shape[1] // 2), _empty_like(x, x.shape[1] // 2)
        _copy_quarters(x, halves, back=False)
        return halves

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = _empty_like(gradients[1], 2 * gradients[1].shape[1])
        _copy_quarters(gradient, gradients, back=True)
        return gradient


def _copy_quarters(x: Tensor, halves: tuple[Tensor, ...], back: bool) -> None:
    """Copy each quarter of the channels of x to its place in the interleaved halves, or back."""
    quarters = x.chunk(4, 1)
    for quarter, part in zip(quarters, _places(*halves), strict=True):
        if back:
            quarter.copy_(part)
        else:
            part.copy_(quarter)


def _places(passed: Tensor, computed: Tensor) -> tuple[Tensor, ...]:
    """Where the quarters of the channels are in the interleaved halves."""
    return passed[:, 0::2], computed[:, 0::2], passed[:, 1::2], computed[:, 1::2]


SPLITS: dict[str, Callable[[Tensor], tuple[Tensor, Tensor]]] = {
    "even_odd": even_odd_split,
    "interleave": interleave_split,
}


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution; on CPUs with AVX2 its weights get their gradients in less time.

    There, the gradients of kernels larger than 3x3 in oneDNN take ten times a forward pass and
    more. They differ from oneDNN's by rounding, and have no gradients themselves. Other devices,
    types and geometries, and layers that are not trained, compute as `nn.Conv2d` does.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, ceil(H / stride), ceil(W / stride))."""
        if not (
            torch.is_grad_enabled() and self.weight.requires_grad and self.has_own_gradient(input)
        ):
            return super().forward(input)
        output = self._conv_forward(input, self.weight.detach(), self.bias)
        result: Tensor = _DepthwiseWeight.apply(output, self.weight, input.detach(), self.stride[0])
        return result

    def has_own_gradient(self, x: Tensor) -> bool:
        """Whether the weights' gradient for this input is ours, where it is the faster one."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        if not (
            SLOW_DEPTHWISE_GRADIENTS
            and x.device.type == "cpu"
            and x.dtype == torch.float32
            and x.dim() == 4
            and x.numel() > 0
            and self._is_square()
            and not torch.is_autocast_enabled("cpu")
            and not torch.jit.is_tracing()
        ):
            return False
        smallest = -(-min(x.shape[2:]) // stride)
        return kernel > 2 * stride + 1 or kernel > smallest

    def _is_square(self) -> bool:
        """Whether the geometry is that of the blocks, the only one that the gradient knows."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        geometry = self.kernel_size, self.stride, self.padding, self.dilation, self.padding_mode
        same = (kernel, kernel), (stride, stride), (kernel // 2, kernel // 2), (1, 1), "zeros"
        return geometry == same and kernel % 2 == 1


SLOW_DEPTHWISE_GRADIENTS = torch.backends.cpu.get_cpu_capability() == "AVX2"


class _DepthwiseWeight(torch.autograd.Function):
    """Passes the output of a depthwise convolution, and gives its weights their gradient."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, weight: Tensor, x: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.kernel, ctx.stride = weight.shape[-1], stride
        ctx.mark_dirty(output)  # not a view of it, so that what follows may work in place
        return output

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return gradient, depthwise_weight_gradient(x, gradient, ctx.kernel, ctx.stride), None, None


def depthwise_weight_gradient(x: Tensor, gradient: Tensor, kernel: int, stride: int = 1) -> Tensor:
    """The gradient of a depthwise convolution's weights, by a forward pass.

    The gradient is the correlation of each input map with the gradient of its output map. So the
    latter is a kernel (dilated by the stride) for the former, one group for each map of each image.

    Args:
        x: the input, (N, C, H, W).
        gradient: of the output, (N, C, ceil(H / stride), ceil(W / stride)).
        kernel: odd; the padding is kernel // 2.

    Returns (C, 1, kernel, kernel).
    """
    n, c, *sizes = x.shape
    # Weights that meet padding alone have no gradient, and make the forward pass slow.
    reach = [min(kernel // 2, size - 1) for size in sizes]
    maps, kernels = x.reshape(1, n * c, *sizes), gradient.reshape(n * c, 1, *gradient.shape[2:])
    products = conv2d(maps, kernels, padding=reach, dilation=stride, groups=n * c)
    height, width = (2 * r + 1 for r in reach)
    total = products[:, :, :height, :width].reshape(n, c, 1, height, width).sum(0)
    top, left = (kernel // 2 - r for r in reach)
    return pad(total, (left, left, top, top)) if top or left else total
