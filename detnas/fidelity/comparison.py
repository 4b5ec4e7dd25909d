"""Compares the columns of an experiment's table: supernet, trained networks, cost alone.

The columns are "supernet", or "supernet/<name>" for several; "trained/seed0" and so on for networks
trained by the recipe; and "nothing/seed0" for those trained from random weights.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from detnas.fidelity.correlation import Estimate
from detnas.fidelity.statistics import Fidelity, measure_fidelity
from detnas.fidelity.table import SPACE_GROUP, Table
from search_space.architecture import Choices, choices_to_text

SUPERNET, TRAINED, NOTHING = "supernet", "trained", "nothing"
ALL = "all"
ALSO = "also"
"""The group of architectures that were named, such as the one that a search has found."""
DASH = "\N{EN DASH}"

FEWEST = 3
"""Architectures that can be compared."""
FEW = 10
"""With fewer, intervals are too narrow, as all resamples are of the same few architectures."""
AGREE = 0.2
"""A tau of seeds below it means that trainings differ by chance alone, or nearly so."""


def compare(table: Table) -> dict[str, Fidelity]:
    """The supernet against each kind of training: by name, over all and within each group.

    Rows of the group "also" were not drawn, and are left out: `against_drawn` is for them.

    Names are "trained", "trained, band", "nothing" and so on. Groups with fewer than three complete
    rows are left out; `notes_on` says so.

    Raises:
        UserError: the table has no supernet's or no trained networks' scores.
    """
    drawn = table.select([group != ALSO for group in table.groups])
    groups = {ALL: drawn}
    names = list(dict.fromkeys(drawn.groups))
    if len(names) > 1:
        groups |= {name: drawn.subset(name) for name in names}
    table.names(TRAINED)
    found = {}
    for kind in (TRAINED, NOTHING):
        if not any(name.split("/")[0] == kind for name in table.scores):
            continue
        for group, part in groups.items():
            proxy, truth = part.columns(SUPERNET), part.columns(kind)
            complete = np.isfinite(np.hstack([proxy, truth])).all(axis=1)
            if complete.sum() >= FEWEST:
                name = kind if group == ALL else f"{kind}, {group}"
                found[name] = measure_fidelity(proxy, truth, part.costs)
    return found


@dataclass(frozen=True)
class AgainstDrawn:
    """A named architecture beside those that were drawn from the whole budget.

    Attributes:
        choices: of the architecture.
        trained: the mean of its trainings.
        trainings: how many.
        drawn: how many architectures were drawn and trained as often.
        mean: of their means.
        deviation: the standard deviation of their means.
        above: how many of them it is above.
    """

    choices: Choices
    trained: float
    trainings: int
    drawn: int
    mean: float
    deviation: float
    above: int

    def __str__(self) -> str:
        sign = "above" if self.trained >= self.mean else "below"
        return (
            f"{choices_to_text(self.choices)}: {self.trained:.4f} after "
            f"{'a training' if self.trainings == 1 else f'{self.trainings} trainings'}, "
            f"{abs(self.trained - self.mean):.4f} {sign} the mean of {self.drawn} random ones "
            f"(standard deviation {self.deviation:.4f}), above {self.above} of them"
        )


def against_drawn(table: Table) -> list[AgainstDrawn]:
    """The rows of the group "also" that have all their trainings, beside those of "space"."""
    trained = table.columns(TRAINED).mean(axis=1)
    groups = np.array(table.groups)
    random = trained[(groups == SPACE_GROUP) & np.isfinite(trained)]
    if len(random) < FEWEST:
        return []
    return [
        AgainstDrawn(
            *(table.architectures[row], float(trained[row]), len(table.names(TRAINED))),
            *(len(random), float(random.mean()), float(random.std(ddof=1))),
            int((random < trained[row]).sum()),
        )
        for row in np.flatnonzero((groups == ALSO) & np.isfinite(trained)).tolist()
    ]


def notes_on(compared: Mapping[str, Fidelity], table: Table) -> Iterator[str]:
    """What a reader of a comparison should know: what is missing in it, and what is too few."""
    missing = {name: sum(score is None for score in table.scores[name]) for name in table.scores}
    for name, count in missing.items():
        if count and not name.startswith(f"{NOTHING}/"):
            total = len(table.architectures)
            yield f"{name}: {count} of {total} architectures have no score and are left out"
    drawn = [name for name in dict.fromkeys(table.groups) if name != ALSO]
    for group in drawn if len(drawn) > 1 else ():
        if f"{TRAINED}, {group}" not in compared:
            yield f"{group}: fewer than {FEWEST} architectures have all scores: it is left out"
    if TRAINED not in compared:
        yield f"fewer than {FEWEST} architectures have all scores: there is nothing to compare"
    for name, fidelity in compared.items():
        if fidelity.architectures < FEW:
            yield (
                f"{name}: {fidelity.architectures} architectures are too few for intervals, and "
                f"correlations are mostly chance; compare at least {FEW}, better 24"
            )
        if fidelity.truths == 1 and name == TRAINED:
            yield f"{name}: one seed, so tau of seeds is unknown; --seeds 2 measures it"
        if fidelity.ceiling is not None and fidelity.ceiling.tau.value < AGREE:
            yield (
                f"{name}: two trainings of the same networks hardly agree, so no score can be "
                "expected to rank them: train longer, or compare more different networks"
            )


def rows_of(compared: Mapping[str, Fidelity]) -> Iterator[tuple[str, ...]]:
    """The comparison as a table of texts, its head first."""
    yield (
        *("networks", "architectures", "seeds", "tau", "rho", "tau of MACs", "tau of seeds"),
        *("regret of the first", "regret of the best of 5"),
        *("regret of 1 random", "regret of the best of 5 random"),
    )
    for name, fidelity in compared.items():
        regrets = fidelity.regrets
        shown = value_text if fidelity.architectures < FEW else estimate_text
        has_top = fidelity.architectures > regrets[0].size
        yield (
            name,
            str(fidelity.architectures),
            str(fidelity.truths),
            shown(fidelity.proxy.tau),
            shown(fidelity.proxy.rho),
            shown(fidelity.costs["macs"].alone.tau),
            DASH if fidelity.ceiling is None else shown(fidelity.ceiling.tau),
            f"{np.mean([regret.first for regret in regrets]):.4f}",
            f"{np.mean([regret.top for regret in regrets]):.4f}" if has_top else DASH,
            f"{regrets[0].random_first:.4f}",
            f"{regrets[0].random_top:.4f}" if has_top else DASH,
        )


def value_text(estimate: Estimate) -> str:
    """A value alone, where there are too few architectures for an interval."""
    return "undefined" if np.isnan(estimate.value) else f"{estimate.value:.2f}"


def estimate_text(estimate: Estimate) -> str:
    """A value with its interval, such as "0.52 (0.31 to 0.68)"."""
    if np.isnan(estimate.value):
        return "undefined"
    if np.isnan(estimate.low):
        return f"{estimate.value:.2f}"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"
