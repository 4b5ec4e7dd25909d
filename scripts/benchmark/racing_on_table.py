"""What racing saves and what it changes, on a table of architectures scored at every share.

    python scripts/benchmark/racing_on_table.py benchmarks/digits_shares.csv [--json FILE]

Searches with and without racing, each over many seeds:

- "draws": generations of the table's own rows without replacement, all scores measured. The parents
  are the best so far, as in the evolution.
- "evolution": the real strategy on a model of the table, whose scores on shares vary and correlate
  as the table's do. Its candidates get better, so racing drops fewer.

The cost of a candidate is the images that pass the network, those of calibration included, relative
to scoring all of them. The noise of the score is what another draw of as many images would change
in the difference to other candidates: see `noise_of`.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from detnas.fidelity.surrogate import Surrogate, fit_surrogate
from detnas.fidelity.table import Table
from detnas.fidelity.table_file import read_table
from detnas.search.costs import CandidateCosts
from detnas.search.racing import cut_offs
from detnas.search.strategies.evolution import EvolutionSettings
from search_space.architecture import Choices
from search_space.budget import Budget
from search_space.sampling import BudgetSampler

SHARES = (0.0625, 0.125, 0.25, 0.5)
LISTS = ((0.125, 0.25, 0.5), (0.0625, 0.125, 0.25, 0.5), (0.0625, 0.25))
CONFIDENCES = (0.8, 0.9, 0.95, 0.975)
FEWEST = 3
"""Generations of a search that tells anything."""
IMAGES = {"200 + 1,000": (200, 1000), "500 + 5,000": (500, 5000)}
"""Images of calibration and of the search split."""


@dataclass(frozen=True)
class Searches:
    """How searches are laid out: the evolution's settings."""

    generations: int
    population: int
    parents: int


@dataclass(frozen=True)
class Scores:
    """Candidates: float [n, shares] on `SHARES`, and float [n] on the whole split."""

    parts: np.ndarray
    whole: np.ndarray


@dataclass(frozen=True)
class Row:
    """One configuration over all seeds.

    Attributes:
        cheaper: by the images of `IMAGES`, the mean of how many times cheaper racing was.
        dropped: the share of all candidates that was dropped.
        wrong: the share dropped of the candidates that would have become parents.
        same_parents: the share of seeds with the same parents at the end.
        common_parents: the mean share of the parents that both have.
        same_winner: the share of seeds with the same winner.
        difference: the mean of the winner's score on the whole split, racing minus full.
        error: the standard error of that mean.
        worst: the lowest difference of any seed.
    """

    kind: str
    shares: tuple[float, ...]
    confidence: float
    cheaper: dict[str, float]
    dropped: float
    wrong: float
    same_parents: float
    common_parents: float
    same_winner: float
    difference: float
    error: float
    worst: float


@dataclass
class Searched:
    """One search so far, generation by generation.

    Attributes:
        proposed: the candidates.
        scores: theirs, also of those that were dropped.
        reached: for each candidate the place in `SHARES` where it was dropped, or their number.
        hopeful: how many scored better than the last parent before them.
        wrong: how many of these were dropped.
    """

    proposed: list[Choices] = field(default_factory=list)
    scores: list[Scores] = field(default_factory=list)
    reached: list[np.ndarray] = field(default_factory=list)
    hopeful: int = 0
    wrong: int = 0

    @property
    def whole(self) -> np.ndarray:
        """The full scores, nan where dropped."""
        if not self.scores:
            return np.empty(0)
        whole = np.concatenate([each.whole for each in self.scores])
        whole[np.concatenate(self.reached) < len(SHARES)] = np.nan
        return whole

    def best(self, n: int) -> list[Choices]:
        """The n best, the earlier first where equal."""
        order = np.argsort(-np.nan_to_num(self.whole, nan=-np.inf), kind="stable")[:n]
        return [self.proposed[place] for place in order.tolist()]


def race(
    scores: Scores, before: Searched, shares: Sequence[float], parents: int, confidence: float
) -> np.ndarray:
    """For each candidate the place in `SHARES` where it is dropped, or their number."""
    reached = np.full(len(scores.whole), len(SHARES))
    columns = [SHARES.index(share) for share in shares]
    whole = before.whole
    known = np.isfinite(whole)
    if not known.any() or not columns:
        return reached
    parts = np.concatenate([each.parts for each in before.scores])[known]
    cuts = cut_offs(parts[:, columns], whole[known], parents, confidence)
    for column, cut in zip(columns, cuts, strict=True):
        loses = (reached == len(SHARES)) & (scores.parts[:, column] < cut)
        reached[loses] = column
    return reached


def cost(reached: np.ndarray, calibration: int, images: int) -> float:
    """The mean images of candidates."""
    scored = np.array([*SHARES, 1.0])[reached] * images
    return float((calibration + scored).mean())


