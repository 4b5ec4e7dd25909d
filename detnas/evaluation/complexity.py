"""Multiply-adds and parameters of a whole detector or classifier, by part, at its image size."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from detnas.errors import UserError, explained
from detnas.evaluation.batches import padded
from detnas.evaluation.evaluator import build_random_model
from detnas.models.backbones import DetNASSupernet
from search_space.cost import LARGEST_SIDE, macs_table, params_table

Size = tuple[int, int]

SMALLEST, LARGEST = "smallest path", "largest path"
"""What is counted of a supernet: its paths of the fewest and of the most multiply-adds."""


@dataclass(frozen=True)
class Complexity:
    """Of one network.

    Attributes:
        what: `SMALLEST` or `LARGEST` of a supernet; otherwise empty.
        size: height and width of the image in pixels, padded as the network pads it.
        macs: multiply-adds of convolutions and linear layers by part, such as "backbone".
        params: parameters by part; of a supernet those of the path.
        torch_macs: all multiply-adds as torch's own counter has them. It also counts matrix
            products and attention outside of layers.
        activated: numbers that activations (ReLU, SiLU, sigmoid, ...) compute; some counters add
            one operation for each.
    """

    what: str
    size: Size
    macs: Mapping[str, int]
    params: Mapping[str, int]
    torch_macs: int
    activated: int


@torch.no_grad()
def detector_macs(model: Any, dataset: Any) -> tuple[int, Size]:
    """Multiply-adds of backbone, neck and heads for the first image of a data set.

    Convolutions, matrix products and attention count, as torch's own counter knows them; mmcv's
    operators (RoIAlign, deformable convolution) do not. A two-stage detector's count depends on the
    number of proposals in the image.

    Args:
        model, dataset: from `detnas.evaluation.evaluator.load_tested`.
    Returns:
        The multiply-adds, and height and width of the scaled and padded image in pixels.
    """
    batch = {key: [value] for key, value in dataset[0].items()}
    size = model.data_preprocessor(batch, False)["inputs"].shape[-2:]
    with FlopCounterMode(display=False) as counter:
        model.val_step(batch)
    return counter.get_total_flops() // 2, (int(size[0]), int(size[1]))


def complexity(config: Config, size: Size | None = None) -> list[Complexity]:
    """Count a config's model with random weights, for one image; of a supernet two paths.

    A two-stage detector's heads are counted with the proposals that random weights give, usually
    as many as it takes at most.

    Args:
        config: a resolved config.
        size: height and width of the image; None takes the config's own.

    Raises:
        UserError: the config has no model, or does not say how large its images are.
    """
    if config.get("model") is None:
        raise UserError(f"config {config.filename} has no model: name one of a training")
    height, width = as_padded(config, size or image_size(config))
    if max(height, width) > LARGEST_SIDE:
        raise UserError(f"the image is {height}x{width}: at most {LARGEST_SIDE:,} pixels a side")
    with explained(f"config {config.filename}: model"):
        model = build_random_model(config).eval()
        if not hasattr(model, "rpn_head"):
            model = model.to("meta")  # shapes are enough where no box is computed
        backbone = model.backbone
        if not isinstance(backbone, DetNASSupernet):
            return [_count(model, (height, width))]
        table = macs_table(backbone.space, (3, height, width))
        found = []
        for what, pick in ((SMALLEST, min), (LARGEST, max)):
            backbone.set_path([pick(row, key=row.__getitem__) for row in table.entries])
            found.append(_count(model, (height, width), what))
        return found


def as_padded(config: Config, size: Size) -> Size:
    """Height and width as the config's model pads an image of this size."""
    model = config.get("model") or {}
    preprocessor = model.get("data_preprocessor") or config.get("data_preprocessor") or {}
    return padded(size, preprocessor.get("pad_size_divisor", 1))


def image_size(config: Config) -> Size:
    """Height and width of the images of a config: its `image_scale`, or the crop of a classifier.

    Raises:
        UserError: it has neither.
    """
    if "image_scale" in config:
        width, height = config.image_scale
        return int(height), int(width)
    for key in ("test_dataloader", "val_dataloader", "train_dataloader"):
        pipeline = (config.get(key) or {}).get("dataset", {}).get("pipeline") or ()
        for step in reversed(pipeline):
            side = step.get("crop_size") or step.get("scale")
            if side is not None:
                return (side, side) if isinstance(side, int) else (int(side[1]), int(side[0]))
    raise UserError(f"config {config.filename} has no `image_scale`: give --input-size H W")


def _count(model: Any, size: Size, what: str = "") -> Complexity:
    parts = {name: part for name, part in model.named_children() if name != "data_preprocessor"}
    macs = dict.fromkeys(parts, 0)
    image = torch.zeros(1, 3, *size, device=next(model.parameters()).device)
    inputs = (image, [_sample(size)]) if hasattr(model, "rpn_head") else (image,)
    activated: list[int] = []
    hooks = _counted(parts, macs), _activations(model, activated)
    with torch.no_grad(), hooks[0], hooks[1], FlopCounterMode(display=False) as counter:
        model(*inputs)
    params = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    backbone = model.backbone
    if isinstance(backbone, DetNASSupernet):
        params["backbone"] = int(params_table(backbone.space).of(backbone.path))
    counted = [name for name in parts if params[name] or macs[name]]
    return Complexity(
        what,
        size,
        {name: macs[name] for name in counted},
        {name: params[name] for name in counted},
        counter.get_total_flops() // 2,
        sum(activated),
    )


def _sample(size: Size) -> DetDataSample:
    """An image without a change of size, for detectors that propose regions."""
    shapes = dict.fromkeys(("img_shape", "ori_shape", "pad_shape", "batch_input_shape"), size)
    return DetDataSample(metainfo={**shapes, "scale_factor": (1.0, 1.0)})


@contextmanager
def _counted(parts: Mapping[str, nn.Module], macs: dict[str, int]) -> Iterator[None]:
    """Add the multiply-adds of each part's layers, from the shapes of their outputs."""
    handles = []

    def adds_to(name: str) -> Callable[[nn.Module, Sequence[Tensor], Tensor], None]:
        def add(layer: nn.Module, inputs: Sequence[Tensor], output: Tensor) -> None:
            macs[name] += _macs(layer, inputs[0], output)

        return add

    for name, part in parts.items():
        for layer in part.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                handles.append(layer.register_forward_hook(adds_to(name)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _activations(model: nn.Module, sizes: list[int]) -> Iterator[None]:
    """Collect the sizes of what activation layers give."""
    kinds = tuple(getattr(nn.modules.activation, name) for name in nn.modules.activation.__all__)
    handles = [
        layer.register_forward_hook(lambda _layer, _inputs, output: sizes.append(output.numel()))
        for layer in model.modules()
        if isinstance(layer, kinds) and not isinstance(layer, nn.MultiheadAttention)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _macs(layer: nn.Module, x: Tensor, output: Tensor) -> int:
    """Multiply-adds of a layer: every weight of the kernel that a number meets."""
    if isinstance(layer, nn.Conv2d):
        return output.numel() * (layer.in_channels // layer.groups) * prod(layer.kernel_size)
    if isinstance(layer, nn.ConvTranspose2d):
        return x.numel() * (layer.out_channels // layer.groups) * prod(layer.kernel_size)
    assert isinstance(layer, nn.Linear)
    return output.numel() * layer.in_features
