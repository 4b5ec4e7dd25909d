"""A surrogate varies and correlates as its table does, and says how well it predicts."""

from dataclasses import replace

import numpy as np
import pytest
from toy_table import SAMPLER, toy_table

from detnas.errors import UserError
from detnas.fidelity.surrogate import fit_surrogate
from detnas.fidelity.table import Table
from search_space.architecture import as_choices
from search_space.cost import macs_table
from search_space.sampling import BudgetSampler
from search_space.spaces import get_space

PROXY, TRUTH = "supernet/plain/seed0", "standalone"


def test_scores_have_the_moments_of_the_table() -> None:
    table = toy_table(150)
    surrogate = fit_surrogate(table, PROXY, TRUTH)
    worlds = [surrogate.scores(list(table.architectures), seed) for seed in range(30)]
    measured = np.cov([table.columns(TRUTH).mean(axis=1), table.column(PROXY)])
    assert np.mean([np.cov(world) for world in worlds], axis=0) == pytest.approx(measured, rel=0.1)
    assert surrogate.surrogate_tau == pytest.approx(surrogate.measured_tau, abs=0.08)


def test_a_score_is_a_function_of_seed_and_architecture() -> None:
    surrogate = fit_surrogate(toy_table(30), PROXY, TRUTH)
    drawn = [as_choices(row) for row in SAMPLER.sample(np.random.default_rng(0), 5)]
    together = np.array(surrogate.scores(drawn, 3))
    assert (np.array(surrogate.scores(drawn[::-1], 3))[:, ::-1] == together).all()
    assert (np.array(surrogate.scores(drawn[2:3], 3))[:, 0] == together[:, 2]).all()
    assert (np.array(surrogate.scores(drawn, 4)) != together).all()


def test_an_additive_score_is_recovered_from_many_rows() -> None:
    table = toy_table(200, truth_noise=0.01, proxy_noise=3.0)
    surrogate = fit_surrogate(table, PROXY, TRUTH)
    assert surrogate.truth_fit.r2 > 0.98
    assert surrogate.truth_fit.tau > 0.9
    assert surrogate.proxy_fit.r2 < 0.2


def test_scores_of_noise_are_not_predicted() -> None:
    table = toy_table(60)
    noise = np.random.default_rng(5).normal(size=60)
    table = table.with_column("noise", dict(zip(table.architectures, noise.tolist(), strict=True)))
    surrogate = fit_surrogate(table, "noise", "noise")
    assert surrogate.truth_fit.r2 < 0.1
    assert surrogate.measured_tau == pytest.approx(1)


def test_a_score_of_macs_alone_is_found_in_a_space_with_skip() -> None:
    space = get_space("tiny-skip")
    choices = BudgetSampler(space).sample(np.random.default_rng(0), 80)
    rows = tuple(dict.fromkeys(map(as_choices, choices)))
    macs = macs_table(space).of_many(np.array(rows)) / 1e6
    scores = {"a": tuple(macs.tolist()), "b": tuple((2 * macs).tolist())}
    surrogate = fit_surrogate(Table(space, rows, ("space",) * len(rows), scores), "b", "a")
    assert surrogate.truth_fit.r2 > 0.95
    new = [as_choices(row) for row in BudgetSampler(space).sample(np.random.default_rng(1), 50)]
    truth, proxy = surrogate.scores(new, 0)
    assert np.corrcoef(truth, macs_table(space).of_many(np.array(new)))[0, 1] > 0.97
    assert proxy == pytest.approx(2 * truth, abs=0.5)


def test_tables_without_enough_scores_are_refused() -> None:
    table = toy_table(12)
    few = table.with_column(PROXY, dict.fromkeys(table.architectures[:9], 1.0))
    with pytest.raises(UserError, match="only 9 architectures have all scores"):
        fit_surrogate(few, PROXY, TRUTH)
    equal = replace(table, scores={**table.scores, PROXY: (1.0,) * 12})
    with pytest.raises(UserError, match=f"all scores of '{PROXY}' are equal"):
        fit_surrogate(equal, PROXY, TRUTH)
    with pytest.raises(UserError, match="no column 'supernet'"):
        fit_surrogate(table, "supernet", TRUTH)