Propose = Callable[[Searched], tuple[list[Choices], Scores] | None]


def search(
    propose: Propose, parents: int, shares: Sequence[float] = (), confidence: float = 0.5
) -> Searched:
    """A search to its end; without shares all are scored in full."""
    found = Searched()
    while (generation := propose(found)) is not None:
        choices, scores = generation
        known = found.whole[np.isfinite(found.whole)]
        reached = race(scores, found, shares, parents, confidence)
        if len(known) >= parents:
            is_hopeful = scores.whole > np.sort(known)[-parents]
            found.hopeful += int(is_hopeful.sum())
            found.wrong += int((is_hopeful & (reached < len(SHARES))).sum())
        found.proposed += choices
        found.scores.append(scores)
        found.reached.append(reached)
    return found


def parts_of(table: Table) -> list[np.ndarray]:
    """The scores on `SHARES` for each permutation of the split, float [n, shares] each."""
    orders = dict.fromkeys(name.split("/")[0] for name in table.scores if name.startswith("order"))
    return [
        np.stack([table.column(f"{order}/{share:g}") for share in SHARES], axis=1)
        for order in orders
    ]


def of_table(table: Table, seed: int, layout: Searches) -> Propose:
    """Draws the table's rows in a random order, one generation after another."""
    orders = parts_of(table)
    parts = orders[seed % len(orders)]
    whole = table.column("whole")
    drawn = np.random.default_rng(seed).permutation(len(whole))
    size = layout.population

    def propose(found: Searched) -> tuple[list[Choices], Scores] | None:
        number = len(found.scores)
        rows = drawn[number * size : (number + 1) * size]
        if len(rows) < size or number == layout.generations:
            return None
        return [table.architectures[row] for row in rows], Scores(parts[rows], whole[rows])

    return propose


@dataclass(frozen=True)
class ShareModel:
    """Scores on shares given the whole one: a line each, and noise that the shares have in common.

    Attributes:
        slopes, bases: float [shares].
        root: float [shares, shares]; the noise is this matrix times independent normal numbers.
    """

    slopes: np.ndarray
    bases: np.ndarray
    root: np.ndarray

    def parts(self, choices: Sequence[Choices], whole: np.ndarray, seed: int) -> np.ndarray:
        """Scores on the shares, a function of the seed and the architecture: float [n, shares]."""
        normal = [
            np.random.default_rng([seed, 1, *each]).standard_normal(len(SHARES)) for each in choices
        ]
        found: np.ndarray = self.bases + whole[:, None] * self.slopes + np.array(normal) @ self.root
        return found


def fit_shares(table: Table) -> ShareModel:
    """The model of a table's shares, its noise pooled over the orders."""
    whole = table.column("whole")
    slopes, bases, noise = [], [], []
    for parts in parts_of(table):
        slope, base = np.polyfit(whole, parts, 1)
        slopes.append(slope)
        bases.append(base)
        noise.append(np.cov((parts - base - whole[:, None] * slope).T))
    values, vectors = np.linalg.eigh(np.mean(noise, axis=0))
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return ShareModel(np.mean(slopes, axis=0), np.mean(bases, axis=0), root)


def of_model(
    surrogate: Surrogate, shares: ShareModel, sampler: BudgetSampler, seed: int, layout: Searches
) -> Propose:
    """The evolution on the model: the scores that it is told are those of the search itself."""
    settings = EvolutionSettings(
        generations=layout.generations,
        population=layout.population,
        parents=layout.parents,
        mutations=layout.population * 2 // 5,
        crossovers=layout.population * 2 // 5,
    )
    strategy = settings.build(sampler, CandidateCosts(sampler), seed)
    asked: list[Choices] = []

    def propose(found: Searched) -> tuple[list[Choices], Scores] | None:
        nonlocal asked
        if found.scores:
            scores = found.scores[-1].whole
            told = [
                (choices, float(score) if reached == len(SHARES) else None)
                for choices, score, reached in zip(asked, scores, found.reached[-1], strict=True)
            ]
            strategy.tell(told)
        asked = strategy.ask()
        if not asked:
            return None
        whole, _ = surrogate.scores(asked, seed)
        return asked, Scores(shares.parts(asked, whole, seed), whole)

    return propose


