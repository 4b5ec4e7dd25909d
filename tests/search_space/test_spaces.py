"""The spaces: their published geometry, their JSON, and what is refused."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest

from search_space.errors import SpaceError
from search_space.spaces import PAPER_CHOICES, SPACES, SearchSpace, Stage, get_space, parse_space


@pytest.mark.parametrize(
    ("name", "blocks", "last_channels"),
    [("small", 20, 1024), ("large", 40, 1024), ("large-wide", 40, 1728), ("tiny", 10, 256)],
)
def test_known_spaces(name: str, blocks: int, last_channels: int) -> None:
    space = get_space(name)
    assert (space.num_blocks, space.num_choices) == (blocks, 4)
    assert space.size == 4**blocks
    assert space.last_channels == last_channels


def test_block_specs_of_small() -> None:
    specs = SPACES["small"].block_specs()
    assert [spec.index for spec in specs] == list(range(20))
    assert [spec.index for spec in specs if spec.stride == 2] == [0, 4, 8, 16]
    assert [spec.input_stride for spec in specs] == [2] + [4] * 4 + [8] * 4 + [16] * 8 + [32] * 3
    assert (specs[0].in_channels, specs[0].out_channels) == (16, 64)
    assert (specs[8].stage, specs[8].in_channels, specs[8].out_channels) == (2, 160, 320)
    for before, after in itertools.pairwise(specs):
        assert before.out_channels == after.in_channels


@pytest.mark.parametrize("space", SPACES.values(), ids=lambda space: space.name)
def test_json_of_known_space(space: SearchSpace) -> None:
    assert parse_space(space.to_dict()) is space


def test_json_of_custom_space() -> None:
    space = SearchSpace("mine", 8, (Stage(16, 1), Stage(32, 2)), PAPER_CHOICES[:2])
    assert parse_space(space.to_dict()) == space


def test_a_space_is_parsed_from_every_form() -> None:
    custom = {"name": "mine", "stem": 8, "stages": ((16, 1), [32, 2]), "choices": PAPER_CHOICES}
    space = SearchSpace("mine", 8, (Stage(16, 1), Stage(32, 2)), PAPER_CHOICES)
    assert parse_space(custom) == parse_space(space) == space
    assert parse_space("tiny") is parse_space(SPACES["tiny"].to_dict()) is SPACES["tiny"]
    with pytest.raises(SpaceError, match="space must be a dict, not 3"):
        parse_space(3)  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match="key 'stem' is missing under space; add it"):
        parse_space({"name": "mine", "stages": [[16, 1]], "choices": ["xception_3x3"]})


def test_known_name_with_another_geometry_is_refused() -> None:
    data = SPACES["small"].to_dict() | {"stem": 24}
    with pytest.raises(ValueError, match="'small' is known with another geometry"):
        parse_space(data)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extra": 1}, "unknown key 'extra' under space; known: name, stem, "),
        ({"stem": "16"}, "space.stem must be an integer, not '16'"),
        ({"stages": [[64]]}, r"space.stages\[0\] must be \[channels, blocks\], not \[64\]"),
        ({"choices": "xception_3x3"}, "space.choices must be a list, not"),
        ({"choices": ["pool"]}, "unknown choice 'pool'"),
        ({"choices": ["xception_3x3"] * 2}, "distinct"),
        ({"stages": [[66, 2]]}, "divisible by 4"),
        ({"stages": [[64, 0]]}, "at least 1"),
        ({"stages": [[64, 2], [64, 2]]}, "stage 2: 64 channels, must be more than the 64"),
        ({"stages": []}, "no stages"),
        ({"name": "a:b"}, "one word"),
    ],
)
def test_bad_space_json_is_refused(changes: dict[str, object], message: str) -> None:
    data = SPACES["small"].to_dict() | {"name": "mine"} | changes
    with pytest.raises(ValueError, match=message):
        parse_space(data)


def test_unknown_name_lists_the_names_and_the_closest() -> None:
    with pytest.raises(ValueError, match=rf"did you mean 'small'\?.* {', '.join(SPACES)}"):
        get_space("smal")


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, search_space, search_space.sampling; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
