"""Imports checkpoints of the DetNAS authors by translating their tensor names.

The layout is that of megvii-model/DetNAS and of DetNAS in megvii-model/ShuffleNet-Series. The name
of a tensor contains block, choice, branch and layer, and all of them must match the requested
network. The channel shuffle of the training is not recorded, so the user must state it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from detnas.errors import UserError
from detnas.export.authors_names import BACKBONE_KEY, OTHER_LAYERS, Layer, parse_name
from detnas.files import file_sha256, replacing
from detnas.models.backbones import DetNASNet, DetNASSupernet
from detnas.models.checkpoints import check_keys, read_checkpoint
from detnas.models.necks import LastConvPool
from search_space.architecture import Architecture
from search_space.spaces import SearchSpace


@dataclass(frozen=True)
class ImportResult:
    """The result of `import_weights`.

    Attributes:
        tensors: the number of tensors written.
        classifier: whether they include the last convolution and the classifier of an ImageNet
            network, as `neck` and `head`.
        left_out: keys of the file that belong to the rest of a detector (FPN, RPN, heads).
        counters_added: how many `num_batches_tracked` were set to zero, as the file has none.
    """

    tensors: int
    classifier: bool
    left_out: tuple[str, ...]
    counters_added: int


@dataclass(frozen=True)
class _Network:
    """The network to import into.

    Attributes:
        places: the names of its blocks in the authors' layout, from "1a".
        tensors: its keys with tensors on the meta device, for their shapes.
    """

    space: SearchSpace
    architecture: Architecture | None
    places: tuple[str, ...]
    identity: dict[str, Any]
    tensors: dict[str, Tensor]


def import_weights(
    source: Path | str,
    output: Path | str,
    *,
    architecture: Architecture | None = None,
    supernet: SearchSpace | None = None,
    channel_shuffle: str,
) -> ImportResult:
    """Convert a checkpoint of the authors to a DetNAS checkpoint in float32.

    The file is a state dict, or has one under `state_dict` or `model`. Its keys may have any prefix
    made of `module.`, `backbone.` and `body.`. With one of the latter two it is a detector, and its
    other keys are omitted. The last convolution and the classifier of an ImageNet network become
    `neck` and `head` of our classifiers; `init_cfg` of a backbone ignores them.

    Args:
        source: the authors' checkpoint.
        output: the checkpoint to write, for `init_cfg=dict(type="Pretrained", checkpoint=...)`.
        architecture: of a single network; its channel shuffle is ignored.
        supernet: the space of a supernet. Exactly one of `architecture` and `supernet` is given.
        channel_shuffle: the channel shuffle of the training: "even_odd" for the authors' published
            single networks, "interleave" for their supernets.
    Raises:
        MissingFileError: the file does not exist.
        UserError: the file is damaged, is of another space or architecture, or has keys or shapes
            that do not fit; the message names the first of them. Nothing is written.
    """
    network = _network(architecture, supernet, channel_shuffle)
    official, left_out = _backbone_part(_read(source), source)
    layers = {key: parse_name(key) for key in official}
    parsed = [layer for layer in layers.values() if layer is not None]
    _check_kind(parsed, network, source)
    _check_stages(parsed, network, source)
    _check_choices(parsed, network, source)
    names = {key: _our_key(key, layer, network) for key, layer in layers.items()}
    tensors = {ours: official[key] for key, ours in names.items() if ours is not None}
    classifier = any(not key.startswith("backbone.") for key in tensors)
    wanted = network.tensors | (_classifier(network.space, official) if classifier else {})
    counters = [key for key in wanted if key.endswith(".num_batches_tracked")]
    if any(key in tensors for key in counters):
        counters = []
    # torch does the same with files older than these counters.
    tensors |= {key: torch.zeros((), dtype=torch.int64) for key in counters}
    _check_tensors(tensors, wanted, names, source)
    _save(output, source, network, {key: tensors[key] for key in wanted})
    return ImportResult(len(wanted), classifier, left_out, len(counters))


def _network(
    architecture: Architecture | None, supernet: SearchSpace | None, channel_shuffle: str
) -> _Network:
    backbone: DetNASNet | DetNASSupernet
    with torch.device("meta"):
        if architecture is not None and supernet is None:
            backbone = DetNASNet(architecture, channel_shuffle=channel_shuffle)
        elif supernet is not None and architecture is None:
            backbone = DetNASSupernet(supernet, channel_shuffle=channel_shuffle)
        else:
            given = "neither" if architecture is None else "both"
            raise UserError(f"name either an architecture or the space of a supernet, not {given}")
    places = tuple(
        f"{number}{chr(ord('a') + position)}"
        for number, stage in enumerate(backbone.space.stages, start=1)
        for position in range(stage.blocks)
    )
    tensors = {f"backbone.{key}": tensor for key, tensor in backbone.state_dict().items()}
    return _Network(backbone.space, architecture, places, backbone.identity(), tensors)


def _classifier(space: SearchSpace, official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Meta tensors of an ImageNet network's neck and head, with the file's number of classes."""
    bias = official.get("fc.fc.bias")
    with torch.device("meta"):
        neck = LastConvPool(space.stages[-1].channels, space.last_channels)
        fc = nn.Linear(space.last_channels, 1 if bias is None else bias.numel())
    parts = {"neck": neck.state_dict(), "head.fc": fc.state_dict()}
    return {f"{name}.{key}": tensor for name, part in parts.items() for key, tensor in part.items()}


