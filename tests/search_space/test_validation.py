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


RANDOM = {"type": "random"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"strategy": {"type": "evolution", "genrations": 1}}, r"unknown key 'genrations' under "
         r"search\.strategy; did you mean 'generations'\?"),
        ({"strategy": {"type": "random", "parents": 3}}, "'parents' under search.strategy; known: "),
        ({"strategy": {"type": "evolutin"}}, r"unknown search\.strategy\.type 'evolutin'; did you"),
        ({"strategy": {}}, r"key 'type' is missing under search\.strategy; add it"),
        ({}, "key 'strategy' is missing under search; add it"),
        ({"strategi": 1}, r"unknown key 'strategi' under search; did you mean 'strategy'\?"),
        ({"strategy": 3}, r"search\.strategy must be a dict, not 3"),
        ({"strategy": {**RANDOM, "generations": 0}}, "generations must be an integer >= 1, not 0"),
        ({"strategy": {**RANDOM, "generations": True}}, "must be an integer, not True"),
        ({"strategy": RANDOM, "dtype": "float64"}, r"unknown search\.dtype 'float64'; did you mean"),
        ({"strategy": RANDOM, "size": (1, 2)}, r"search\.size must be a list of length 3, not \(1"),
        ({"strategy": RANDOM, "size": (1, 2, "c")}, r"search\.size\[2\] must be an integer, not 'c'"),
        ({"strategy": RANDOM, "names": ["a", ""]}, r"names\[1\] must be a string of length >= 1"),
        ({"strategy": RANDOM, "names": "a"}, r"search\.names must be a list, not 'a'"),
        ({"strategy": RANDOM, "share": 2}, r"search\.share must be a number <= 1\.0, not 2"),
        ({"strategy": RANDOM, "costs": {"macs": "1"}}, r"search\.costs\S* must be an integer"),
        ({"strategy": {"type": "evolution", "generations": 2}}, "^too many parents$"),
        (7, "search must be a dict, not 7"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(value: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        convert(value, Section, "search")


def test_a_defect_of_a_struct_stays_what_it_is() -> None:
    with pytest.raises(ValueError, match="^a defect$") as raised:
        convert({"strategy": {"type": "evolution", "parents": 7}}, Section, "search")
    assert type(raised.value) is ValueError


def test_plain_data_becomes_values() -> None:
    section = convert({"strategy": RANDOM, "size": [1, 2, 3], "share": 1}, Section)
    assert section == Section(Random(), size=(1, 2, 3), share=1.0)
