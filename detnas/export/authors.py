"""Checkpoints of the DetNAS authors in: their names translated to ours, nothing guessed.

The layout is that of megvii-model/DetNAS and of DetNAS in megvii-model/ShuffleNet-Series. A tensor
finds its place by its name, which says block, choice, branch and layer; all of it must agree with
the network asked for. Which channel shuffle the weights were trained with stands in no tensor.
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
from detnas.models.checkpoints import read_checkpoint
from detnas.models.necks import LastConvPool
from search_space.architecture import Architecture
from search_space.spaces import SearchSpace


@dataclass(frozen=True)
class ImportResult:
    """What `import_weights` wrote, and what it did not.

    Attributes:
        tensors: how many were written.
        classifier: whether the last convolution and the classifier of an ImageNet network are
            among them, as `neck` and `head`.
        left_out: the file's keys that are the rest of a detector (FPN, RPN, heads).
        counters_added: `num_batches_tracked` set to zero because the file has none at all.
    """

    tensors: int
    classifier: bool
    left_out: tuple[str, ...]
    counters_added: int


@dataclass(frozen=True)
class _Network:
    """What is to be filled.

    `places` are the names of its blocks in the authors' layout, "1a" onwards; `tensors` its keys
    and shapes, with no memory behind them.
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
    """Write a checkpoint of ours, float32, from one of the authors'.

    The file is a state dict, or holds one under `state_dict` or `model`; its keys may stand under
    any stack of `module.`, `backbone.` and `body.`. Under the latter two it is a detector, whose
    other keys are left out. An ImageNet network's last convolution and classifier become the
    `neck` and `head` of our classifiers; a backbone's `init_cfg` passes them over.

    Args:
        source: the authors' checkpoint.
        output: the checkpoint to write, for `init_cfg=dict(type="Pretrained", checkpoint=...)`.
        architecture: of a single network; its own channel shuffle does not count here.
        supernet: the space, where the file holds a supernet. Exactly one of the two is given.
        channel_shuffle: the one that the weights were trained with: "even_odd" (the authors'
            published single networks) or "interleave" (their supernets).
    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, of another space or architecture, or has keys or shapes
            that do not fit; names the first of them. Nothing is written then.
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
    # As torch itself does with files from before it counted batches.
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
            raise UserError(f"give either an architecture or a supernet's space, not {given}")
    places = tuple(
        f"{number}{chr(ord('a') + position)}"
        for number, stage in enumerate(backbone.space.stages, start=1)
        for position in range(stage.blocks)
    )
    tensors = {f"backbone.{key}": tensor for key, tensor in backbone.state_dict().items()}
    return _Network(backbone.space, architecture, places, backbone.identity(), tensors)


def _classifier(space: SearchSpace, official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Keys and shapes of an ImageNet network's neck and head, with the file's number of classes."""
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
        raise UserError(f"checkpoint {source} holds a {type(state_dict).__name__}, not weights")
    for key, value in state_dict.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise UserError(
                f"checkpoint {source} holds {key!r} among its weights, which is no tensor: give a "
                "state dict, or a file that has one under 'state_dict' or 'model'"
            )
    return dict(state_dict)


def _backbone_part(
    state_dict: Mapping[str, Tensor], source: Path | str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The backbone's tensors by their own names, and the keys of the detector around it."""
    prefixes = sorted({match[1] for key in state_dict if (match := BACKBONE_KEY.match(key))})
    if not prefixes:
        raise UserError(
            f"checkpoint {source} has no key of the authors' layout (first_conv., features.), its "
            f"first is {next(iter(state_dict), None)!r}: a checkpoint of DetNAS needs no import"
        )
    if len(prefixes) > 1:
        raise UserError(
            f"checkpoint {source} holds backbones under {prefixes}: give a file with one of them"
        )
    prefix = prefixes[0]
    inside = {k.removeprefix(prefix): v for k, v in state_dict.items() if k.startswith(prefix)}
    outside = tuple(key for key in state_dict if not key.startswith(prefix))
    if outside and not prefix.replace("module.", ""):
        raise UserError(
            f"checkpoint {source} has {len(outside)} keys outside {prefix!r} (first "
            f"{outside[0]!r}), and is no detector: remove them"
        )
    return inside, outside


def _our_key(key: str, layer: Layer | None, network: _Network) -> str | None:
    """Our name of a tensor; None where the authors' is unknown or is not of this network."""
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
    """The choice that the network has where the layer stands."""
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
            f"checkpoint {source} holds a single network, not a supernet: give its architecture "
            "in the place of a space"
        )
    if network.architecture is not None and holds_supernet == {True}:
        raise UserError(
            f"checkpoint {source} holds a supernet, not a single network: import it as a supernet, "
            "and a DetNASNet takes its slice out of the imported file"
        )


def _check_stages(layers: Sequence[Layer], network: _Network, source: Path | str) -> None:
    found = Counter(place[:-1] for place in {layer.place for layer in layers})
    stages = [found[number] for number in sorted(found, key=int)]
    wanted = [stage.blocks for stage in network.space.stages]
    if layers and stages != wanted:
        raise UserError(
            f"checkpoint {source} has stages of {stages} blocks, space '{network.space.name}' of "
            f"{wanted}: give the space it was trained in"
        )


def _check_choices(layers: Sequence[Layer], network: _Network, source: Path | str) -> None:
    """Of a single network: the choices that the names say are those of the architecture."""
    if network.architecture is None:
        return
    named = {layer.block: layer.name for layer in layers if layer.name is not None}
    for block, wanted in enumerate(network.architecture.choice_names):
        if named.get(block, wanted) != wanted:
            numbers = {name: str(number) for number, name in enumerate(network.space.choices)}
            choices = ",".join(numbers.get(named[i], named[i]) for i in sorted(named))
            raise UserError(
                f"checkpoint {source} holds another architecture: its block {block} is "
                f"{named[block]}, not {wanted}; it is '{network.space.name}:{choices}'"
            )


def _check_tensors(
    tensors: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    names: Mapping[str, str | None],
    source: Path | str,
) -> None:
    missing = [key for key in wanted if key not in tensors]
    surplus = [key for key, ours in names.items() if ours not in wanted]
    if missing or surplus:
        raise UserError(
            f"checkpoint {source} does not fit the network: {len(missing)} of its {len(wanted)} "
            f"tensors are missing (first {missing[:1]}), {len(surplus)} of the file's are left "
            f"over (first {surplus[:1]})"
        )
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