def _read(source: Path | str) -> dict[str, Tensor]:
    state_dict = read_checkpoint(source)["state_dict"]
    if isinstance(state_dict, Mapping) and isinstance(state_dict.get("model"), Mapping):
        state_dict = state_dict["model"]
    if not isinstance(state_dict, Mapping):
        raise UserError(f"checkpoint {source} contains a {type(state_dict).__name__}, not weights")
    for key, value in state_dict.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise UserError(
                f"checkpoint {source} has {key!r} among its weights, which is not a tensor: name a "
                "state dict, or a file with one under 'state_dict' or 'model'"
            )
    return dict(state_dict)


def _backbone_part(
    state_dict: Mapping[str, Tensor], source: Path | str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The backbone's tensors by name without prefix, and the keys of the detector around it."""
    prefixes = sorted({match[1] for key in state_dict if (match := BACKBONE_KEY.match(key))})
    if not prefixes:
        raise UserError(
            f"checkpoint {source} has no key of the authors' layout (first_conv., features.); its "
            f"first is {next(iter(state_dict), None)!r}: checkpoints of DetNAS need no import"
        )
    if len(prefixes) > 1:
        raise UserError(
            f"checkpoint {source} has backbones under {prefixes}: name a file with one backbone"
        )
    prefix = prefixes[0]
    inside = {k.removeprefix(prefix): v for k, v in state_dict.items() if k.startswith(prefix)}
    outside = tuple(key for key in state_dict if not key.startswith(prefix))
    if outside and not prefix.replace("module.", ""):
        raise UserError(
            f"checkpoint {source} has {len(outside)} keys outside {prefix!r} (first "
            f"{outside[0]!r}), but is not a detector: remove them"
        )
    return inside, outside


def _our_key(key: str, layer: Layer | None, network: _Network) -> str | None:
    """Our name of a tensor; None if the authors' name is unknown or not of this network."""
    if layer is None:
        module, _, tensor = key.rpartition(".")
        return f"{OTHER_LAYERS[module]}.{tensor}" if module in OTHER_LAYERS else None
    if network.places[layer.block : layer.block + 1] != (layer.place,):
        return None
    if layer.name is not None and layer.name != _choice_name(layer, network):
        return None
    block = f"{layer.block}" if layer.choice is None else f"{layer.block}.{layer.choice}"
    return f"backbone.blocks.{block}.{layer.inner}"


def _choice_name(layer: Layer, network: _Network) -> str | None:
    """The network's choice at the position of the layer."""
    if network.architecture is not None:
        return network.architecture.choice_names[layer.block]
    choices = network.space.choices
    if layer.choice is None or layer.choice >= len(choices):
        return None
    return choices[layer.choice]


def _check_kind(layers: Sequence[Layer], network: _Network, source: Path | str) -> None:
    holds_supernet = {layer.choice is not None for layer in layers}
    if network.architecture is None and holds_supernet == {False}:
        raise UserError(
            f"checkpoint {source} is of a single network, not a supernet: name its architecture "
            "instead of a space"
        )
    if network.architecture is not None and holds_supernet == {True}:
        raise UserError(
            f"checkpoint {source} is of a supernet, not a single network: import it as a supernet; "
            "a DetNASNet loads its slice of the imported file"
        )


def _check_stages(layers: Sequence[Layer], network: _Network, source: Path | str) -> None:
    found = Counter(place[:-1] for place in {layer.place for layer in layers})
    stages = [found[number] for number in sorted(found, key=int)]
    wanted = [stage.blocks for stage in network.space.stages]
    if layers and stages != wanted:
        raise UserError(
            f"checkpoint {source} has stages of {stages} blocks, space '{network.space.name}' of "
            f"{wanted}: name the space it was trained in"
        )


def _check_choices(layers: Sequence[Layer], network: _Network, source: Path | str) -> None:
    """Check that a single network's tensor names have the choices of the architecture."""
    if network.architecture is None:
        return
    named = {layer.block: layer.name for layer in layers if layer.name is not None}
    for block, wanted in enumerate(network.architecture.choice_names):
        if named.get(block, wanted) != wanted:
            numbers = {name: str(number) for number, name in enumerate(network.space.choices)}
            choices = ",".join(numbers.get(named[i], named[i]) for i in sorted(named))
            raise UserError(
                f"checkpoint {source} is of another architecture: its block {block} is "
                f"{named[block]}, not {wanted}; it is '{network.space.name}:{choices}'"
            )


def _check_tensors(
    tensors: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    names: Mapping[str, str | None],
    source: Path | str,
) -> None:
    surplus = [key for key, ours in names.items() if ours not in wanted]
    check_keys(source, "network", wanted, tensors, surplus)
    for key, ours in names.items():
        shape, needed = tuple(tensors[str(ours)].shape), tuple(wanted[str(ours)].shape)
        if shape != needed:
            raise UserError(
                f"checkpoint {source} does not fit the network: {key} is {shape}, {ours} is "
                f"{needed}; was it trained in another space?"
            )


def _save(
    output: Path | str, source: Path | str, network: _Network, tensors: Mapping[str, Tensor]
) -> None:
    state_dict = {
        key: value.detach().float() if value.is_floating_point() else value
        for key, value in tensors.items()
    }
    meta = {
        "detnas": network.identity,
        "imported_from": Path(source).name,
        "source_sha256": file_sha256(source),
    }
    with replacing(output) as temporary:
        torch.save({"meta": meta, "state_dict": state_dict}, temporary)
