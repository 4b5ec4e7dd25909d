"""Imports EfficientDet checkpoints in the layout of rwightman/efficientdet-pytorch (`effdet`).

The result is a checkpoint of `configs/efficientdet/`. Every tensor has its counterpart; only the
box deltas are in another order: (y, x, height, width) there, (x, y, width, height) in mmdet.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from detnas.errors import UserError, user_input
from detnas.files import file_sha256
from detnas.models import BiFPN, EfficientDetHead, VarianceScaledEfficientNet
from detnas.models.checkpoints import check_tensors, read_checkpoint
from detnas.networks.checkpoint_file import write_checkpoint
from search_space.compound_scaling import scaling_of
from search_space.feature_graphs import parse_graph

_STEM = {"conv_stem": "backbone.layers.0.conv", "bn1": "backbone.layers.0.bn"}
_BLOCK = {
    "conv_pw": "expand_conv.conv",
    "bn1": "expand_conv.bn",
    "conv_dw": "depthwise_conv.conv",
    "bn2": "depthwise_conv.bn",
    "se.conv_reduce": "se.conv1.conv",
    "se.conv_expand": "se.conv2.conv",
    "conv_pwl": "linear_conv.conv",
    "bn3": "linear_conv.bn",
}
_FIRST_STAGE = {
    "conv_dw": "depthwise_conv.conv",
    "bn1": "depthwise_conv.bn",
    "se.conv_reduce": "se.conv1.conv",
    "se.conv_expand": "se.conv2.conv",
    "conv_pw": "linear_conv.conv",
    "bn2": "linear_conv.bn",
}
"""The blocks of the first stage do not expand."""

_LAYERS = {0: (1,), 1: (2,), 2: (3,), 3: (4,), 4: (4, 3), 5: (5,), 6: (5, 5)}
"""The layer of mmdet's backbone for each stage there, and the stage whose blocks come before."""

_MATCHED = {"conv.conv": "0", "conv.bn": "1"}
_NODE = {
    "after_combine.conv.conv_dw": "conv.depthwise",
    "after_combine.conv.conv_pw": "conv.pointwise",
    "after_combine.conv.bn": "norm",
}
_CONV = {"conv_dw": "depthwise", "conv_pw": "pointwise"}
_TOWERS = {"class_net": "bbox_head.classes", "box_net": "bbox_head.boxes"}
_BOX_ORDER = (1, 0, 3, 2)
ANCHORS = 9
"""At each place."""


def import_efficientdet(source: Path | str, output: Path | str, model: str) -> int:
    """Convert a checkpoint, and return the number of tensors.

    Args:
        source: a state dict, or one under `state_dict` or `model`; a prefix `model.` is dropped.
        output: the checkpoint to write, for `load_from` of a config in `configs/efficientdet/`.
        model: a published model, such as "d0".

    Raises:
        MissingFileError: the file does not exist.
        UserError: it is damaged, or is of another model. Nothing is written.
    """
    with user_input("--efficientdet"):
        scaling_of(model)
    state_dict = _read(source)
    tensors = renamed(state_dict, model, source)
    wanted = _network(model, tensors).state_dict()
    for name in wanted:
        if name.endswith(".num_batches_tracked"):  # older files lack them
            tensors.setdefault(name, torch.zeros((), dtype=torch.int64))
    names = {ours: theirs for theirs, ours in _pairs(state_dict, model) if ours is not None}
    check_tensors(tensors, wanted, source, names)
    meta = {"imported_from": Path(source).name, "source_sha256": file_sha256(source)}
    write_checkpoint({"meta": meta, "state_dict": tensors}, output)
    return len(tensors)


def renamed(
    state_dict: Mapping[str, Tensor], model: str, source: Path | str = "the state dict"
) -> dict[str, Tensor]:
    """The tensors by the names of our detector, boxes in its order.

    Raises:
        UserError: a name that is not of such a model.
    """
    tensors: dict[str, Tensor] = {}
    for theirs, ours in _pairs(state_dict, model):
        if ours is None:
            raise UserError(f"{source} has a tensor {theirs!r}, which is not EfficientDet's")
        tensor = state_dict[theirs]
        if theirs.startswith("box_net.predict.conv_pw") and tensor.shape[:1] == (4 * ANCHORS,):
            tensor = port_order(tensor, 0)
        tensors[ours] = tensor.float() if tensor.is_floating_point() else tensor
    return tensors


