"""Architectures: the JSON round trip, what names one, and what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_space.architecture import (
    CHANNEL_SHUFFLES,
    PUBLISHED,
    Architecture,
    macs,
    params,
    parse_architecture,
)
from search_space.compound_scaling import BackboneScaling
from search_space.errors import SpaceError
from search_space.spaces import (
    PAPER_CHOICES,
    SPACES,
    SearchSpace,
    Stage,
    get_space,
    parse_space,
)

CUSTOM = SearchSpace("mine", 8, (Stage(16, 1), Stage(32, 2)), PAPER_CHOICES[1:])
RAGGED = SearchSpace(
    "ragged",
    8,
    (Stage(16, 2), Stage(32, 1)),
    choices=("shufflenet_3x3", "xception_3x3", "skip"),
    places=(("xception_3x3", "shufflenet_3x3"), ("skip", "xception_3x3"), ("shufflenet_3x3",)),
)
TINY = Architecture(SPACES["tiny"], (0, 1, 2, 3, 0, 1, 2, 3, 0, 1))


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    space = draw(st.sampled_from([*SPACES.values(), get_space("tiny-skip@1.5"), CUSTOM, RAGGED]))
    choices = draw(st.tuples(*map(st.sampled_from, space.numbers)))
    factors = draw(st.sampled_from([(1.0, 1.0), (1.2, 1.4), (2.0, 3.1), (1.0, 0.5)]))
    scaling = BackboneScaling(width=factors[0], depth=factors[1])
    return Architecture(space, choices, draw(st.sampled_from(CHANNEL_SHUFFLES)), scaling)


@given(architectures())
def test_json_round_trip(architecture: Architecture) -> None:
    data = json.loads(json.dumps(architecture.to_dict()))
    assert Architecture.from_dict(data) == architecture
    data["choices"] = list(architecture.choices)
    assert parse_architecture(data) == architecture


@given(architectures())
def test_key_names_the_choices(architecture: Architecture) -> None:
    if architecture.space not in (CUSTOM, RAGGED):
        assert parse_architecture(architecture.key).choices == architecture.network.choices


@given(architectures())
def test_scaling_repeats_the_blocks_of_each_stage(architecture: Architecture) -> None:
    network = architecture.network
    costs = network.to_dict()["costs"]
    assert (macs(architecture), params(architecture)) == (costs["macs"], costs["params"])
    if architecture.scaling is None:
        assert network is architecture
        return
    width, depth = architecture.scaling.width, architecture.scaling.depth
    assert network.scaling is None
    assert network.space == parse_space(network.space.to_dict())
    given, further = iter(architecture.choices), iter(network.choices)
    for stage, grown in zip(architecture.space.stages, network.space.stages, strict=True):
        assert grown.channels % 4 == 0
        assert abs(grown.channels - width * stage.channels) <= 2
        assert grown.blocks == math.ceil(round(depth * stage.blocks, 6))
        before = [next(given) for _ in range(stage.blocks)]
        after = [next(further) for _ in range(grown.blocks)]
        assert after[0] == before[0]
        counts = [after[1:].count(choice) for choice in before[1:]]
        if depth > 1 and stage.blocks > 1 and len(set(before[1:])) == len(before) - 1:
            assert sorted(after[1:], key=before[1:].index) == after[1:]  # in their order
            assert max(counts) - min(counts) <= 1


def test_a_scaled_architecture_in_its_file(tmp_path: Path) -> None:
    scaled = parse_architecture(
        {"space": "small", "choices": [0, 1, 2, 3] * 5, "scaling": "d3"},
    )
    assert scaled.key.startswith("small@1.2x1.4:0,1,1,2,2,3,0,1,1,2,2,3,")
    assert macs(scaled) > 1.8 * macs(replace(scaled, scaling=None))
    scaled.save(tmp_path / "scaled.json")
    data = json.loads((tmp_path / "scaled.json").read_text(encoding="utf-8"))
    assert data["scaling"] == {"width": 1.2, "depth": 1.4}
    assert data["space"]["name"] == "small"
    assert len(data["choices"]) == 20
    assert data["costs"]["macs"] == macs(scaled)
    assert Architecture.load(tmp_path / "scaled.json") == scaled
    data["scaling"]["depth"] = 1.3
    with pytest.raises(SpaceError, match=r"the file says .* its choices have"):
        Architecture.from_dict(data)
    with pytest.raises(
        SpaceError, match=r"it is scaled: name .* that it comes from, small:0,1,2,3"
    ):
        scaled.unscaled_choices("it")


@pytest.mark.parametrize(
    ("scaling", "message"),
    [
        ("d9", "unknown EfficientDet model 'd9'"),
        (8, "phi is 8"),
        ({"width": 1.2}, "key 'depth' is missing under architecture.scaling"),
        ({"width": 0, "depth": 1}, "the width must be above 0 and at most 100, not 0"),
        ({"width": 1, "depth": 11}, "the depth must be above 0 and at most 10, not 11"),
        ({"width": 0.01, "depth": 1}, "width 0.01 is too small"),
    ],
)
def test_scalings_that_are_refused(scaling: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        parse_architecture({"space": "small", "choices": [0] * 20, "scaling": scaling})


def test_a_network_of_a_deeper_space_is_scaled_stage_by_stage() -> None:
    space = get_space("tiny@1x0.5")
    assert [stage.blocks for stage in space.stages] == [1, 1, 2, 1]
    found = Architecture(space, (0, 1, 2, 3, 0), scaling=BackboneScaling(width=1.0, depth=2.0))
    assert found.network.space == SPACES["tiny"]
    assert found.network.choices == (0, 0, 1, 1, 2, 3, 3, 3, 0, 0)
    further = {"space": "small@1.2x1.4", "choices": [0] * 30, "scaling": "d3"}
    assert parse_architecture(further).network.space == get_space("small@1.44x1.96")


def test_a_scaling_by_one_is_none() -> None:
    compact = {"space": "small", "choices": [0] * 20}
    assert parse_architecture(compact | {"scaling": "d0"}) == parse_architecture(compact)


def test_file_round_trip_with_score_and_provenance(tmp_path: Path) -> None:
    path = tmp_path / "best.json"
    score = {"metric": "coco/bbox_mAP", "value": 0.312, "split": "search"}
    latency = {"latency_ms": {"value": 3.2, "device": "a CPU", "table_sha256": "00"}}
    TINY.save(path, score=score, provenance={"seed": 0}, extra_costs=latency)
    assert Architecture.load(path) == parse_architecture(str(path)) == TINY
    document = json.loads(path.read_text(encoding="utf-8"))
    assert (document["score"], document["provenance"]) == (score, {"seed": 0})
    assert (
        document["costs"].items()
        >= {
            "macs": macs(TINY),
            "params": params(TINY),
            "input_size": [3, 224, 224],
            **latency,
        }.items()
    )
    assert list(tmp_path.iterdir()) == [path]


def test_failed_save_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "best.json"
    TINY.save(path)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        TINY.save(path, provenance={"seed": 1})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_published_networks() -> None:
    expected = {
        "detnasnet-300m-coco-fpn": 288_082_368,
        "detnasnet-300m-coco-retinanet": 291_205_824,
        "detnasnet-300m-voc-fpn": 316_387_904,
        "detnasnet-300m-voc-retinanet": 327_489_344,
        "detnasnet-1.3g-coco-fpn": 1_269_181_536,
        "detnasnet-3.8g-coco-fpn": 3_937_832_864,
        "shufflenetv2-20": 262_705_856,
        "shufflenetv2-40": 1_036_681_632,
    }
    assert {name: macs(parse_architecture(name)) for name in PUBLISHED} == expected
    first = parse_architecture("detnasnet-300m-coco-fpn")
    assert first.choices == (2, 1, 2, 0, 2, 1, 1, 2, 3, 3, 1, 3, 0, 0, 3, 1, 3, 1, 3, 2)
    assert first.channel_shuffle == "even_odd"


def test_compact_forms() -> None:
    choices = [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    names = [PAPER_CHOICES[choice] for choice in choices]
    assert parse_architecture("tiny:" + ",".join(map(str, choices))) == TINY
    assert parse_architecture("tiny: " + ", ".join(names)) == TINY
    assert parse_architecture({"space": "tiny", "choices": names}) == TINY
    assert parse_architecture(TINY) is TINY
    other = parse_architecture(
        {"space": "tiny", "choices": choices, "channel_shuffle": "interleave"}
    )
    assert other.channel_shuffle == "interleave"


def test_numpy_choices_are_plain_integers() -> None:
    architecture = Architecture(SPACES["tiny"], tuple(np.array(TINY.choices, dtype=np.int8)))
    assert architecture == TINY
    assert all(type(choice) is int for choice in architecture.choices)


@pytest.mark.parametrize(
    ("choices", "shuffle", "message"),
    [
        ((0,) * 19, "even_odd", "has 19 choices, space 'small' has 20 blocks"),
        ((0,) * 19 + (4,), "even_odd", "choice 4 of block 19 is out of range"),
        ((-1,) + (0,) * 19, "even_odd", "choice -1 of block 0 is out of range"),
        ((0,) * 20, "random", "unknown channel shuffle 'random'"),
    ],
)
def test_invalid_architectures(choices: tuple[int, ...], shuffle: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Architecture(SPACES["small"], choices, shuffle)


def test_a_choice_that_a_block_lacks_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"block 2 of space 'tiny-skip' cannot be 'skip', it may"):
        Architecture(SPACES["tiny-skip"], (0, 0, 4) + (0,) * 7)
    assert Architecture(RAGGED, (1, 2, 0)).choice_names[1] == "skip"
    for choices, message in (
        ((2, 1, 0), "block 0"),
        ((0, 0, 0), "block 1"),
        ((0, 1, 1), "block 2"),
    ):
        with pytest.raises(SpaceError, match=f"{message} of space 'ragged' cannot be"):
            Architecture(RAGGED, choices)


def test_the_key_of_a_scaled_space_names_its_width() -> None:
    architecture = parse_architecture("tiny-skip@0.5: 0, skip, 1, 2, 3, skip, skip, 0, 1, 0")
    assert architecture.key == "tiny-skip@0.5:0,4,1,2,3,4,4,0,1,0"
    assert architecture.space.stages[0].channels == 16
    assert macs(architecture) < macs(parse_architecture("tiny-skip:0,4,1,2,3,4,4,0,1,0"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, '"format" must be'),
        ({"version": 2}, "version 2, this program reads 1"),
        ({"extra": 1}, "unknown key 'extra' .*; known: format, "),
        ({"scaling": {"width": 2}}, "key 'depth' is missing under scaling"),
        ({"score": 0.3}, "score must be a dict or None, not 0.3"),
        ({"choices": ["shufflenet_3x3"]}, "has 1 choices"),
        ({"choices": ["pool"] * 10}, "choice 'pool' of block 0 must be one of"),
        ({"choices": [True] * 10}, r"choices\[0\] must be .*, not True"),
        ({"choices": "0,1"}, "must be a list"),
        ({"costs": {"macs": 1}}, "the file says 1 macs, its choices have"),
        ({"costs": {"params": 1}}, "the file says 1 params"),
        ({"costs": {"flops": 1}}, "unknown key 'flops' under costs; known: macs, "),
        (
            {"costs": {"input_size": [224, 224]}},
            r"costs.input_size must be .channels, height, width., not .224, 224.",
        ),
    ],
)
def test_invalid_json(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(TINY.to_dict() | changes), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as error:
        Architecture.load(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_missing_key() -> None:
    data = TINY.to_dict()
    del data["channel_shuffle"]
    with pytest.raises(ValueError, match="key 'channel_shuffle' is missing"):
        Architecture.from_dict(data)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such architecture file"):
        parse_architecture("missing.json")
    (tmp_path / "text.json").write_text("choices", encoding="utf-8")
    with pytest.raises(ValueError, match="not a JSON file"):
        parse_architecture(tmp_path / "text.json")


def test_unknown_string_lists_what_it_may_be() -> None:
    with pytest.raises(ValueError, match=r"did you mean 'detnasnet-300m-coco-fpn'") as error:
        parse_architecture("detnasnet-300m-coco-fpm")
    assert all(name in str(error.value) for name in PUBLISHED)
    with pytest.raises(ValueError, match="unknown space 'smal'"):
        parse_architecture("smal:0,1")
