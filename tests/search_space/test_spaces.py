"""The spaces: their published geometry, their JSON, and what is refused."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest

from search_space.errors import SpaceError
from search_space.spaces import (
    PAPER_CHOICES,
    SPACES,
    WITH_SKIP,
    SearchSpace,
    Stage,
    get_space,
    parse_space,
    scaled,
    sources,
)


@pytest.mark.parametrize(
    ("name", "blocks", "last_channels"),
    [("small", 20, 1024), ("large", 40, 1024), ("large-wide", 40, 1728), ("tiny", 10, 256)],
)
def test_known_spaces(name: str, blocks: int, last_channels: int) -> None:
    space = get_space(name)
    assert (space.num_blocks, space.num_choices) == (blocks, 4)
    assert space.size == 4**blocks
    assert space.last_channels == last_channels


@pytest.mark.parametrize(
    ("name", "blocks", "last_channels"),
    [("small-skip", 20, 1024), ("tiny-skip", 10, 256), ("elastic", 40, 1024)],
)
def test_known_spaces_with_skip(name: str, blocks: int, last_channels: int) -> None:
    space = get_space(name)
    assert (space.num_blocks, space.choices, space.places) == (blocks, WITH_SKIP, None)
    halving = [spec.stride == 2 for spec in space.block_specs()]
    assert [len(numbers) for numbers in space.numbers] == [4 if half else 5 for half in halving]
    assert space.size == 4**4 * 5 ** (blocks - 4)
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


@pytest.mark.parametrize("name", ["small", "large", "large-wide", "tiny"])
def test_json_of_a_space_without_places_has_no_such_key(name: str) -> None:
    assert list(SPACES[name].to_dict()) == ["name", "stem", "stages", "choices"]


def with_places(*places: tuple[str, ...]) -> SearchSpace:
    return SearchSpace("ragged", 8, (Stage(16, 2), Stage(32, 1)), WITH_SKIP, places)


def test_places_say_which_choices_a_block_has() -> None:
    five, three, skip = "shufflenet_5x5", "shufflenet_3x3", "skip"
    space = with_places((five,), (skip, five, three), (five, three))
    assert space.numbers == ((1,), (0, 1, 4), (0, 1))
    assert space.size == 6
    data = space.to_dict()
    assert data["places"] == [[five], [skip, five, three], [five, three]]
    assert parse_space(data) == space
    assert scaled(space, 2).places == space.places


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (
            [["skip"], ["skip"], ["xception_3x3"]],
            r"places\[0\]: 'skip' cannot halve the resolution",
        ),
        ([["xception_3x3"]] * 2, "places has 2 blocks, the stages have 3"),
        ([["xception_3x3"]] * 4, "places has 4 blocks, the stages have 3"),
        (
            [["xception_3x3"], ["skp"], ["xception_3x3"]],
            r"places\[1\]: 'skp' .* did you mean 'skip'",
        ),
        ([["xception_3x3"], [], ["xception_3x3"]], r"places\[1\].* non-empty and distinct"),
        ([["xception_3x3"], ["skip"] * 2, ["xception_3x3"]], r"places\[1\].* distinct"),
        ([["xception_3x3"], "skip", ["xception_3x3"]], r"space.places\[1\] must be a list"),
        (3, "space.places must be a list or None, not 3"),
    ],
)
def test_bad_places_are_refused(places: object, message: str) -> None:
    data = {"name": "mine", "stem": 8, "stages": [[16, 2], [32, 1]], "choices": list(WITH_SKIP)}
    with pytest.raises(SpaceError, match=message) as error:
        parse_space(data | {"places": places})
    assert "\n" not in str(error.value)


def test_a_space_must_be_able_to_halve_the_resolution() -> None:
    with pytest.raises(SpaceError, match="none of the choices can halve the resolution"):
        SearchSpace("mine", 8, (Stage(16, 2),), ("skip",))


@pytest.mark.parametrize("space", SPACES.values(), ids=lambda space: space.name)
@pytest.mark.parametrize("width", [0.5, 0.75, 1.3, 2])
def test_widths(space: SearchSpace, width: float) -> None:
    other = get_space(f"{space.name}@{width}")
    assert other == scaled(space, width) == parse_space(other.to_dict()) == get_space(other.name)
    assert other.name == f"{space.name}@{width}"
    for before, after in ((space.stem, other.stem), *zip(*_channels(space, other), strict=True)):
        assert after % 4 == 0
        assert abs(after - before * width) <= 2
    assert (other.numbers, other.last_channels) == (space.numbers, space.last_channels)


def _channels(*spaces: SearchSpace) -> list[list[int]]:
    return [[stage.channels for stage in space.stages] for space in spaces]


def test_a_width_counts_as_its_name_says() -> None:
    assert get_space("small@1") is get_space("small@1.00000001") is SPACES["small"]
    space = get_space("small@0.333333333")
    assert space.name == "small@0.333333"
    assert get_space(space.name) == space
    assert get_space("small@.50") == get_space("small@0.5")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("small@x", "space 'small@x': the width after '@' must be a number, as in 'small@0.5'"),
        ("small@1x", "the width after '@' must be a number, .* or width and depth"),
        ("small@1x0", "space 'small': the depth must be above 0 and at most 10, not 0"),
        ("small@1x2x3", "the width after '@' must be a number"),
        ("small@", "the width after '@' must be a number"),
        ("small@0.5@2", "the width after '@' must be a number"),
        ("small@0", "space 'small': the width must be above 0 and at most 100, not 0"),
        ("small@-1", "the width must be above 0 and at most 100, not -1"),
        ("small@nan", "the width must be above 0 and at most 100, not nan"),
        ("small@1e300", "the width must be above 0 and at most 100, not 1e.300"),
        ("small@0_5", "the width after '@' must be a number"),
        ("small@ 0.5", "the width after '@' must be a number"),
        ("small@inf", "the width must be above 0 and at most 100, not inf"),
        ("small@0.01", "space 'small@0.01', stage 1: 4 channels, must be .*: .* is too small"),
        ("smal@0.5", r"unknown space 'smal@0.5'; did you mean 'small'\?"),
    ],
)
def test_bad_widths_are_refused(name: str, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        get_space(name)


def test_depths() -> None:
    space = get_space("small@1.2x1.4")
    assert space.name == "small@1.2x1.4"
    assert [stage.blocks for stage in space.stages] == [6, 6, 12, 6]
    assert [stage.channels for stage in space.stages] == [76, 192, 384, 768]
    assert space == scaled(SPACES["small"], 1.2, 1.4) == scaled(get_space("small@1x1.4"), 1.2)
    assert space == parse_space(space.to_dict())
    assert get_space("small@0.5x1") == get_space("small@0.5")
    assert [stage.blocks for stage in get_space("large@1x1.1").stages] == [9, 9, 18, 9]
    tiny, deeper = SPACES["tiny"].stages, get_space("tiny@1x2").stages
    assert sources(tiny, deeper) == (
        0,
        1,
        1,
        1,
        2,
        3,
        3,
        3,
        4,
        5,
        5,
        5,
        6,
        6,
        7,
        7,
        8,
        9,
        9,
        9,
    )


def test_further_blocks_have_the_choices_of_those_they_repeat() -> None:
    space = SearchSpace(
        "mine",
        8,
        (Stage(16, 2), Stage(32, 1)),
        choices=("shufflenet_3x3", "xception_3x3"),
        places=(("xception_3x3",), ("shufflenet_3x3",), ("shufflenet_3x3", "xception_3x3")),
    )
    deeper = scaled(space, 1, 1.5)
    assert deeper.places == (
        ("xception_3x3",),
        ("shufflenet_3x3",),
        ("shufflenet_3x3",),
        ("shufflenet_3x3", "xception_3x3"),
        ("shufflenet_3x3", "xception_3x3"),
    )


def test_the_name_of_a_width_with_another_geometry_is_refused() -> None:
    data = get_space("small@0.5").to_dict() | {"stem": 16}
    with pytest.raises(SpaceError, match=r"'small@0\.5' is known with another geometry"):
        parse_space(data)


def test_json_of_custom_space() -> None:
    space = SearchSpace("mine", 8, (Stage(16, 1), Stage(32, 2)), PAPER_CHOICES[:2])
    assert parse_space(space.to_dict()) == space


def test_a_space_is_parsed_from_every_form() -> None:
    custom = {"name": "mine", "stem": 8, "stages": ((16, 1), [32, 2]), "choices": PAPER_CHOICES}
    space = SearchSpace("mine", 8, (Stage(16, 1), Stage(32, 2)), PAPER_CHOICES)
    assert parse_space(custom) == parse_space(space) == space
    assert parse_space("tiny") is parse_space(SPACES["tiny"].to_dict()) is SPACES["tiny"]
    with pytest.raises(SpaceError, match="space is 3: give a name"):
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
