"""Costs equal those of the authors' running code, to the unit, and are additive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_space.architecture import Architecture, costs, macs, params
from search_space.cost import (
    COSTS,
    Cost,
    CostTable,
    cost_table,
    macs_table,
    params_table,
)
from search_space.sampling import Budget, BudgetSampler
from search_space.spaces import SPACES, SearchSpace, get_space

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "data" / "macs_and_params.json").read_text(encoding="utf-8")
)
SECTIONS = {"small": "small", "large": "large", "xl_3.8G": "large-wide"}


def networks(value: Any) -> Iterator[dict[str, Any]]:
    """Every network in a section of the golden file, however deep."""
    if isinstance(value, dict):
        if "choices" in value and "macs" in value:
            yield value
        for inner in value.values():
            yield from networks(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from networks(inner)


def per_stage(space: SearchSpace, table: CostTable, choices: list[int]) -> list[int | float]:
    sums: list[int | float] = [0] * len(space.stages)
    for spec, row, choice in zip(space.block_specs(), table.table, choices, strict=True):
        sums[spec.stage] += row[choice]
    return sums


@pytest.mark.parametrize("section", SECTIONS)
def test_every_golden_network(section: str) -> None:
    space = SPACES[SECTIONS[section]]
    tables = {"macs": macs_table(space), "params": params_table(space)}
    found = list(networks(GOLDEN[section]))
    assert found
    for network in found:
        architecture = Architecture(space, tuple(network["choices"]))
        assert macs(architecture) == network["macs"]
        assert params(architecture) == network["params"]
        for name, table in tables.items():
            if f"{name}_stem" in network:
                assert table.base == network[f"{name}_stem"]
            stages = per_stage(space, table, network["choices"])
            assert stages == network[f"{name}_per_stage"]


@pytest.mark.parametrize("name", ["small", "large"])
def test_extremes_and_supernet(name: str) -> None:
    space, golden = SPACES[name], GOLDEN[name]
    table = macs_table(space)
    assert (table.min, table.max) == (golden["min"]["macs"], golden["max"]["macs"])
    every_choice = params_table(space)
    total = every_choice.base + sum(map(sum, every_choice.table))
    assert total == golden["supernet_backbone_params"]


def test_odd_input_rounds_up_at_every_halving() -> None:
    space = SPACES["tiny"]
    # 33 -> 17 -> 9 -> 5 -> 3 -> 2 and 64 -> 32 -> 16 -> 8 -> 4 -> 2
    table = macs_table(space, (3, 33, 64))
    assert table.base == 27 * 16 * 17 * 32
    spec = space.block_specs()[1]  # 16 of 32 channels enter, at stride 4: 9 x 16 positions
    assert spec.input_stride == 4
    assert table.table[1][0] == (16 * 16 + 16 * 9 + 16 * 16) * 9 * 16


def small_choices() -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, 3), min_size=20, max_size=20)


@given(choices=small_choices(), block=st.integers(0, 19), other=st.integers(0, 3))
def test_costs_are_additive(choices: list[int], block: int, other: int) -> None:
    for name in ("macs", "params"):
        table = cost_table(SPACES["small"], name)
        changed = [*choices[:block], other, *choices[block + 1 :]]
        difference = table.table[block][other] - table.table[block][choices[block]]
        assert table.of(changed) - table.of(choices) == difference
        assert table.min <= table.of(choices) <= table.max
        assert table.of_many(np.array([choices, changed])).tolist() == [
            table.of(choices),
            table.of(changed),
        ]


def test_float_costs() -> None:
    table = CostTable("latency_ms", "ms", None, 0.1, ((0.1, 0.2), (0.3, 0.7)))
    assert not table.is_integer
    assert table.of([1, 1]) == pytest.approx(1.0)
    assert table.of_many(np.array([[0, 0], [1, 1]])).tolist() == [table.min, table.max]


@pytest.mark.parametrize("name", ["macs", "params"])
def test_a_skipped_block_costs_nothing(name: str) -> None:
    table, without = (cost_table(SPACES[space], name) for space in ("tiny-skip", "tiny"))
    for spec, row, other in zip(
        SPACES["tiny"].block_specs(), table.table, without.table, strict=True
    ):
        assert row == (*other, 0 if spec.stride == 1 else None)
    architectures = np.array([(0, 4, 1, 4, 2, 4, 4, 4, 3, 4), (3,) * 10])
    assert table.of_many(architectures).tolist() == [table.of(row) for row in architectures]
    assert table.max == without.max
    assert table.min == table.base + sum(min(row[:4]) for row in table.table if row[4] is None)


def test_entries_that_a_block_lacks_are_no_cost() -> None:
    table = CostTable("latency_ms", "ms", None, 0.5, ((None, 2.0, 1.0), (0.0, None, 3.0)))
    assert table.entries == ({1: 2.0, 2: 1.0}, {0: 0.0, 2: 3.0})
    assert (table.min, table.max) == (1.5, 5.5)
    with pytest.raises(ValueError, match="no choice at block 1"):
        CostTable("latency_ms", "ms", None, 0.5, ((1.0,), (None,)))
    space = SPACES["tiny-skip"]
    rows = tuple(tuple(0.0 for _ in range(5)) for _ in range(10))
    with pytest.raises(
        ValueError, match="has choices 0, 1, 2, 3, 4 at block 0, space 'tiny-skip' "
    ):
        CostTable("latency_ms", "ms", None, 0.0, rows).require_fit(space)


@pytest.mark.parametrize(
    ("name", "smallest", "largest"),
    [
        ("small-skip", 80_695_552, 365_472_576),
        ("tiny-skip", 21_650_944, 51_875_712),
        ("elastic", 47_500_992, 390_415_536),
        ("small@0.5", 63_693_728, 103_106_976),
    ],
)
def test_range_of_macs(name: str, smallest: int, largest: int) -> None:
    table = macs_table(get_space(name))
    assert (table.min, table.max) == (smallest, largest)


def test_costs_are_exact_integers() -> None:
    table = macs_table(SPACES["large"])
    assert table.is_integer
    assert type(table.of([0] * 40)) is int
    assert table.of_many(np.zeros((1, 40), dtype=np.int8)).dtype == np.int64


def test_input_size_travels_with_the_costs() -> None:
    architecture = Architecture(SPACES["tiny"], (0,) * 10)
    assert costs(architecture, (3, 320, 320))["input_size"] == [3, 320, 320]
    assert macs(architecture, (3, 448, 448)) == 4 * macs(architecture)


def test_a_cost_is_added_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = Cost("layers", "layers", "depth", lambda conv, size: 1, depends_on_input_size=False)
    monkeypatch.setitem(COSTS, "layers", layers)
    space = SPACES["tiny"]
    table = cost_table(space, "layers")
    # Stem; 3 or 6 layers in the main branch of each block; projections of 2 at every stage.
    assert (table.base, table.min, table.max) == (1, 1 + 10 * 3 + 4 * 2, 1 + 10 * 6 + 4 * 2)
    assert costs(Architecture(space, (3,) * 10))["layers"] == table.max
    sampler = BudgetSampler(space, [Budget("layers", upper=table.min)])
    assert sampler.count == 3**10


def test_refusals() -> None:
    space = SPACES["tiny"]
    with pytest.raises(ValueError, match="unknown cost 'flops'; known: macs, params"):
        cost_table(space, "flops")
    with pytest.raises(ValueError, match="'latency_ms' at input 3x224x224 is measured"):
        cost_table(space, "latency_ms")
    with pytest.raises(ValueError, match="all positive"):
        macs_table(space, (3, 0, 224))
    with pytest.raises(ValueError, match="equally many choices"):
        CostTable("latency_ms", "ms", None, 0.0, ((1.0, 2.0), (1.0,)))
    with pytest.raises(ValueError, match="not finite"):
        CostTable("latency_ms", "ms", None, 0.0, ((1.0, float("nan")),))
    wrong = CostTable("latency_ms", "ms", None, 0.0, ((1.0, 2.0),))
    with pytest.raises(ValueError, match="1 blocks and 2 choices, space 'tiny' has 10 and 4"):
        cost_table(space, "latency_ms", measured=[wrong])
