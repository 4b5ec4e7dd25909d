"""Latency tables: what a file must hold, and budgets on what it says."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search_space.architecture import Architecture
from search_space.cost import cost_table
from search_space.latency import Device, LatencySettings, LatencyTable, load_latency_table
from search_space.sampling import Budget, BudgetSampler, enumerate_space
from search_space.spaces import PAPER_CHOICES, SPACES, WITH_SKIP, SearchSpace, Stage

FOUR = SearchSpace("four", 8, (Stage(16, 2), Stage(32, 2)), PAPER_CHOICES)
SKIPPING = SearchSpace("skipping", 8, (Stage(16, 2), Stage(32, 2)), WITH_SKIP)
SIZE = (3, 32, 48)


def made_up(space: SearchSpace = FOUR, seed: int = 0) -> LatencyTable:
    drawn = np.random.default_rng(seed).random((space.num_blocks, space.num_choices)).tolist()
    rows = [
        [value if choice in numbers else None for choice, value in enumerate(row)]
        for row, numbers in zip(drawn, space.numbers, strict=True)
    ]
    return LatencyTable(
        space=space,
        base=0.25,
        table=tuple(map(tuple, rows)),
        settings=LatencySettings(input_size=SIZE, batch_size=2, rounds=3),
        device=Device("cpu", "Some CPU"),
        torch="2.11.0",
        date="2026-11-24T10:00:00+00:00",
    )


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The JSON object with one value replaced, or removed where the value is `...`."""
    data = copy.deepcopy(made_up().to_dict())
    inner: Any = data
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return data