def compare(
    kind: str,
    make: Callable[[int], Propose],
    seeds: int,
    parents: int,
    shares: Sequence[float],
    confidence: float,
    full: Sequence[Searched],
) -> Row:
    """Racing against scoring in full, seed by seed."""
    ratios: dict[str, list[float]] = {name: [] for name in IMAGES}
    same_parents, common, same_winner, differences, dropped = [], [], [], [], []
    wrong = hopeful = 0
    for seed in range(seeds):
        found = search(make(seed), parents, shares, confidence)
        wrong, hopeful = wrong + found.wrong, hopeful + found.hopeful
        reached = np.concatenate(found.reached)
        for name, sizes in IMAGES.items():
            ratios[name].append(sum(sizes) / cost(reached, *sizes))
        ours, theirs = found.best(parents), full[seed].best(parents)
        same_parents.append(set(ours) == set(theirs))
        common.append(len(set(ours) & set(theirs)) / parents)
        same_winner.append(ours[0] == theirs[0])
        differences.append(float(np.nanmax(found.whole) - full[seed].whole.max()))
        dropped.append(float((reached < len(SHARES)).mean()))
    return Row(
        kind,
        tuple(shares),
        confidence,
        {name: float(np.mean(each)) for name, each in ratios.items()},
        float(np.mean(dropped)),
        wrong / max(hopeful, 1),
        float(np.mean(same_parents)),
        float(np.mean(common)),
        float(np.mean(same_winner)),
        float(np.mean(differences)),
        float(np.std(differences, ddof=1) / np.sqrt(seeds)),
        float(np.min(differences)),
    )


def noise_of(table: Table) -> float:
    """The standard deviation of a whole score that comes from the choice of its images.

    Half of the split against the whole: the whole is about the mean of two halves, so their scores
    differ from it by as much as it itself would from that of endless images. What all candidates
    have in common, a line, is taken out.
    """
    whole = table.column("whole")
    halves = [parts[:, SHARES.index(0.5)] for parts in parts_of(table)]
    lines = [np.polyval(np.polyfit(whole, half, 1), whole) for half in halves]
    rest = [np.var(half - line, ddof=2) for half, line in zip(halves, lines, strict=True)]
    return float(np.sqrt(np.mean(rest)))


def show(rows: Sequence[Row]) -> None:
    """Print the rows as a table in Markdown."""
    names = " | ".join(f"cheaper, {name}" for name in IMAGES)
    print(
        f"| searches | shares | confidence | {names} | dropped | parents dropped | same parents | "
        "parents in common | same winner | score of the winner | worst |"
    )
    print("|" + "---|" * (10 + len(IMAGES)))
    for row in rows:
        ratios = " | ".join(f"{row.cheaper[name]:.2f}x" for name in IMAGES)
        shares = ", ".join(f"1/{1 / share:g}" for share in row.shares)
        print(
            f"| {row.kind} | {shares} | {row.confidence:g} | {ratios} | {row.dropped:.0%} | "
            f"{row.wrong:.1%} | {row.same_parents:.0%} | {row.common_parents:.0%} | "
            f"{row.same_winner:.0%} | {row.difference:+.5f} ± {row.error:.5f} | {row.worst:+.4f} |"
        )


def main() -> None:
    """Read, simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--macs", type=float, default=40e6, help="budget of the evolution")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    table = read_table(options.table)
    whole = table.column("whole")
    print(
        f"{len(whole)} architectures; scores {whole.mean():.4f} ± {whole.std(ddof=1):.4f}, noise "
        f"{noise_of(table):.4f}; correlation with the shares: "
        + ", ".join(
            f"1/{1 / share:g}: {np.corrcoef(table.column(f'order0/{share:g}'), whole)[0, 1]:.3f}"
            for share in SHARES
        )
    )
    surrogate, shares = fit_surrogate(table, "whole", "whole"), fit_shares(table)
    print(f"model of the table: held-out R2 of the additive part {surrogate.truth_fit.r2:.2f}")
    sampler = BudgetSampler(table.space, [Budget("macs", upper=options.macs)])
    layouts = {
        "draws, 20 a generation": (Searches(len(whole) // 20, 20, 8), None),
        "draws, 50 a generation": (Searches(len(whole) // 50, 50, 10), None),
        "evolution, 8 of 20": (Searches(8, 20, 8), surrogate),
        "evolution, 20 of 50": (Searches(20, 50, 10), surrogate),
    }
    rows = []
    for kind, (layout, model) in layouts.items():
        if layout.generations < FEWEST:  # a small table
            continue

        def make(seed: int, layout: Searches = layout, model: Surrogate | None = model) -> Propose:
            if model is None:
                return of_table(table, seed, layout)
            return of_model(model, shares, sampler, seed, layout)

        full = [search(make(seed), layout.parents) for seed in range(options.seeds)]
        for listed in LISTS:
            for confidence in CONFIDENCES:
                rows.append(
                    compare(kind, make, options.seeds, layout.parents, listed, confidence, full)
                )
    show(rows)
    if options.json is not None:
        written = {"noise": noise_of(table), "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(written, indent=1))


if __name__ == "__main__":
    main()
