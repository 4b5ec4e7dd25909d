"""What the scores of uniformly drawn architectures say of each choice at each depth.

A choice that the supernet has not learnt shows here at once: architectures that contain it score
far below the others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search_space.architecture import Choices
from search_space.spaces import SearchSpace

WORSE_BY = 0.25
"""A choice counts as untrained if its architectures are worse by this share of the mean ..."""

STANDARD_ERRORS = 3.0
"""... and by this many standard errors."""


@dataclass(frozen=True)
class ChoiceEffect:
    """The values of the architectures with a choice in a stage, against those of all.

    Attributes:
        stage: from 0.
        choice: its name.
        blocks: how many blocks of the architectures have it there.
        mean: of the values, each weighted by the number of such blocks; None without any.
        difference: `mean` minus the mean of all values.
        standard_error: of `difference`; None for fewer than three architectures that have it.
        is_untrained: whether the difference is large and beyond chance.
    """

    stage: int
    choice: str
    blocks: int
    mean: float | None
    difference: float | None
    standard_error: float | None
    is_untrained: bool


def choice_effects(
    space: SearchSpace,
    architectures: Sequence[Choices],
    values: Sequence[float],
    greater_is_better: bool = True,
) -> list[ChoiceEffect]:
    """The effect of every choice that a stage has, stage by stage.

    Args:
        space: of the architectures.
        architectures: n of them, drawn uniformly.
        values: n scores, or losses with `greater_is_better` False.
        greater_is_better: whether low values are suspicious, or high ones.
    """
    drawn = np.array(architectures, dtype=int).reshape(len(architectures), space.num_blocks)
    scores = np.array(values, dtype=float)
    specs = space.block_specs()
    effects = []
    for stage in range(len(space.stages)):
        blocks = [spec.index for spec in specs if spec.stage == stage]
        for number, choice in enumerate(space.choices):
            if any(number in space.numbers[block] for block in blocks):
                weights = (drawn[:, blocks] == number).sum(axis=1).astype(float)
                effects.append(_effect(stage, choice, weights, scores, greater_is_better))
    return effects


def _effect(
    stage: int, choice: str, weights: np.ndarray, scores: np.ndarray, greater_is_better: bool
) -> ChoiceEffect:
    blocks = int(weights.sum())
    if not blocks:
        return ChoiceEffect(stage, choice, 0, None, None, None, is_untrained=False)
    overall = float(scores.mean())
    mean = float(weights @ scores / blocks)
    difference, error = mean - overall, None
    if (weights > 0).sum() >= 3:
        # The difference is the mean of influences, one per architecture.
        influence = (weights / blocks - 1 / len(scores)) * (scores - mean)
        error = math.sqrt(float(influence @ influence))
    loss = -difference if greater_is_better else difference
    is_untrained = (
        error is not None and loss > STANDARD_ERRORS * error and loss > WORSE_BY * abs(overall)
    )
    return ChoiceEffect(stage, choice, blocks, mean, difference, error, is_untrained)