@pytest.mark.parametrize("space", [FOUR, SKIPPING], ids=lambda space: space.name)
def test_a_file_gives_the_same_table(space: SearchSpace, tmp_path: Path) -> None:
    table, path = made_up(space), tmp_path / "latency.json"
    path.write_text(json.dumps(table.to_dict(), indent=1), encoding="utf-8")
    read = load_latency_table(path, space)
    assert read == table
    assert read.sha256 == table.sha256 != made_up(seed=1).sha256
    assert read.costs.of((0, 1, 2, 3)) == table.costs.of((0, 1, 2, 3))
    assert [list(entries) for entries in read.costs.entries] == [list(n) for n in space.numbers]
    assert "Some CPU, 1 thread, float32" in read.conditions


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("format",), "detnas-architecture", 'its "format" must be'),
        (("version",), 2, "version 2, this program reads 1"),
        (("base",), ..., "key 'base' is missing"),
        (("more",), 1, "unknown key 'more' "),
        (("base",), float("nan"), "base must be a number >= 0, not nan"),
        (("base",), -0.1, "base must be a number >= 0, not -0.1"),
        (("table", 1, 2), "3", r"table\[1\]\[2\] must be a number or None, not '3'"),
        (("table", 1, 2), float("inf"), r"table\[1\]\[2\] is inf, not finite"),
        (("table", 1, 2), True, r"table\[1\]\[2\] must be a number or None, not True"),
        (("table", 1, 2), -1, r"table\[1\]\[2\] must be a number >= 0, not -1"),
        (("table", 1, 2), None, "has choices 0, 1, 3 at block 1, space 'four' has 0, 1, 2, 3"),
        (("table", 1), [None] * 4, "has no choice at block 1"),
        (("table", 1), [1, 2], "equally many choices"),
        (("table", 3), ..., "has 3 blocks and 4 choices, space 'four' has 4 and 4"),
        (("table",), [], "equally many choices"),
        (("table",), 3, "table must be a list, not 3"),
        (("table",), "abc", "table must be a list, not 'abc'"),
        (("space", "stem"), 0, "stem"),
        (("space", "name"), "small", "known with another geometry"),
        (("settings", "dtype"), "int8", "dtype 'int8'; known: bfloat16, float16, float32"),
        (("settings", "batch_size"), 0, "batch_size must be an integer >= 1, not 0"),
        (("settings", "threads"), 1.5, "threads must be an integer, not 1.5"),
        (("settings", "quantile"), 20, "quantile must be a number <= 1, not 20"),
        (("settings", "input_size"), [3, 32], r"must be .3, height, width., not .3, 32."),
        (("settings", "input_size"), 32, r"must be .3, height, width., not 32"),
        (("settings", "rounds"), ..., "key 'rounds' is missing under settings"),
        (("settings",), None, "settings must be a dict, not None"),
        (("device",), "cpu", "device must be a dict, not 'cpu'"),
        (("device", "name"), "", "device.name must be a non-empty string, not ''"),
        (("date",), 2026, "date must be a string, not 2026"),
    ],
)
def test_files_that_are_refused(
    path: tuple[Any, ...], value: Any, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "latency.json"
    file.write_text(json.dumps(changed(path, value)), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as error:
        load_latency_table(file)
    assert str(error.value).startswith(f"{file}: ")
    assert "\n" not in str(error.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no such latency table .make one with"):
        load_latency_table(tmp_path / "none.json")
    with pytest.raises(ValueError, match="cannot be read"):
        load_latency_table(tmp_path)
    for text in ("{", "[1]", "null", '"text"'):
        (tmp_path / "broken.json").write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=r"not a (JSON file|detnas-latency file)"):
            load_latency_table(tmp_path / "broken.json")


def test_a_table_of_another_space_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latency.json"
    path.write_text(json.dumps(made_up().to_dict()), encoding="utf-8")
    with pytest.raises(ValueError, match="of space 'four', not of 'tiny'"):
        load_latency_table(path, SPACES["tiny"])


def test_the_budget_must_be_at_the_size_of_the_table() -> None:
    costs = made_up().costs
    assert cost_table(FOUR, "latency_ms", SIZE, [costs]) is costs
    with pytest.raises(ValueError, match="the input size of the one given, 3x32x48"):
        cost_table(FOUR, "latency_ms", (3, 224, 224), [costs])


@pytest.mark.parametrize(
    ("lower", "upper"), [(0.0, 0.001), (0.3, 0.31), (0.5, 0.9), (None, 0.1), (0.9, None)]
)
@pytest.mark.parametrize("space", [FOUR, SKIPPING], ids=lambda space: space.name)
def test_latency_budgets_against_enumeration(
    lower: float | None, upper: float | None, space: SearchSpace
) -> None:
    costs = made_up(space).costs
    everything = np.array(list(enumerate_space(space)))
    milliseconds = costs.of_many(everything)
    low, high = (
        None if share is None else float(np.quantile(milliseconds, share))
        for share in (lower, upper)
    )
    budget = Budget("latency_ms", low, high, SIZE)
    sampler = BudgetSampler(space, [budget], [costs])
    (step,) = sampler.steps
    admitted = np.array([sampler.contains(row) for row in everything])
    assert all(budget.contains(value) for value in milliseconds[admitted].tolist())
    margin = (space.num_blocks + 1) * step
    inner = np.ones(len(everything), dtype=bool)
    if low is not None and low > milliseconds.min():
        inner &= milliseconds >= low + margin
    if high is not None:
        inner &= milliseconds <= high - margin
    assert admitted[inner].all()
    assert sampler.count == admitted.sum() > 0


def test_a_stated_cost_fits_an_architecture_file(tmp_path: Path) -> None:
    table, architecture = made_up(), Architecture(FOUR, (3, 2, 1, 0))
    stated = {"value": table.costs.of(architecture.choices), **table.stated_conditions}
    assert stated["value"] == pytest.approx(table.costs.of((3, 2, 1, 0)))
    assert stated["table_sha256"] == table.sha256
    path = tmp_path / "architecture.json"
    architecture.save(path, extra_costs={"latency_ms": stated})
    assert Architecture.load(path) == architecture
