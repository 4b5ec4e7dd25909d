"""Compares the columns of an experiment's table: supernet, trained networks, cost alone.

The columns are "supernet", or "supernet/<name>" for several; "trained/seed0" and so on for networks
trained by the recipe; and "nothing/seed0" for those trained from random weights.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from detnas.fidelity.correlation import Correlation, Estimate
from detnas.fidelity.statistics import Fidelity, measure_fidelity
from detnas.fidelity.table import Table

SUPERNET, TRAINED, NOTHING = "supernet", "trained", "nothing"
ALL = "all"
DASH = "\N{EN DASH}"

FEWEST = 3
"""Architectures that can be compared."""
FEW = 10
"""With fewer, intervals are too narrow, as all resamples are of the same few architectures."""


def compare(table: Table) -> dict[str, Fidelity]:
    """The supernet against each kind of training: by name, over all and within each group.

    Names are "trained", "trained, band", "nothing" and so on. Groups with fewer than three
    complete rows are left out; `notes_on` says so.

    Raises:
        UserError: the table has no supernet's or no trained networks' scores.
    """
    groups = {ALL: table}
    names = list(dict.fromkeys(table.groups))
    if len(names) > 1:
        groups |= {name: table.subset(name) for name in names}
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


def notes_on(compared: Mapping[str, Fidelity], table: Table) -> Iterator[str]:
    """What a reader of a comparison should know: what is missing in it, and what is too few."""
    missing = {name: sum(score is None for score in table.scores[name]) for name in table.scores}
    for name, count in missing.items():
        if count and not name.startswith(f"{NOTHING}/"):
            total = len(table.architectures)
            yield f"{name}: {count} of {total} architectures have no score and are left out"
    if TRAINED not in compared:
        yield f"fewer than {FEWEST} architectures have all scores: there is nothing to compare"
    for name, fidelity in compared.items():
        if fidelity.architectures < FEW:
            yield (
                f"{name}: {fidelity.architectures} architectures are too few for their intervals "
                f"to be trusted; compare at least {FEW}, better 24"
            )
        if fidelity.truths == 1 and name == TRAINED:
            yield f"{name}: one seed, so the ceiling is unknown; --seeds 2 measures it"


def rows_of(compared: Mapping[str, Fidelity]) -> Iterator[tuple[str, ...]]:
    """The comparison as a table of texts, its head first."""
    yield (
        *("networks", "architectures", "seeds", "tau", "rho", "tau of MACs", "tau of seeds"),
        *("regret of the first", "of the best of 5", "of random 1", "of random 5"),
    )
    for name, fidelity in compared.items():
        regrets = fidelity.regrets
        has_top = fidelity.architectures > regrets[0].size
        yield (
            name,
            str(fidelity.architectures),
            str(fidelity.truths),
            estimate_text(fidelity.proxy.tau),
            estimate_text(fidelity.proxy.rho),
            estimate_text(fidelity.costs["macs"].alone.tau),
            _optional(fidelity.ceiling),
            f"{np.mean([regret.first for regret in regrets]):.4f}",
            f"{np.mean([regret.top for regret in regrets]):.4f}" if has_top else DASH,
            f"{regrets[0].random_first:.4f}",
            f"{regrets[0].random_top:.4f}" if has_top else DASH,
        )


def estimate_text(estimate: Estimate) -> str:
    """A value with its interval, such as "0.52 (0.31 to 0.68)"."""
    if np.isnan(estimate.value):
        return "undefined"
    if np.isnan(estimate.low):
        return f"{estimate.value:.2f}"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def _optional(correlation: Correlation | None) -> str:
    return DASH if correlation is None else estimate_text(correlation.tau)
