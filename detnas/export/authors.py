"""Imports checkpoints of the DetNAS authors by translating their tensor names.

The layout is that of megvii-model/DetNAS and of DetNAS in megvii-model/ShuffleNet-Series. The name
of a tensor contains block, choice, branch and layer, and all of them must match the requested
network. The channel shuffle of the training is not recorded, so the user must state it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from detnas.errors import UserError
from detnas.export.authors_names import BACKBONE_KEY, OTHER_LAYERS, Layer, parse_name
from detnas.files import file_sha256
from detnas.models.backbones import DetNASNet, DetNASSupernet
from detnas.models.base import Backbone
from detnas.models.checkpoints import check_tensors, read_checkpoint
from detnas.models.necks import LastConvPool
from detnas.networks.checkpoint_file import write_checkpoint
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
    _check_network(list(filter(None, layers.values())), network, source)
    names = _our_names(layers, network)
    tensors = {ours: official[key] for ours, key in names.items()}
    wanted = {f"backbone.{key}": tensor for key, tensor in network.state_dict().items()}
    classifier = any(key.startswith(("neck.", "head.")) for key in tensors)
    if classifier:
        wanted |= _classifier(network.space, official)
    counters = [key for key in wanted if key.endswith(".num_batches_tracked")]
    if any(key in tensors for key in counters):
        counters = []
    # torch does the same with files older than these counters.
    tensors |= {key: torch.zeros((), dtype=torch.int64) for key in counters}
    check_tensors(tensors, wanted, source, names)
    _save(output, source, network, {key: tensors[key] for key in wanted})
    return ImportResult(len(wanted), classifier, left_out, len(counters))


def _network(
    architecture: Architecture | None, supernet: SearchSpace | None, channel_shuffle: str
) -> Backbone:
    """The network to import into, on the meta device."""
    with torch.device("meta"):
        if architecture is not None and supernet is None:
            return DetNASNet(architecture, channel_shuffle=channel_shuffle)
        if supernet is not None and architecture is None:
            return DetNASSupernet(supernet, channel_shuffle=channel_shuffle)
    given = "neither" if architecture is None else "both"
    raise UserError(f"name either an architecture or the space of a supernet, not {given}")


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
    if isinstance(state_dict.get("model"), Mapping):
        state_dict = state_dict["model"]
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


def _our_names(layers: Mapping[str, Layer | None], network: Backbone) -> dict[str, str]:
    """The keys of the file by our names; unknown ones are marked, to equal none of ours."""
    places = [
        f"{number}{chr(ord('a') + position)}"
        for number, stage in enumerate(network.space.stages, start=1)
        for position in range(stage.blocks)
    ]
    return {
        _our_key(key, layer, network, places) or f"unknown {key}": key
        for key, layer in layers.items()
    }


def _our_key(key: str, layer: Layer | None, network: Backbone, places: list[str]) -> str | None:
    """Our name of a tensor; None if the authors' name is unknown or not of this network."""
    if layer is None:
        module, _, tensor = key.rpartition(".")
        return f"{OTHER_LAYERS[module]}.{tensor}" if module in OTHER_LAYERS else None
    if places[layer.block : layer.block + 1] != [layer.place]:
        return None
    if layer.name is not None and layer.name != _choice_name(layer, network):
        return None
    block = f"{layer.block}" if layer.choice is None else f"{layer.block}.{layer.choice}"
    return f"backbone.blocks.{block}.{layer.inner}"


def _choice_name(layer: Layer, network: Backbone) -> str | None:
    """The network's choice at the position of the layer."""
    if isinstance(network, DetNASNet):
        return network.architecture.network.choice_names[layer.block]
    choices = network.space.choices
    if layer.choice is None or layer.choice >= len(choices):
        return None
    return choices[layer.choice]


def _check_network(layers: Sequence[Layer], network: Backbone, source: Path | str) -> None:
    """Check that the names of the file's tensors are of the network to import into."""
    single, kinds = isinstance(network, DetNASNet), {layer.choice is None for layer in layers}
    if not single and kinds == {True}:
        raise UserError(
            f"checkpoint {source} is of a single network, not a supernet: name its architecture "
            "instead of a space"
        )
    if single and kinds == {False}:
        raise UserError(
            f"checkpoint {source} is of a supernet, not a single network: import it as a supernet; "
            "a DetNASNet loads its slice of the imported file"
        )
    found = Counter(place[:-1] for place in {layer.place for layer in layers})
    stages = [found[number] for number in sorted(found, key=int)]
    wanted = [stage.blocks for stage in network.space.stages]
    if layers and stages != wanted:
        raise UserError(
            f"checkpoint {source} has stages of {stages} blocks, space '{network.space.name}' of "
            f"{wanted}: name the space it was trained in"
        )
    if isinstance(network, DetNASNet):
        _check_choices(layers, network.architecture.network, source)


def _check_choices(layers: Sequence[Layer], architecture: Architecture, source: Path | str) -> None:
    named = {layer.block: layer.name for layer in layers if layer.name is not None}
    space = architecture.space
    for block, wanted in enumerate(architecture.choice_names):
        if named.get(block, wanted) != wanted:
            numbers = {name: str(number) for number, name in enumerate(space.choices)}
            choices = ",".join(numbers.get(named[i], named[i]) for i in sorted(named))
            raise UserError(
                f"checkpoint {source} is of another architecture: its block {block} is "
                f"{named[block]}, not {wanted}; it is '{space.name}:{choices}'"
            )


def _save(
    output: Path | str, source: Path | str, network: Backbone, tensors: Mapping[str, Tensor]
) -> None:
    state_dict = {
        key: value.detach().float() if value.is_floating_point() else value
        for key, value in tensors.items()
    }
    meta = {
        "detnas": network.identity(),
        "imported_from": Path(source).name,
        "source_sha256": file_sha256(source),
    }
    write_checkpoint({"meta": meta, "state_dict": state_dict}, output)
