"""Tables: queries, joining histories, and the file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_table import TINY, toy_table

from detnas.errors import UserError
from detnas.fidelity.table import Table, from_histories
from detnas.fidelity.table_file import read_table, write_table
from detnas.search.history.reading import SearchHistory
from search_space.architecture import Architecture, macs, params
from search_space.spaces import get_space

GOLDEN = Path(__file__).parents[2] / "golden/history_v2.db"


@pytest.fixture
def history() -> SearchHistory:
    return SearchHistory.read(GOLDEN)


def test_costs_are_those_of_the_architectures() -> None:
    table = toy_table(5)
    architectures = [Architecture(TINY, choices) for choices in table.architectures]
    assert table.costs["macs"].tolist() == [macs(each) for each in architectures]
    assert table.costs["params"].tolist() == [params(each) for each in architectures]


def test_columns_are_found_by_whole_parts_of_their_names() -> None:
    table = toy_table(5)
    table = table.with_column("supernet/plain-wide/seed0", {table.architectures[1]: 0.25})
    assert table.names("supernet/plain") == ["supernet/plain/seed0", "supernet/plain/seed1"]
    assert table.columns("supernet/plain").shape == (5, 2)
    assert table.columns("supernet/plain/seed0")[:, 0].tolist() == (
        table.column("supernet/plain/seed0").tolist()
    )
    wide = table.column("supernet/plain-wide/seed0")
    assert np.isnan(wide).tolist() == [True, False, True, True, True]
    with pytest.raises(UserError, match="did you mean 'supernet/plain/seed"):
        table.column("supernet/plain/seed")
    with pytest.raises(UserError, match="no column begins with 'super'"):
        table.columns("super")


def test_a_subset_has_the_rows_of_a_group() -> None:
    table = replace(toy_table(4), groups=("space", "band", "space", "band"))
    band = table.subset("band")
    assert band.architectures == table.architectures[1::2]
    assert (
        band.column("standalone/seed0").tolist() == table.column("standalone/seed0")[1::2].tolist()
    )
    with pytest.raises(UserError, match="no group 'bond'; did you mean 'band'"):
        table.subset("bond")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architectures": ((0,) * 10,) * 4}, "occurs twice"),
        ({"architectures": ((9,) * 10,) * 4}, "out of range"),
        ({"groups": ("space",)}, "column 'group' has 1 values for 4"),
        ({"scores": {"a": (1.0,)}}, "column 'a' has 1 values for 4"),
        ({"scores": {"a": (1.0, None, float("inf"), 1.0)}}, "not finite"),
        ({"scores": {"macs": (1.0,) * 4}}, "cannot be called 'macs'"),
    ],
)
def test_tables_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        replace(toy_table(4), **changes)


def test_histories_are_joined_by_architecture(history: SearchHistory) -> None:
    fewer = replace(history, rows=history.rows[::-1][:10])
    done = {row.choices: row.score for row in history.rows if row.score is not None}
    table = from_histories({"a": history, "b": fewer}, about={"metric": "toy"})
    assert list(table.architectures) == list(dict.fromkeys(row.choices for row in history.rows))
    assert set(table.groups) == {"space"}
    for row, choices in enumerate(table.architectures):
        assert table.scores["a"][row] == done.get(choices)
        in_b = choices in [row.choices for row in fewer.rows]
        assert table.scores["b"][row] == (done.get(choices) if in_b else None)


def test_histories_that_cannot_be_joined(history: SearchHistory) -> None:
    other = replace(history, fingerprint={**history.fingerprint, "space": "small"})
    with pytest.raises(UserError, match="its space is 'small', not 'tiny'"):
        from_histories({"a": history, "b": other})
    losses = replace(history, fingerprint={**history.fingerprint, "greater_is_better": False})
    with pytest.raises(UserError, match="the lowest score is the best"):
        from_histories({"a": losses})
    with pytest.raises(UserError, match="at least one history"):
        from_histories({})


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    table = replace(toy_table(6), groups=("space",) * 3 + ("band",) * 3, about={"metric": "mAP"})
    table = table.with_column("some", {table.architectures[2]: 0.125})
    write_table(table, tmp_path / "table.csv")
    found = read_table(tmp_path / "table.csv")
    rounded = {
        name: tuple(None if s is None else round(s, 6) for s in scores)
        for name, scores in table.scores.items()
    }
    assert found == replace(table, scores=rounded)
    write_table(found, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "table.csv").read_bytes()
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert lines[1].startswith("choices,group,macs,params,standalone/seed0")
    assert lines[2].endswith(",")  # no score in the last column


def test_an_empty_table_is_a_table(tmp_path: Path) -> None:
    write_table(Table(get_space("tiny"), (), (), {"a": ()}), tmp_path / "table.csv")
    found = read_table(tmp_path / "table.csv")
    assert found.column("a").shape == (0,)
    assert found.choices.shape == (0, 10)
    assert found.costs["macs"].shape == (0,)


@pytest.mark.parametrize(
    ("line", "old", "new", "message"),
    [
        (1, "# {", "# [", "line 1: must be '# ' and a JSON object"),
        (1, '"version": 1', '"version": 7', "line 1: table version 7"),
        (1, '"name": "tiny"', '"name": "tinny"', None),  # a custom space of that name
        (1, '"stem": 16', '"stem": 12', "line 1: space 'tiny' is known with another geometry"),
        (1, "224, 224]", "224, -1]", "line 1: input size .* all positive"),
        (1, '"about"', '"abuot"', "line 1: unknown key 'abuot'"),
        (2, "macs", "MACs", "line 2: must name the columns"),
        (2, "standalone/seed1", "standalone/seed0", "line 2: must name .* different columns"),
        (3, '"0,', '"9,', "line 3: choice 9 of block 0 is out of range"),
        (3, '"0,', '"a,', "line 3: choices 'a,.*' must look like"),
        (3, '"0,', '"1,', "line 3: the file says .* macs, the choices have"),
        (3, "0.000000", "0.x", "line 3: standalone/seed0 is '0.x', must be a number"),
        (3, "0.000000", "inf", "line 3: standalone/seed0 is 'inf'"),
        (3, "0.000000", "0,1", "line 3: 9 values for 8 columns"),
        (3, '"0,', '0"', "line 3: "),
    ],
)
def test_damaged_files_are_refused_with_their_line(
    tmp_path: Path, line: int, old: str, new: str, message: str | None
) -> None:
    path = tmp_path / "table.csv"
    table = toy_table(3)
    table = replace(table, architectures=((0,) * 10, *table.architectures[1:]))
    write_table(
        table.with_column("standalone/seed0", dict.fromkeys(table.architectures, 0.0)), path
    )
    lines = path.read_text().splitlines()
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    path.write_text("\n".join(lines) + "\n")
    if message is None:
        assert read_table(path).space.name == "tinny"
        return
    with pytest.raises(UserError, match=f"{path}, {message}"):
        read_table(path)


def test_a_row_that_occurs_twice_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_table(toy_table(3), path)
    path.write_text(path.read_text() + path.read_text().splitlines()[-1] + "\n")
    with pytest.raises(UserError, match=r"line 6: the choices .* occur twice"):
        read_table(path)
    with pytest.raises(UserError, match="no such table"):
        read_table(tmp_path / "other.csv")
