"""Conversion of plain data to typed values: what each mistake's line says."""

from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from search_space.errors import SpaceError
from search_space.validation import convert

Name = Annotated[str, Meta(min_length=1)]


class Base(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type"):
    generations: Annotated[int, Meta(ge=1)] = 20


class Evolution(Base, tag="evolution", frozen=True):
    parents: Annotated[int, Meta(ge=1, extra={"note": "kept"})] = 10

    def __post_init__(self) -> None:
        if self.parents > self.generations:
            raise SpaceError("too many parents")
        if self.parents == 7:
            raise ValueError("a defect")


class Random(Base, tag="random", frozen=True):
    pass


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    strategy: Evolution | Random
    dtype: Literal["float32", "float16"] = "float32"
    size: tuple[int, int, int] | None = None
    names: tuple[Name, ...] = ()
    share: Annotated[float, Meta(gt=0, le=1)] = 0.5
    costs: dict[str, int] = {}


def _random(**options: Any) -> dict[str, Any]:
    return {"strategy": {"type": "random", **options}}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (_random(parents=3), r"'parents' under search\.strategy; known: "),
        ({"strategy": {"type": "evolutin"}}, r"unknown search\.strategy\.type 'evolutin'; did you"),
        ({"strategy": {}}, r"key 'type' is missing under search\.strategy; add it"),
        ({}, "key 'strategy' is missing under search; add it"),
        ({"strategi": 1}, r"unknown key 'strategi' under search; did you mean 'strategy'\?"),
        ({"strategy": 3}, r"search\.strategy must be a dict, not 3"),
        (_random(generatoins=1), r"'generatoins' under .*; did you mean 'generations'\?"),
        (_random(generations=0), r"search\.strategy\.generations must be an integer >= 1, not 0"),
        (_random(generations=True), "must be an integer, not True"),
        ({**_random(), "dtype": "float64"}, r"unknown search\.dtype 'float64'; did you mean"),
        ({**_random(), "size": (1, 2)}, r"search\.size must be a list of length 3, not \(1, 2"),
        ({**_random(), "size": (1, 2, "c")}, r"search\.size\[2\] must be an integer, not 'c'"),
        ({**_random(), "names": ["a", ""]}, r"search\.names\[1\] must be a non-empty string, not"),
        ({**_random(), "names": "a"}, r"search\.names must be a list, not 'a'"),
        ({**_random(), "share": 2}, r"search\.share must be a number <= 1, not 2"),
        ({**_random(), "costs": {"macs": "1"}}, r"search\.costs\S* must be an integer"),
        ({"strategy": {"type": "evolution", "generations": 2}}, r"^too many parents$"),
        (7, "search must be a dict, not 7"),
    ],
)
def test_a_mistake_is_named(value: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        convert(value, Section, "search")


def test_a_defect_of_a_struct_stays_what_it_is() -> None:
    with pytest.raises(ValueError, match=r"^a defect$") as raised:
        convert({"strategy": {"type": "evolution", "parents": 7}}, Section, "search")
    assert type(raised.value) is ValueError


def test_plain_data_becomes_values() -> None:
    section = convert({**_random(), "size": [1, 2, 3], "share": 1}, Section)
    assert section == Section(Random(), size=(1, 2, 3), share=1.0)
