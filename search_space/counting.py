"""Exact counts of the architectures within budgets, and draws from them.

The table goes through the blocks in order. All prefixes with equal costs so far are one state. A
state's count is the number of ways to complete it within the bounds, which is the sum of the
counts of the states its choices lead to. An integer drawn uniformly below the total count then
selects one architecture, each with exactly the same probability. Counts reach 4**40, so they are
held in limbs of 60 bits; a uniform draw makes no decision in floating point.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from search_space.budget import IntegerBudget

MAX_STATES = 8_000_000
"""The most states in a table, over all blocks; each takes about 32 bytes."""

_LIMB_BITS = 60
_LIMB_MASK = (1 << _LIMB_BITS) - 1


@dataclass(frozen=True)
class CountTable:
    """States before each block, where each choice leads, and how many completions each has.

    `successors[b]` is int32 [states before block b, choices]; `counts[b]` is int64
    [limbs, states before block b + 1], for b from 0 to blocks inclusive, least limb first. The last
    column of each counts array is the dead state, with no completion. `sums` are the packed sums of
    the states after the last block.
    """

    successors: tuple[np.ndarray, ...]
    counts: tuple[np.ndarray, ...]
    sums: np.ndarray

    @property
    def total(self) -> int:
        """Number of architectures within the bounds."""
        return sum(int(limb) << (_LIMB_BITS * i) for i, limb in enumerate(self.counts[0][:, 0]))

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Architectures drawn uniformly, with replacement: int8 [n, blocks]."""
        return self.unrank(_uniform_below(rng, self.total, n, len(self.counts[0])))

    def unrank(self, ranks: np.ndarray) -> np.ndarray:
        """The architectures at `ranks` (limbs, int64 [limbs, n]) in lexicographic order."""
        ranks = ranks.copy()
        drawn = np.empty((ranks.shape[1], len(self.successors)), dtype=np.int8)
        state = np.zeros(ranks.shape[1], dtype=np.int64)
        for block, successors in enumerate(self.successors):
            candidates = successors[state]
            undecided = np.ones(len(state), dtype=bool)
            for choice in range(successors.shape[1]):
                count = self.counts[block + 1][:, candidates[:, choice]]
                here = undecided & _less(ranks, count)
                drawn[here, block] = choice
                state[here] = candidates[here, choice]
                undecided &= ~here
                ranks -= np.where(undecided, count, 0)
                _borrow(ranks)
        return drawn

    def draw_weighted(self, rng: np.random.Generator, log_weights: np.ndarray) -> np.ndarray | None:
        """One architecture within the bounds, with probability proportional to its genes' weights.

        `log_weights` is float64 [blocks, choices], -inf for a choice that is excluded.
        Returns int8 [blocks], or None if no such architecture is within the bounds.
        """
        tails = [np.where(self.counts[-1].any(axis=0), 0.0, -np.inf)]
        for successors, weights in zip(self.successors[::-1], log_weights[::-1], strict=True):
            tail = np.logaddexp.reduce(weights + tails[-1][successors], axis=1)
            tails.append(np.append(tail, -np.inf))
        tails.reverse()
        if tails[0][0] == -np.inf:
            return None
        state, drawn = 0, np.empty(len(self.successors), dtype=np.int8)
        for block, successors in enumerate(self.successors):
            logits = log_weights[block] + tails[block + 1][successors[state]]
            weights = np.exp(logits - logits.max())
            drawn[block] = rng.choice(len(weights), p=weights / weights.sum())
            state = successors[state, drawn[block]]
        return drawn


