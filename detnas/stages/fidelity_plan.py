"""What `detnas fidelity` is to compare, and the draw of its architectures."""

from dataclasses import dataclass

import numpy as np

from detnas.errors import UserError
from detnas.fidelity.comparison import FEWEST
from detnas.fidelity.table import SPACE_GROUP
from detnas.search.strategies.unseen import Unseen
from search_space.architecture import Choices
from search_space.budget import Budget
from search_space.sampling import BudgetSampler

BAND = "band"
_DRAW = 11  # separates the draw of architectures from other uses of the seed


@dataclass(frozen=True)
class FidelityPlan:
    """What is to be compared.

    Attributes:
        architectures: drawn uniformly within the search's budgets.
        within: draw as many again within these budgets, and report them apart.
        seeds: trainings of every architecture.
        from_nothing: how many architectures of each group are also trained from nothing.
        workers: processes; None chooses as a search does, and 1 stays in this process.
        threads: of torch in each of them.
        draw_seed: of the draw.
        also: architectures to compare with the drawn ones, as `parse_architecture` reads them, or
            "found" for the one that the search has chosen.
    """

    architectures: int
    within: tuple[Budget, ...] = ()
    seeds: int = 1
    from_nothing: int = 0
    workers: int | None = None
    threads: int = 1
    draw_seed: int = 0
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        least = {"architectures": 3, "seeds": 1, "from_nothing": 0, "threads": 1}
        for name, bound in least.items():
            value = getattr(self, name)
            if value < bound:
                option = name.replace("_", "-")
                raise UserError(f"--{option} is {value}; it must be at least {bound}")
        if self.workers is not None and self.workers < 1:
            raise UserError(f"--workers is {self.workers}; it must be at least 1")
        if 0 < self.from_nothing < FEWEST:
            raise UserError(
                f"--from-nothing is {self.from_nothing}; fewer than {FEWEST} cannot be compared"
            )
        if self.from_nothing > self.architectures:
            raise UserError(
                f"--from-nothing is {self.from_nothing}; it may be at most --architectures, "
                f"{self.architectures}"
            )


def draw_architectures(
    sampler: BudgetSampler, plan: FidelityPlan
) -> dict[str, tuple[Choices, ...]]:
    """The architectures by group: "space" within the search's budgets, "band" within `within`.

    Drawn without repetition, so that a larger number begins with the smaller one's. An architecture
    is in one group only.

    Raises:
        UserError: the budgets hold fewer architectures, or none.
    """
    groups = {SPACE_GROUP: sampler}
    if plan.within:
        groups[BAND] = BudgetSampler(
            sampler.space, (*sampler.budgets, *plan.within), sampler.cost_tables
        )
    unseen = {name: Unseen(within) for name, within in groups.items()}
    rngs = {
        name: np.random.default_rng([plan.draw_seed, _DRAW, i]) for i, name in enumerate(groups)
    }
    drawn: dict[str, list[Choices]] = {name: [] for name in groups}
    for _ in range(plan.architectures):  # the groups in turn: more of them begin with these
        for name, within in groups.items():
            found = unseen[name].draw(rngs[name], 1)
            if not found:
                raise UserError(
                    f"--architectures {plan.architectures}: only {len(drawn[name])} are left "
                    f"within {' and '.join(map(str, within.budgets)) or 'the space'}; ask for fewer"
                )
            drawn[name] += found
            for other in unseen.values():
                other.claim(found[0])
    return {name: tuple(chosen) for name, chosen in drawn.items()}
