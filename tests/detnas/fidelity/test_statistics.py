"""Fidelity of made-up supernet scores, against scipy and by hand."""

import json
import time
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy import stats

from detnas.errors import UserError
from detnas.fidelity.statistics import Fidelity, measure_fidelity


def made_up(n: int = 40, proxies: int = 3, truths: int = 2, seed: int = 0) -> dict[str, Any]:
    """Scores of architectures that are better the more they cost, with noise."""
    rng = np.random.default_rng(seed)
    cost = rng.uniform(1e6, 2e6, n)
    true = cost / 1e6 + rng.normal(size=n)
    return {
        "proxy": true[:, None] + rng.normal(size=(n, proxies)),
        "truth": true[:, None] + 0.3 * rng.normal(size=(n, truths)),
        "costs": {"macs": cost, "params": rng.uniform(1, 2, n)},
    }


def test_correlations_are_the_means_over_columns() -> None:
    data = made_up()
    found = measure_fidelity(**data, resamples=50)
    mean = data["truth"].mean(axis=1)
    assert (found.architectures, found.dropped, found.proxies, found.truths) == (40, 0, 3, 2)

    def means(pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[float]:
        return [
            float(np.mean([stats.kendalltau(x, y).statistic for x, y in pairs])),
            float(np.mean([stats.spearmanr(x, y).statistic for x, y in pairs])),
        ]

    for part, pairs in (
        (found.proxy, [(column, mean) for column in data["proxy"].T]),
        (found.costs["macs"].alone, [(data["costs"]["macs"], mean)]),
        (found.ceiling, [tuple(data["truth"].T)]),
        (found.agreement, list(combinations(data["proxy"].T, 2))),
    ):
        assert part is not None
        assert [part.tau.value, part.rho.value] == pytest.approx(means(pairs))
        assert part.tau.low < part.tau.value < part.tau.high
    gain = found.costs["macs"].gain.tau.value
    assert gain == pytest.approx(found.proxy.tau.value - found.costs["macs"].alone.tau.value)
    assert len(found.regrets) == 3


def test_beyond_a_cost_is_the_correlation_of_residuals() -> None:
    data = made_up(proxies=1)
    cost, mean = data["costs"]["macs"], data["truth"].mean(axis=1)
    left = [
        y - np.polyval(np.polyfit(cost / 1e6, y, 1), cost / 1e6)
        for y in (data["proxy"][:, 0], mean)
    ]
    found = measure_fidelity(**data, resamples=50).costs["macs"].beyond
    assert found.tau.value == pytest.approx(stats.kendalltau(*left).statistic)


def test_a_proxy_that_only_knows_the_cost_has_nothing_beyond_it() -> None:
    data = made_up()
    cost = data["costs"]["macs"]
    found = measure_fidelity(3 * cost + 1, data["truth"], {"macs": cost}, resamples=50)
    assert np.isnan(found.costs["macs"].beyond.tau.value)
    assert found.costs["macs"].gain.tau == found.costs["macs"].gain.rho
    assert found.costs["macs"].gain.tau.value == 0


def test_attainable_is_about_what_a_perfect_proxy_has() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=1000)
    truth = true[:, None] + rng.normal(size=(1000, 4))
    found = measure_fidelity(true, truth, resamples=20)
    assert found.ceiling is not None
    assert found.attainable is not None
    r = found.ceiling.rho.value
    assert found.attainable.value == pytest.approx(np.sqrt(4 * r / (1 + 3 * r)))
    assert found.attainable.value == pytest.approx(found.proxy.rho.value, abs=0.03)
    assert found.attainable.low < found.attainable.value < found.attainable.high


def test_truths_that_contradict_each_other_allow_no_correlation() -> None:
    truth = [[1, 4], [2, 3], [3, 2.5], [4, 0]]
    found = measure_fidelity([1, 2, 3, 4], truth, resamples=20)
    assert found.attainable is not None
    assert found.attainable.value == 0


def test_one_column_has_neither_ceiling_nor_agreement() -> None:
    found = measure_fidelity([1, 2, 3, 4], [1, 2, 4, 3], resamples=20)
    assert (found.ceiling, found.attainable, found.agreement) == (None, None, None)
    assert found.proxy.tau.value == pytest.approx(4 / 6)
    assert found.costs == {}


def test_architectures_without_a_score_are_left_out() -> None:
    data = made_up(n=10)
    whole = measure_fidelity(
        data["proxy"][2:], data["truth"][2:], {"macs": data["costs"]["macs"][2:]}
    )
    proxy, truth = data["proxy"].tolist(), data["truth"].copy()
    proxy[0][1] = None
    truth[1, 0] = np.nan
    found = measure_fidelity(proxy, truth, {"macs": data["costs"]["macs"]})
    assert found.dropped == 2
    assert asdict(found) == {**asdict(whole), "dropped": 2}


def test_a_constant_proxy_is_nan_and_null_in_json() -> None:
    found = measure_fidelity([1, 1, 1, 1], [1, 2, 3, 4], {"macs": [1, 2, 3, 4]}, resamples=20)
    assert np.isnan(found.proxy.tau.value)
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["proxy"]["tau"] == {"value": None, "low": None, "high": None, "resamples": 0}
    assert plain["costs"]["macs"]["alone"]["tau"]["value"] == 1


@pytest.mark.parametrize(
    ("proxy", "truth", "message"),
    [
        ([1, 2, 3], [1, 2, 3, 4], "proxy has 3 architectures, truth has 4"),
        ([1, 2, None], [1, 2, 3], "only 2 of 3 architectures have all scores"),
        ([], [], "only 0 of 0 architectures"),
        ([[1, 2], [3]], [1, 2], "proxy must be numbers, equally many per architecture"),
        ([1, 2, "x"], [1, 2, 3], "proxy must be numbers"),
        (np.zeros((3, 1, 1)), [1, 2, 3], "proxy must have the shape"),
        (np.zeros((3, 0)), [1, 2, 3], "proxy must have the shape"),
    ],
)
def test_scores_that_cannot_be_compared_are_refused(proxy: Any, truth: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        measure_fidelity(proxy, truth)


def test_the_same_seed_gives_the_same_intervals() -> None:
    def measure(seed: int) -> Fidelity:
        return measure_fidelity(**made_up(), seed=seed, resamples=100)

    assert measure(1) == measure(1)
    assert measure(1).proxy.tau.low != measure(2).proxy.tau.low


def test_a_hundred_architectures_take_less_than_a_second() -> None:
    data = made_up(n=100, proxies=1)
    start = time.process_time()
    measure_fidelity(**data)
    assert time.process_time() - start < 5  # allows for a busy machine
