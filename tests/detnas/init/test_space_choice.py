"""The space and the budget of a new experiment, and the defaults of both."""

from pathlib import Path

import numpy as np
import pytest

from detnas.errors import UserError
from detnas.init.space import choose_space, rounded_up
from search_space.architecture import Architecture, macs
from search_space.cost import macs_table
from search_space.errors import SpaceError
from search_space.sampling import BudgetSampler
from search_space.spaces import get_space


def test_by_default_nothing_costs_more_than_the_hand_made_network() -> None:
    chosen = choose_space(None, (), None)
    space = get_space("small-skip")
    assert chosen.space == "small-skip"
    hand_made = macs(Architecture(space, (0,) * space.num_blocks))
    assert chosen.macs is not None
    assert hand_made <= chosen.macs < 1.01 * hand_made


def test_a_space_with_hardly_anything_below_it_gets_its_median() -> None:
    chosen = choose_space("small", (), None)
    space = get_space("small")
    draws = BudgetSampler(space).sample(np.random.default_rng(1), 400)
    within = np.mean([macs_table(space).of(row) <= (chosen.macs or 0) for row in draws])
    assert 0.4 < within < 0.7


def test_budgets_of_the_user() -> None:
    assert choose_space("tiny", ["macs=40e6"], None).macs == 40e6
    between = choose_space("tiny", ["macs=36e6..40e6"], None)
    assert between.macs is None
    assert [(each.lower, each.upper) for each in between.budgets] == [(36e6, 40e6)]
    both = choose_space("tiny", ["macs=40e6", "params=2e5"], None)
    assert both.macs is None
    assert [each.cost for each in both.budgets] == ["macs", "params"]
    latency = choose_space("tiny", ["latency_ms=20"], None)
    assert [(each.cost, each.upper) for each in latency.budgets] == [("latency_ms", 20.0)]


@pytest.mark.parametrize("budget", ["macs=1", "colour=3", "macs", "macs=big"])
def test_budgets_that_say_nothing(budget: str) -> None:
    with pytest.raises(SpaceError):
        choose_space("tiny", [budget], None)


def test_the_space_of_a_checkpoint(experiment: Path) -> None:
    supernet = experiment / "pretrain" / "final.pth"
    assert choose_space(None, (), supernet).space == "tiny"
    assert choose_space("tiny", (), supernet).space == "tiny"
    with pytest.raises(UserError, match="is of space 'tiny', and --space is 'small'"):
        choose_space("small", (), supernet)
    with pytest.raises(UserError, match="no checkpoint of a DetNAS supernet"):
        choose_space(None, (), experiment / "retrain" / "final.pth")


def test_rounding_is_upwards() -> None:
    assert rounded_up(262_705_856) == 263_000_000
    assert rounded_up(263_000_000) == 263_000_000
    assert rounded_up(999.9) == 1000