def count_table(
    budgets: Sequence[IntegerBudget], has: np.ndarray, max_states: int = MAX_STATES
) -> CountTable | None:
    """The table for all `budgets` together; None if it is too large.

    `has` says which choices each block has, as booleans [blocks, choices]. A choice that a block
    does not have leads to the dead state.

    The sums of several budgets are packed into one integer, each in its own digit: a digit is
    larger than the largest sum, so packed sums add without carries.
    """
    blocks = len(has)
    digits = [budget.largest + 1 for budget in budgets]
    places = [int(np.prod(digits[:i], dtype=object)) for i in range(len(digits) + 1)]
    if places[-1] >= 2**62:
        return None
    packed = np.zeros(has.shape, dtype=np.int64)
    for budget, place in zip(budgets, places, strict=False):
        packed += budget.offsets * place
    states, successors, held = [np.zeros(1, dtype=np.int64)], [], 0
    for block in range(blocks):
        reached = packed[block][:, None] + states[-1]
        # Each row is sorted, so that a merging sort takes linear time.
        following = np.sort(reached[has[block]], axis=None, kind="stable")
        following = following[np.diff(following, prepend=-1) > 0]
        for budget, place, digit in zip(budgets, places, digits, strict=False):
            sums = following // place % digit
            to_come = int(budget.offsets[block + 1 :].max(axis=1).sum())
            following = following[(sums <= budget.upper) & (sums + to_come >= budget.lower)]
        held += len(following)
        if held > max_states:
            return None
        index = np.searchsorted(following, reached)
        index[np.append(following, -1)[index] != reached] = len(following)
        index[~has[block]] = len(following)
        successors.append(np.ascontiguousarray(index.T, dtype=np.int32))
        states.append(following)
    size = math.prod(has.sum(axis=1).tolist())
    limbs = -(-size.bit_length() // _LIMB_BITS)
    return CountTable(tuple(successors), _counts(successors, len(states[-1]), limbs), states[-1])


def nearest_outside(
    bounds: IntegerBudget, has: np.ndarray, others: Sequence[IntegerBudget] = ()
) -> tuple[list[int] | None, list[int] | None]:
    """The architectures nearest below and above bounds that admit none, within the `others`.

    Either is None if there is none, or if finding it needs too large a table.
    """

    def nearest(direction: int) -> list[int] | None:
        width = 1
        while True:  # windows of growing width on one side, so that tables stay small
            low = max(bounds.lower - width, 0) if direction < 0 else bounds.upper + 1
            high = bounds.lower - 1 if direction < 0 else min(bounds.upper + width, bounds.largest)
            table = count_table([replace(bounds, lower=low, upper=high), *others], has)
            if table is None:
                return None
            if table.total:
                sums = table.sums % (bounds.largest + 1)
                best = int(sums.max() if direction < 0 else sums.min())
                only = count_table([replace(bounds, lower=best, upper=best), *others], has)
                assert only is not None, "a narrower table fits where a wider one did"
                return only.unrank(np.zeros((len(only.counts[0]), 1), dtype=np.int64))[0].tolist()
            if width > bounds.largest:
                return None
            width *= 8

    return nearest(-1), nearest(1)


def _counts(successors: list[np.ndarray], last: int, limbs: int) -> tuple[np.ndarray, ...]:
    """Numbers of completions, from the last block backwards; a state after the last block has 1."""
    counts = [np.zeros((limbs, last + 1), dtype=np.int64)]
    counts[0][0, :last] = 1
    for table in reversed(successors):
        totals = np.zeros((limbs, len(table) + 1), dtype=np.int64)
        for column in table.T:
            totals[:, :-1] += counts[-1][:, column]
        for limb in range(limbs - 1):
            totals[limb + 1] += totals[limb] >> _LIMB_BITS
            totals[limb] &= _LIMB_MASK
        counts.append(totals)
    return tuple(reversed(counts))


def _uniform_below(rng: np.random.Generator, bound: int, n: int, limbs: int) -> np.ndarray:
    """Uniform integers in [0, bound) as limbs [limbs, n]: random bits, redrawn if too large."""
    top = (bound - 1).bit_length()
    limits = [1 << min(max(top - _LIMB_BITS * i, 0), _LIMB_BITS) for i in range(limbs)]
    bounds = np.array([[bound >> (_LIMB_BITS * i) & _LIMB_MASK] for i in range(limbs)])
    kept: list[np.ndarray] = [np.empty((limbs, 0), dtype=np.int64)]
    missing = n
    while missing > 0:  # at least half of them are kept
        bits = np.stack([rng.integers(0, limit, size=missing) for limit in limits])
        kept.append(bits[:, _less(bits, np.broadcast_to(bounds, bits.shape))])
        missing -= kept[-1].shape[1]
    return np.concatenate(kept, axis=1)


def _less(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """left < right for integers in limbs [limbs, n]."""
    less = left[0] < right[0]
    for limb in range(1, len(left)):
        less = (left[limb] < right[limb]) | ((left[limb] == right[limb]) & less)
    return less


def _borrow(values: np.ndarray) -> None:
    """Make every limb non-negative again after a subtraction, in place."""
    for limb in range(len(values) - 1):
        negative = values[limb] < 0
        values[limb] += negative.astype(np.int64) << _LIMB_BITS
        values[limb + 1] -= negative
