"""Import of the authors' checkpoints: equal outputs, all file layouts, invalid files."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from mmpretrain.registry import MODELS as MMPRETRAIN_MODELS
from torch import Tensor

from detnas.export.authors import ImportResult, import_weights
from detnas.files import file_sha256
from detnas.models import DetNASNet, DetNASSupernet
from detnas.models.checkpoints import load_weights, read_checkpoint
from search_space.architecture import Architecture, parse_architecture
from search_space.spaces import SearchSpace, Stage, get_space

GOLDEN = Path(__file__).parents[4] / "shared" / "golden"
needs_golden = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason="the authors' golden weights are not in the repository"
)
TINY = get_space("tiny")
MIXED = Architecture(TINY, (0, 1, 2, 3, 3, 2, 1, 0, 3, 1))

# The authors' names of our layers, by position: P is the block, C the choice.
SHUFFLENET = {
    0: "conv.0.interstellarP_C_branch2a",
    1: "conv.0.bnP_C_branch2a",
    3: "conv.1.interstellarP_C_branch2b_s",
    4: "conv.1.interstellarP_C_branch2b_s_bn",
    5: "conv.1.interstellarP_C_branch2b",
    6: "conv.1.bnP_C_branch2b",
}
XCEPTION = {
    5 * unit + layer: name.replace("U", f"{unit}").replace("L", "abc"[unit])
    for unit in range(3)
    for layer, name in enumerate(
        (
            "conv.U.interstellarP_C_branch2L_s",
            "conv.U.interstellarP_C_branch2L_s_bn",
            "conv.U.interstellarP_C_branch2L",
            "conv.U.bnP_C_branch2L",
        )
    )
}
PROJECTION = {
    0: "proj_conv.interstellarP_proj_s",
    1: "proj_conv.interstellarP_proj_s_bn",
    2: "proj_conv.interstellarP_proj",
    3: "proj_conv.bnP_proj",
}
STEM = {"stem.0": "first_conv.conv", "stem.1": "first_conv.bn"}


def _official(net: DetNASNet | DetNASSupernet) -> dict[str, Tensor]:
    """The weights of a network under the authors' names."""
    return {_official_name(key, net): value for key, value in net.state_dict().items()}


def _official_name(key: str, net: DetNASNet | DetNASSupernet) -> str:
    layer, _, tensor = key.rpartition(".")
    if layer in STEM:
        return f"{STEM[layer]}.{tensor}"
    block, *choice, branch, position = layer.split(".")[1:]
    names = net.space.choices
    name = names[int(choice[0])] if choice else net.architecture.choice_names[int(block)]
    main = XCEPTION if name == "xception_3x3" else SHUFFLENET
    official = (PROJECTION if branch == "projection" else main)[int(position)]
    stage = net.space.block_specs()[int(block)].stage
    before = sum(one.blocks for one in net.space.stages[:stage])
    place = f"{stage + 1}{'abcdefghijklmnop'[int(block) - before]}"
    official = official.replace("C", name).replace("P", place)
    return ".".join(["features", block, *choice, official, tensor])


def _random(net: Any) -> Any:
    """The network with different values in every tensor."""
    torch.manual_seed(0)
    with torch.no_grad():
        for number, tensor in enumerate(net.state_dict().values()):
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5)
            else:
                tensor.fill_(number)
    return net.eval()


def _target(net: DetNASNet | DetNASSupernet) -> dict[str, Architecture | SearchSpace]:
    return (
        {"architecture": net.architecture}
        if isinstance(net, DetNASNet)
        else {"supernet": net.space}
    )


def _assert_same(state_dict: Mapping[str, Tensor], net: torch.nn.Module) -> None:
    own = net.state_dict()
    assert state_dict.keys() == {f"backbone.{key}" for key in own}
    for key, value in own.items():
        assert torch.equal(state_dict[f"backbone.{key}"], value), key


def _import_tiny(official: Any, folder: Path, **changes: Any) -> ImportResult:
    torch.save(official, folder / "theirs.pkl")
    arguments = {"architecture": MIXED, "channel_shuffle": "even_odd"} | changes
    return import_weights(folder / "theirs.pkl", folder / "ours" / "out.pth", **arguments)


def _state_dict(folder: Path) -> dict[str, Tensor]:
    return read_checkpoint(folder / "ours" / "out.pth")["state_dict"]


