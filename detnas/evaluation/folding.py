"""Folds batch norm into the convolution before it while a network is scored."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from itertools import pairwise
from typing import Any

from mmcv.cnn import ConvModule
from mmcv.cnn.bricks.wrappers import Conv2d
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import fuse_conv_bn_weights

from search_space.operations import DepthwiseConv2d

_PLAIN = (nn.Conv2d, Conv2d, DepthwiseConv2d)  # subclasses may do something else with their weights


@contextmanager
def folded_batch_norm(model: nn.Module) -> Iterator[None]:
    """Within the block, convolutions have the scale and the shift of the batch norm after them.

    Results differ by rounding. Pairs are found in `nn.Sequential` and in mmcv's `ConvModule`, of a
    supernet on its path alone. Nothing may be trained or recalibrated within the block.

    Args:
        model: in evaluation mode.
    """
    replaced: list[tuple[nn.Module, str, nn.Module]] = []
    try:
        for owner, conv, norm in _pairs(model):
            folded = _folded(owner._modules[conv], owner._modules[norm])
            for name, module in ((conv, folded), (norm, nn.Identity())):
                replaced.append((owner, name, owner._modules[name]))  # type: ignore[arg-type]
                owner._modules[name] = module
        yield
    finally:
        for owner, name, module in replaced:
            owner._modules[name] = module


def _pairs(model: nn.Module) -> Iterator[tuple[nn.Module, str, str]]:
    """Modules that own a convolution and the batch norm after it, and the names of these."""
    inactive = _off_the_path(model)
    for module in [each for each in model.modules() if each not in inactive]:
        if isinstance(module, nn.Sequential):
            names = [*pairwise(module._modules)]
        elif isinstance(module, ConvModule) and module.order[:2] == ("conv", "norm"):
            names = [("conv", module.norm_name)] if module.with_norm else []
        else:
            continue
        for conv, norm in names:
            layers = module._modules[conv], module._modules[norm]
            if type(layers[0]) in _PLAIN and _is_fixed(layers[1]):
                yield module, conv, norm


def _off_the_path(model: nn.Module) -> set[nn.Module]:
    """The modules of a supernet's blocks that its forward pass does not run."""
    backbone: Any = getattr(model, "backbone", None)
    if not hasattr(backbone, "active_blocks"):
        return set()
    active = {module for block in backbone.active_blocks() for module in block.modules()}
    return set(backbone.blocks.modules()) - active


def _is_fixed(module: object) -> bool:
    return isinstance(module, _BatchNorm) and module.running_mean is not None


def _folded(conv: Any, norm: Any) -> nn.Module:
    folded = copy(conv)
    weight, bias = fuse_conv_bn_weights(
        *(conv.weight, conv.bias, norm.running_mean, norm.running_var),
        *(norm.eps, norm.weight, norm.bias),
    )
    folded._parameters = {"weight": weight, "bias": bias}
    return folded
