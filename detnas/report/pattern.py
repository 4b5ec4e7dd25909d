"""Which choice wins at which depth: shares among the best candidates, and what they show."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detnas.search.choice_effects import ChoiceEffect
from detnas.search.history.reading import SearchHistory
from search_space.choices import CHOICES

BEST_SHARE = 0.1
LEAST_BEST = 5
STANDARD_ERRORS = 2.0


@dataclass(frozen=True)
class StageShares:
    """What the blocks of a stage are made of.

    Attributes:
        stage: from 0.
        shares: the share of each choice among the blocks of the best candidates, by its name; the
            sum is 1.
        before: those among all candidates of the first generation.
        winner: the choice with the largest share; the first of equal ones.
    """

    stage: int
    shares: dict[str, float]
    before: dict[str, float]

    @property
    def winner(self) -> str:
        return max(self.shares, key=lambda name: self.shares[name])


@dataclass(frozen=True)
class Pattern:
    """The shares of every stage, among so many `best` candidates of `scored`."""

    best: int
    scored: int
    stages: tuple[StageShares, ...]


def pattern(search: SearchHistory) -> Pattern | None:
    """The choices of the best tenth of a search, at least five; None with fewer than ten scores."""
    ranked = search.ranked()
    if len(ranked) < 2 * LEAST_BEST:
        return None
    best = max(LEAST_BEST, math.ceil(BEST_SHARE * len(ranked)))
    first = [row.choices for row in search.candidates if row.generation == 0]
    top = np.array([row.choices for row in ranked[:best]], int)
    start = np.array(first, int).reshape(len(first), search.space.num_blocks)
    stages = []
    for stage in range(len(search.space.stages)):
        blocks = [spec.index for spec in search.space.block_specs() if spec.stage == stage]
        shares, before = (
            {name: _share(drawn[:, blocks], n) for n, name in enumerate(search.space.choices)}
            for drawn in (top, start)
        )
        stages.append(StageShares(stage, shares, before))
    return Pattern(best, len(ranked), tuple(stages))


def _share(choices: np.ndarray, number: int) -> float:
    return float((choices == number).mean()) if choices.size else 0.0


def pattern_sentence(found: Pattern) -> str:
    """One sentence: the most frequent choice of each stage, without a claim why."""
    parts = []
    for each in found.stages:
        most = each.shares[each.winner]
        tied = [name for name, share in each.shares.items() if share == most]
        names = " and ".join(CHOICES[name].label for name in tied)
        stage = f"stage {each.stage + 1}"
        parts.append(f"{names} in {stage} ({100 * most:.0f} %{' each' if len(tied) > 1 else ''})")
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return (
        f"Among the blocks of the {found.best} best of {found.scored} candidates, the most "
        f"frequent choice is {listed}."
    )


def effects_sentence(effects: Sequence[ChoiceEffect], greater_is_better: bool) -> str:
    """One sentence: which choices of random architectures stand out, by two standard errors."""
    sign = 1.0 if greater_is_better else -1.0
    known = [each for each in effects if each.difference is not None and each.standard_error]
    out = []
    for each in known:
        assert each.difference is not None
        assert each.standard_error is not None
        if abs(each.difference) > STANDARD_ERRORS * each.standard_error:
            word = "better" if sign * each.difference > 0 else "worse"
            out.append(f"{CHOICES[each.choice].label} in stage {each.stage + 1} ({word})")
    by_chance = 0.05 * len(known)
    if not out:
        return (
            f"None of the {len(known)} choices of a stage is further from the mean than two "
            "standard errors: the random architectures do not show which one is better."
        )
    return (
        f"{len(out)} of the {len(known)} choices of a stage are further from the mean than two "
        f"standard errors, where about {by_chance:.1f} would be by chance: {', '.join(out)}."
    )