@needs_golden
def test_authors_network_gives_the_authors_features(tmp_path: Path) -> None:
    source, output = GOLDEN / "official_detnasnet_300m_fpn.pth", tmp_path / "out.pth"
    architecture = parse_architecture("detnasnet-300m-coco-fpn")
    result = import_weights(source, output, architecture=architecture, channel_shuffle="even_odd")
    assert result == ImportResult(523, classifier=False, left_out=(), counters_added=0)
    init = {"type": "Pretrained", "checkpoint": str(output)}
    net = DetNASNet(architecture, init_cfg=init)
    net.init_weights()
    golden = torch.load(source, weights_only=True)
    _assert_features(net, golden["input"], golden["outputs"])


@needs_golden
def test_authors_supernet_gives_the_authors_features_on_every_path(tmp_path: Path) -> None:
    source, output = GOLDEN / "official_supernet_small.pth", tmp_path / "out.pth"
    import_weights(source, output, supernet=get_space("small"), channel_shuffle="interleave")
    init = {"type": "Pretrained", "checkpoint": str(output)}
    net = DetNASSupernet("small", channel_shuffle="interleave", init_cfg=init)
    net.init_weights()
    golden = torch.load(source, weights_only=True)
    for path, outputs in zip(golden["paths"].tolist(), golden["outputs"], strict=True):
        net.set_path(path)
        _assert_features(net, golden["input"], outputs)
        subnet = DetNASNet(Architecture(net.space, tuple(path), "interleave"), init_cfg=init)
        subnet.init_weights()
        _assert_features(subnet, golden["input"], outputs)


def _assert_features(net: torch.nn.Module, image: Tensor, outputs: list[Tensor]) -> None:
    with torch.no_grad():
        features = net.eval()(image.float())
    for ours, theirs in zip(features, outputs, strict=True):
        assert (ours - theirs.float()).abs().max() <= 1e-4 * theirs.float().abs().max()


@pytest.mark.parametrize("space", ["tiny", "small", "large", "large-wide"])
def test_single_networks_are_imported_bit_identically(space: str, tmp_path: Path) -> None:
    choices = tuple(i * 7 % 4 for i in range(get_space(space).num_blocks))
    net = _random(DetNASNet(Architecture(get_space(space), choices)))
    _import_tiny(_official(net), tmp_path, **_target(net))
    _assert_same(_state_dict(tmp_path), net)


@pytest.mark.parametrize("space", ["tiny", "small", "large"])
def test_supernets_are_imported_bit_identically(space: str, tmp_path: Path) -> None:
    net = _random(DetNASSupernet(space, channel_shuffle="interleave"))
    import_as = {"architecture": None, "channel_shuffle": "interleave", **_target(net)}
    _import_tiny(_official(net), tmp_path, **import_as)
    _assert_same(_state_dict(tmp_path), net)


def test_output_records_its_identity_and_source(tmp_path: Path) -> None:
    net = _random(DetNASNet(MIXED))
    _import_tiny(_official(net), tmp_path, channel_shuffle="interleave")
    assert read_checkpoint(tmp_path / "ours" / "out.pth")["meta"] == {
        "detnas": DetNASNet(MIXED, channel_shuffle="interleave").identity(),
        "imported_from": "theirs.pkl",
        "source_sha256": file_sha256(tmp_path / "theirs.pkl"),
    }


@pytest.mark.parametrize("wrap", ["bare", "state_dict", "model"])
@pytest.mark.parametrize(
    "prefix",
    ["", "module.", "backbone.body.", "module.backbone.body.", "backbone.", "body.module."],
)
def test_all_prefixes_and_wrappings_are_accepted(wrap: str, prefix: str, tmp_path: Path) -> None:
    net = _random(DetNASNet(MIXED))
    official: dict[str, Any] = {f"{prefix}{key}": v for key, v in _official(net).items()}
    if wrap != "bare":
        official = {wrap: official, "iteration": 90000, "input": torch.zeros(1)}
    assert _import_tiny(official, tmp_path).left_out == ()
    _assert_same(_state_dict(tmp_path), net)