def port_order(tensor: Tensor, dim: int = 1) -> Tensor:
    """Box coordinates of (y, x, height, width) as (x, y, width, height), or the reverse."""
    order = [4 * (i // 4) + _BOX_ORDER[i % 4] for i in range(tensor.shape[dim])]
    return tensor.index_select(dim, torch.tensor(order))


def _read(source: Path | str) -> dict[str, Tensor]:
    content = read_checkpoint(source)["state_dict"]
    if isinstance(content.get("model"), Mapping):
        content = {str(key): value for key, value in content["model"].items()}
    tensors = {
        key.removeprefix("model."): value
        for key, value in content.items()
        if isinstance(value, Tensor) and not key.startswith(("anchors.", "model.anchors."))
    }
    if strange := [key for key, value in tensors.items() if value.layout != torch.strided]:
        raise UserError(f"{source}: {strange[0]!r} is a sparse tensor; save it as a dense one")
    if not any(key.startswith("class_net.") for key in tensors):
        raise UserError(
            f"{source} has no 'class_net': it is not an EfficientDet in the layout of effdet"
        )
    return tensors


def _network(model: str, tensors: Mapping[str, Tensor]) -> nn.Module:
    """A detector's parts, without losses, for as many classes as the tensors are."""
    scaling = scaling_of(model)
    predicted = tensors.get("bbox_head.classes.predict.pointwise.bias")
    classes = 1 if predicted is None else predicted.numel() // ANCHORS
    anchors = {
        "type": "AspectAnchorGenerator",
        "aspects": [(1.0, 1.0)] * 3,
        "octave_base_scale": 4,
        "scales_per_octave": 3,
        "strides": scaling.pyramid_strides,
    }
    return nn.ModuleDict(
        {
            "backbone": VarianceScaledEfficientNet(scaling.efficientnet, out_indices=(3, 4, 5)),
            "neck": BiFPN(
                scaling.efficientnet_channels[1:],
                scaling.bifpn_channels,
                scaling.pyramid_levels,
                scaling.bifpn_cells,
                fusion=scaling.bifpn_fusion,
            ),
            "bbox_head": EfficientDetHead(
                max(classes, 1),
                scaling.bifpn_channels,
                scaling.pyramid_levels,
                scaling.head_convs,
                anchor_generator=anchors,
                loss_cls={"type": "FocalLoss", "use_sigmoid": True},
                loss_bbox={"type": "SmoothL1Loss"},
            ),
        }
    )


def _pairs(names: Mapping[str, object], model: str) -> Iterator[tuple[str, str | None]]:
    """Each name with ours, which is None for names of other networks."""
    depths: dict[int, int] = {}
    for name in names:
        if found := re.match(r"backbone\.blocks\.(\d+)\.(\d+)\.", name):
            stage = int(found[1])
            depths[stage] = max(depths.get(stage, 0), int(found[2]) + 1)
    scaling = scaling_of(model)
    graph = parse_graph("bifpn", scaling.pyramid_levels)
    inputs = [node.inputs for node in graph.nodes]
    for name in names:
        layer, _, tensor = name.rpartition(".")
        if name.endswith(".edge_weights"):
            yield name, _edge_weights(name)
            continue
        ours = _backbone(layer, depths) or _neck(layer, inputs) or _head(layer)
        yield name, ours and f"{ours}.{tensor}"


def _backbone(layer: str, depths: Mapping[int, int]) -> str | None:
    if layer.removeprefix("backbone.") in _STEM:
        return _STEM[layer.removeprefix("backbone.")]
    found = re.fullmatch(r"backbone\.blocks\.(\d+)\.(\d+)\.(.+)", layer)
    if found is None or int(found[1]) not in _LAYERS:
        return None
    stage, block = int(found[1]), int(found[2])
    number, *before = _LAYERS[stage]
    block += sum(depths.get(each, 0) for each in before)
    inner = (_BLOCK if stage else _FIRST_STAGE).get(found[3])
    return inner and f"backbone.layers.{number}.{block}.{inner}"


def _neck(layer: str, inputs: list[tuple[int, ...]]) -> str | None:
    if found := re.fullmatch(r"fpn\.resample\.(\d+)\.(.+)", layer):
        inner = _MATCHED.get(found[2])
        return inner and f"neck.extra.{int(found[1]) - 3}.{inner}"
    found = re.fullmatch(r"fpn\.cell\.(\d+)\.fnode\.(\d+)\.(.+)", layer)
    if found is None or int(found[2]) >= len(inputs):
        return None
    node = f"neck.cells.{found[1]}.nodes.{found[2]}"
    if edge := re.fullmatch(r"combine\.resample\.(\d+)\.(.+)", found[3]):
        of_node = inputs[int(found[2])]
        inner = _MATCHED.get(edge[2])
        if inner is None or int(edge[1]) not in of_node:
            return None
        return f"{node}.matched.{of_node.index(int(edge[1]))}.{inner}"
    inner = _NODE.get(found[3])
    return inner and f"{node}.{inner}"


def _edge_weights(name: str) -> str | None:
    found = re.fullmatch(r"fpn\.cell\.(\d+)\.fnode\.(\d+)\.combine\.edge_weights", name)
    return found and f"neck.cells.{found[1]}.nodes.{found[2]}.weights"


def _head(layer: str) -> str | None:
    found = re.fullmatch(
        r"(class_net|box_net)\.(?:conv_rep\.(\d+)|(predict)|bn_rep\.(\d+)\.(\d+))\.(\w+)", layer
    )
    if found is None:
        return None
    tower = _TOWERS[found[1]]
    if found[4] is not None:
        return f"{tower}.norms.{found[4]}.{found[5]}" if found[6] == "bn" else None
    conv = _CONV.get(found[6])
    place = "predict" if found[3] else f"convs.{found[2]}"
    return conv and f"{tower}.{place}.{conv}"
