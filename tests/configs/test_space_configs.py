"""The files of configs/_base_/spaces, and the table of spaces in docs/configs.md."""

import re
from pathlib import Path

import pytest
from mmengine.config import Config

from search_space.cost import macs_table
from search_space.sampling import Budget, BudgetSampler
from search_space.spaces import SPACES, get_space, parse_space

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "configs" / "_base_" / "spaces").glob("*.py"))
PAGE = (ROOT / "docs" / "configs.md").read_text(encoding="utf-8")


def test_every_space_has_a_file() -> None:
    assert {path.stem.replace("_", "-") for path in FILES} == set(SPACES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_names_its_space_and_a_budget_that_something_fits(path: Path) -> None:
    config = Config.fromfile(path)
    assert config.space == path.stem.replace("_", "-")
    if "macs_budget" in config:
        budget = Budget("macs", upper=config.macs_budget)
        assert BudgetSampler(get_space(config.space), [budget]).share > 0.01


def test_the_page_has_the_ranges_of_costs() -> None:
    row = r"^\| `(\S+)` \| (\d+) \| ([\d.,]+)M to ([\d.,]+)M \|"
    rows = {name: rest for name, *rest in re.findall(row, PAGE, flags=re.MULTILINE)}
    assert list(rows) == list(SPACES)
    for name, space in SPACES.items():
        table = macs_table(space)
        costs = [f"{cost / 1e6:,.1f}" for cost in (table.min, table.max)]
        assert rows[name] == [str(space.num_blocks), *costs]
    half = macs_table(get_space("small@0.5"))
    assert f"{half.min / 1e6:.1f}M to {half.max / 1e6:.1f}M MACs" in PAGE


def test_the_space_with_places_is_valid() -> None:
    code = re.search(r"^    space = dict\((?:(?!^    \)).)*places=.*?^    \)", PAGE, re.M | re.S)
    assert code is not None
    values: dict[str, dict[str, object]] = {}
    exec("\n".join(line[4:] for line in code[0].splitlines()), values)
    assert parse_space(values["space"]).numbers == ((1,), (0, 2), (0, 1))