@pytest.mark.parametrize("prefix", ["module.backbone.body.", "backbone."])
def test_rest_of_a_detector_is_left_out_and_reported(prefix: str, tmp_path: Path) -> None:
    net = _random(DetNASNet(MIXED))
    rest = ("module.backbone.fpn.fpn_inner1.0.weight", "module.rpn.head.conv.weight")
    if prefix == "backbone.":
        rest = ("fpn.fpn_inner1.0.weight", "rpn.head.conv.weight")
    official = {f"{prefix}{key}": v for key, v in _official(net).items()}
    result = _import_tiny({"model": official | {key: torch.ones(1) for key in rest}}, tmp_path)
    assert result.left_out == rest
    _assert_same(_state_dict(tmp_path), net)


def _classifier_layers(classes: int) -> dict[str, Tensor]:
    layers = {"last_conv.conv.weight": torch.rand(256, 256, 1, 1)}
    norm = ("conv.bias", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
    layers |= {f"last_conv.{name}": torch.rand(256) for name in norm}
    layers["last_conv.bn.num_batches_tracked"] = torch.tensor(3)
    return layers | {"fc.fc.weight": torch.rand(classes, 256), "fc.fc.bias": torch.rand(classes)}


def test_classifiers_of_imagenet_networks_are_imported(tmp_path: Path) -> None:
    layers = _classifier_layers(classes=5)
    net = _random(DetNASNet(MIXED))
    result = _import_tiny({"state_dict": _official(net) | layers}, tmp_path)
    assert (result.classifier, result.left_out) == (True, ())
    classifier = MMPRETRAIN_MODELS.build(
        {
            "type": "mmpretrain.ImageClassifier",
            "data_preprocessor": {"type": "mmpretrain.ClsDataPreprocessor"},
            "backbone": {"type": "DetNASNet", "architecture": MIXED, "out_indices": (3,)},
            "neck": {"type": "LastConvPool", "in_channels": 256, "out_channels": 256},
            "head": {"type": "mmpretrain.LinearClsHead", "num_classes": 5, "in_channels": 256},
        }
    )
    load_weights(classifier, tmp_path / "ours" / "out.pth")
    assert torch.equal(classifier.neck.norm.running_var, layers["last_conv.bn.running_var"])
    assert torch.equal(classifier.head.fc.weight, layers["fc.fc.weight"])
    net.init_cfg = {"type": "Pretrained", "checkpoint": str(tmp_path / "ours" / "out.pth")}
    net.init_weights()


def test_half_precision_becomes_float32_except_counters(tmp_path: Path) -> None:
    net = _random(DetNASNet(MIXED)).half()
    _import_tiny(_official(net), tmp_path)
    dtypes = {key.rpartition(".")[2]: value.dtype for key, value in _state_dict(tmp_path).items()}
    assert dtypes.pop("num_batches_tracked") == torch.int64
    assert set(dtypes.values()) == {torch.float32}
    _assert_same(_state_dict(tmp_path), net.float())


def test_missing_batch_counters_become_zero_and_are_reported(tmp_path: Path) -> None:
    net = _random(DetNASNet(MIXED))
    official = {k: v for k, v in _official(net).items() if "num_batches" not in k}
    result = _import_tiny(official, tmp_path)
    counters = [v for k, v in _state_dict(tmp_path).items() if "num_batches" in k]
    assert result.counters_added == len(counters) > 0
    assert not any(counters)


def test_files_of_old_torch_versions_are_read(tmp_path: Path) -> None:
    net = _random(DetNASNet(MIXED))
    source = tmp_path / "old.pkl"
    torch.save({"model": _official(net)}, source, _use_new_zipfile_serialization=False)
    import_weights(
        source, tmp_path / "ours" / "out.pth", architecture=MIXED, channel_shuffle="even_odd"
    )
    _assert_same(_state_dict(tmp_path), net)


def _without(pattern: str, official: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in official.items() if not re.search(pattern, key)}


def _renamed(pattern: str, name: str, official: dict[str, Tensor]) -> dict[str, Tensor]:
    return {re.sub(pattern, name, key): value for key, value in official.items()}


OFFICIAL = _official(DetNASNet(MIXED))
SUPERNET = _official(DetNASSupernet(TINY))
CLASSIFIER = _classifier_layers(classes=5)
ONE = torch.ones(1)
AS_SUPERNET = {"architecture": None, "supernet": TINY}
SWAPPED_BLOCKS = {
    re.sub(r"^features\.([56])\.", lambda match: f"features.{11 - int(match[1])}.", key): value
    for key, value in SUPERNET.items()
}
OTHER_CHOICE = Architecture(TINY, (*MIXED.choices[:-1], 0))
WIDE = Architecture(
    SearchSpace("wide", 16, (*TINY.stages[:3], Stage(260, 2)), TINY.choices),
    MIXED.choices,
)


@pytest.mark.parametrize(
    ("official", "changes", "message"),
    [
        # Invalid arguments.
        (OFFICIAL, {"architecture": None}, "not neither"),
        (OFFICIAL, {"supernet": TINY}, "not both"),
        (OFFICIAL, {"channel_shuffle": "odd"}, "channel shuffle 'odd'"),
        # A network other than the requested one.
        (OFFICIAL, AS_SUPERNET, "single network, not a supernet"),
        (SUPERNET, {}, "supernet, not a single network"),
        (
            OFFICIAL,
            {"architecture": OTHER_CHOICE},
            "block 9 is shufflenet_5x5, not shufflenet_3x3; it is 'tiny:0,1,2,3,3,2,1,0,3,1'",
        ),
        (
            OFFICIAL,
            {"architecture": Architecture(get_space("small"), (0,) * 20)},
            r"stages of \[2, 2, 4, 2\] blocks, space 'small' of \[4, 4, 8, 4\]",
        ),
        (SUPERNET, AS_SUPERNET | {"supernet": get_space("large")}, r"of \[8, 8, 16, 8\]"),
        (OFFICIAL, {"architecture": WIDE}, r"features\.8.* is \(128, 128, 1, 1\).* is \(130, 128,"),
        # Missing or unexpected keys.
        (_without("1a_proj_s_bn.bias", OFFICIAL), {}, r"1 of .*blocks\.0\.projection\.1\.bias"),
        (_without("1b_.*_s_bn.num", OFFICIAL), {}, r"1 of .*blocks\.1\.main\.4\.num_batches"),
        (OFFICIAL | {"features.0.se.weight": ONE}, {}, r"1 of the file's .*features\.0\.se\."),
        (OFFICIAL | {"fpn.fpn_inner1.weight": ONE}, {}, r"1 of the file's .*fpn_inner1"),
        (OFFICIAL | dict([*CLASSIFIER.items()][:3]), {}, r"6 of .*neck\.norm\.bias"),
        (OFFICIAL | CLASSIFIER | {"fc.fc.weight": ONE}, {}, r"fc\.fc\.weight is \(1,\)"),
        # Inconsistent names, although all shapes would fit.
        (_renamed("2b_xcep", "2c_xcep", OFFICIAL), {}, "36 of the file's"),
        (SWAPPED_BLOCKS, AS_SUPERNET, r"unexpected.*features\.6\.0\.conv.*3b_"),
        (_renamed("(?<=3b_shufflenet_7x7_branch2)a", "b", OFFICIAL), {}, "6 of the file's"),
        (_renamed("bn1b_shufflenet_5x5", "bn1b_shufflenet_3x3", OFFICIAL), {}, "block 1 is"),
        (_renamed("1b_shufflenet_5x5", "1b_shufflenet_7x7", SUPERNET), AS_SUPERNET, "unexpected"),
        (_renamed(r"^features\.1\.0\.", "features.1.9.", SUPERNET), AS_SUPERNET, "unexpected"),
        # Files without such weights.
        ({}, {}, "no key of the authors' layout.*None"),
        ({"backbone.stem.0.weight": ONE}, {}, "no key of .*'backbone.stem.0.weight'"),
        ({"features.0.0.weight": ONE}, {}, "of its .* are missing"),
        (OFFICIAL | {"epoch": 3}, {}, "'epoch'.*not a tensor"),
        ({"state_dict": [ONE]}, {}, "'state_dict' has the type list"),
        (OFFICIAL | _renamed("^", "module.", OFFICIAL), {}, r"backbones under \['', 'module\.'\]"),
        (_renamed("^", "module.", OFFICIAL) | {"fc.fc.bias": ONE}, {}, "1 keys outside 'module.'"),
    ],
)
def test_unfitting_files_are_refused_and_nothing_is_written(
    official: Any, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        _import_tiny(official, tmp_path, **changes)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "ours").exists()


def test_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"theirs\.pkl"):
        import_weights(
            tmp_path / "theirs.pkl",
            tmp_path / "out.pth",
            architecture=MIXED,
            channel_shuffle="even_odd",
        )
