"""Chooses the search space and the budget of a new experiment."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log10
from pathlib import Path
from typing import Any

import numpy as np

from detnas.errors import UserError
from detnas.models.checkpoints import read_checkpoint
from search_space.architecture import Architecture, macs
from search_space.budget import Budget, parse_budget, readable
from search_space.cost import DEFAULT_INPUT_SIZE, macs_table
from search_space.latency import NAME as LATENCY
from search_space.sampling import BudgetSampler
from search_space.spaces import SearchSpace, parse_space

DEFAULT_SPACE = "small-skip"
ENOUGH = 0.2
"""The share of a space that a default budget admits at least."""
DRAWS = 1000


@dataclass(frozen=True)
class SpaceChoice:
    """A space and its budgets.

    Attributes:
        space: a name, or the dict of a space of the user's own.
        macs: the upper bound on multiply-adds at 224x224, where that is the only budget.
        budgets: all of them.
        why: one sentence.
    """

    space: Any
    macs: float | None
    budgets: tuple[Budget, ...]
    why: str

    @property
    def parsed(self) -> SearchSpace:
        """The space itself."""
        return parse_space(self.space)


def choose_space(name: str | None, budgets: Sequence[str], checkpoint: Path | None) -> SpaceChoice:
    """The named space, that of a supernet's checkpoint, or the default one, and budgets on it.

    Args:
        budgets: such as "macs=300e6" (an upper bound), "macs=200e6..300e6", "latency_ms=20".
        checkpoint: of a pretrained supernet; None without one.
    Raises:
        SpaceError: an unknown space or cost, or budgets that admit nothing.
        UserError: the checkpoint is no supernet, or of another space.
    """
    space: Any = name or DEFAULT_SPACE
    if checkpoint is not None:
        space = _of_checkpoint(checkpoint, name)
    parsed = parse_space(space)
    if not budgets:
        upper, why = _default_budget(parsed)
        return SpaceChoice(space, upper, (Budget("macs", upper=upper),), why)
    found = tuple(parse_budget(_bounds(text)) for text in budgets)
    BudgetSampler(parsed, [each for each in found if each.cost != LATENCY])
    is_plain = len(found) == 1 and found[0].cost == "macs" and found[0].lower is None
    macs = found[0].upper if is_plain else None
    return SpaceChoice(space, macs, found, "as you asked")


def _bounds(text: str) -> str:
    """ "macs=300e6" as "macs=..300e6"."""
    cost, equals, bounds = text.partition("=")
    return f"{cost}=..{bounds}" if equals and ".." not in bounds else text


def _of_checkpoint(checkpoint: Path, name: str | None) -> Any:
    identity = read_checkpoint(checkpoint)["meta"].get("detnas") or {}
    if identity.get("kind", "supernet") != "supernet" or "space" not in identity:
        raise UserError(
            f"{checkpoint} is no checkpoint of a DetNAS supernet: name the final.pth of a "
            "pretraining, or --pretrained crops"
        )
    own = parse_space(identity["space"])
    if name is None:
        try:
            return own.name if parse_space(own.name) == own else identity["space"]
        except ValueError:
            return identity["space"]
    if parse_space(name) != own:
        raise UserError(
            f"{checkpoint} is of space {own.name!r}, and --space is {name!r}: leave --space out, "
            "or name another checkpoint"
        )
    return name


def _default_budget(space: SearchSpace) -> tuple[float, str]:
    """The multiply-adds of the network of first choices, or the median of the space."""
    first = Architecture(space, space.first_choices)
    hand_made = macs(first, DEFAULT_INPUT_SIZE)
    sampler = BudgetSampler(space)
    table = macs_table(space)
    draws = [table.of(row) for row in sampler.sample(np.random.default_rng(0), DRAWS)]
    if np.mean([each <= hand_made for each in draws]) >= ENOUGH:
        label = space.choices[0].removeprefix("shufflenet_")
        upper = rounded_up(hand_made)
        return upper, (
            f"the multiply-adds of the hand-designed network, every block {label} "
            f"({readable(hand_made)}), so that what is found costs no more"
        )
    upper = rounded_up(float(np.median(draws)))
    return upper, "about half of the space's networks are within"


def rounded_up(value: float) -> float:
    """To three digits."""
    step = 10.0 ** (int(log10(value)) - 2)
    return ceil(value / step) * step
