"""Budgets: bounds on an additive cost, compared in integers.

Bounds are never compared in floating point. Integer costs (multiply-adds, parameters) are divided
by the greatest common divisor of their differences. Measured costs are floats, so they are
quantised: every entry is rounded up to a step, so that no architecture over the upper bound is
admitted, and the lower bound is raised by one step per block, so that none under it is. The step
is a power of two, at most 1/32768 of the cost's range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from msgspec import Struct

from search_space.cost import DEFAULT_INPUT_SIZE, CostTable, InputSize
from search_space.errors import SpaceError
from search_space.validation import check_fields

_QUANTA = 2**16


class InfeasibleBudgetError(SpaceError):
    """No architecture of the space lies within the budgets."""


class Budget(Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds on a cost, both inclusive, in the cost's own unit; None leaves a side open.

    Attributes:
        cost: "macs", "params", or the cost of a measured table, such as "latency_ms".
        lower: the smallest value that is admitted.
        upper: the largest one.
        input_size: (channels, height, width) of the image for which the cost is counted.

    Raises:
        SpaceError: a value of another type, a bound that is not finite, or a lower bound above the
            upper.
    """

    cost: str = "macs"
    lower: float | None = None
    upper: float | None = None
    input_size: InputSize = DEFAULT_INPUT_SIZE

    def __post_init__(self) -> None:
        check_fields(self)
        for bound in (self.lower, self.upper):
            if bound is not None and not math.isfinite(bound):
                raise SpaceError(f"budget {self.cost}: bound {bound} must be finite; leave it out")
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise SpaceError(f"budget {self}: the lower bound is above the upper, swap them")

    def contains(self, value: float) -> bool:
        """Whether a cost lies within the bounds."""
        return (self.lower is None or value >= self.lower) and (
            self.upper is None or value <= self.upper
        )

    def __str__(self) -> str:
        lower = "" if self.lower is None else f"{readable(self.lower)} <= "
        upper = "" if self.upper is None else f" <= {readable(self.upper)}"
        if lower and not upper:
            return f"{self.cost} >= {readable(self.lower or 0)}"
        return f"{lower}{self.cost}{upper}"


def readable(value: float) -> str:
    """A cost for messages: whole numbers with separators, others with six digits."""
    return f"{int(value):,}" if value == int(value) else f"{value:.6g}"


def parse_budget(text: str, input_size: InputSize = DEFAULT_INPUT_SIZE) -> Budget:
    """A budget from "cost=lower..upper", such as "macs=..260e6" or "params=1e6..1.6e6".

    Raises:
        SpaceError: another form, or bounds that are not numbers.
    """
    cost, equals, bounds = text.partition("=")
    lower, dots, upper = bounds.partition("..")
    if not (cost.strip() and equals and dots) or not (lower.strip() or upper.strip()):
        raise SpaceError(f"budget {text!r} must look like 'macs=..260e6' or 'macs=240e6..260e6'")

    def number(part: str) -> float | None:
        try:
            return float(part) if part.strip() else None
        except ValueError:
            raise SpaceError(f"budget {text!r}: {part.strip()!r} is not a number") from None

    return Budget(cost.strip(), number(lower), number(upper), input_size)


@dataclass(frozen=True)
class IntegerBudget:
    """A budget in integers: lower <= sum over blocks of offsets[block, choice] <= upper.

    `offsets` is int64 [blocks, choices] with a zero in every row, and a zero for each choice that
    a block does not have; `lower` and `upper` lie within -1 and one more than the largest sum.
    `step` is the step of a quantised cost in the cost's unit, 0 if nothing was rounded.
    """

    offsets: np.ndarray
    lower: int
    upper: int
    step: float

    @property
    def largest(self) -> int:
        """The largest sum."""
        return int(self.offsets.max(axis=1).sum())

    def admits(self, choices: np.ndarray) -> np.ndarray:
        """Which architectures [n, blocks] lie within the bounds, as booleans [n]."""
        sums = self.offsets[np.arange(len(self.offsets)), choices].sum(axis=1)
        return (self.lower <= sums) & (sums <= self.upper)


def integer_budget(budget: Budget, table: CostTable, quantise: bool = False) -> IntegerBudget:
    """The budget in integers; a float cost is quantised, an integer one if `quantise`."""
    smallest = [min(Fraction(value) for value in row if value is not None) for row in table.table]
    differences = [
        [Fraction(low if value is None else value) - low for value in row]
        for row, low in zip(table.table, smallest, strict=True)
    ]
    minimum = Fraction(table.base) + sum(smallest)
    spread = sum((max(row) for row in differences), Fraction(0))
    step, slack = Fraction(1), 0
    if spread and (quantise or not table.is_integer):
        step = Fraction(2) ** math.ceil(math.log2(spread / _QUANTA))
        slack = len(differences)
    counted = [[math.ceil(value / step) for value in row] for row in differences]
    divisor = math.gcd(*(value for row in counted for value in row)) or 1
    largest = sum(max(row) for row in counted) // divisor
    lower, upper = 0, largest
    if budget.lower is not None and budget.lower > minimum:
        steps = math.ceil((Fraction(budget.lower) - minimum) / step) + slack
        lower = min(-(-steps // divisor), largest + 1)
    if budget.upper is not None:
        steps = math.floor((Fraction(budget.upper) - minimum) / step)
        upper = max(min(steps // divisor, largest), -1)
    offsets = np.array(counted, dtype=np.int64) // divisor
    return IntegerBudget(offsets, lower, upper, float(step) if slack else 0.0)
