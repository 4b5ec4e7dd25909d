"""Re-ranking helps where MACs say what the supernet does not, and not where it knows all."""

import numpy as np
import pytest
from toy_table import toy_table

from detnas.errors import UserError
from detnas.fidelity.correlation import tau
from detnas.fidelity.reranking import held_out, rerank
from detnas.fidelity.table import Table


def with_scores(table: Table, name: str, scores: np.ndarray) -> Table:
    return table.with_column(name, dict(zip(table.architectures, scores.tolist(), strict=True)))


def macs_table(noise: float) -> Table:
    """The truth is MACs plus what the supernet sees, through noise."""
    table = toy_table(60)
    rng = np.random.default_rng(0)
    macs = table.costs["macs"] / table.costs["macs"].std()
    seen = rng.normal(size=60)
    table = with_scores(table, "standalone/seed0", 2 * macs + seen)
    return with_scores(table, "proxy", seen + noise * rng.normal(size=60))


def test_it_learns_the_macs_that_the_supernet_does_not_see() -> None:
    found = held_out(macs_table(0.3), "proxy", "standalone/seed0", trained=20, splits=50)
    assert found.difference > 2 * found.standard_error
    assert found.won > 0.95
    assert found.difference == pytest.approx(found.reranked - found.plain)
    assert (found.trained, found.tested, found.splits) == (20, 40, 50)


def test_it_does_not_help_a_supernet_that_knows_the_truth() -> None:
    table = toy_table(40)
    table = with_scores(table, "proxy", table.columns("standalone").mean(axis=1))
    found = held_out(table, "proxy", "standalone", trained=10, splits=50)
    assert found.plain == pytest.approx(1)
    assert found.difference < 0
    assert found.won < 0.5


def test_splits_are_a_function_of_the_seed() -> None:
    table = macs_table(1.0)
    first, again, other = (
        held_out(table, "proxy", "standalone/seed0", 20, splits=5, seed=seed) for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_held_out_scores_do_not_enter_the_prediction() -> None:
    table = macs_table(0.3)
    truth = table.column("standalone/seed0")
    truth[20:] = np.nan
    scores = rerank(table, table.column("proxy"), truth)
    assert np.isfinite(scores).all()
    measured = table.column("standalone/seed0")[20:]
    assert tau(scores[20:], measured) > tau(table.column("proxy")[20:], measured)


def test_too_few_scores_are_refused() -> None:
    table = macs_table(0.3)
    with pytest.raises(UserError, match="58 of them to train leave 2 to test"):
        held_out(table, "proxy", "standalone/seed0", trained=58)
    with pytest.raises(UserError, match="2 rows are trained"):
        rerank(table, table.column("proxy"), np.array([1.0, 2.0] + [np.nan] * 58))
    with pytest.raises(UserError, match="a supernet score of every row"):
        rerank(table, np.full(60, np.nan), np.ones(60))
