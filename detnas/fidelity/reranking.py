"""Re-ranks architectures with a few trained networks (the idea of AceNAS, arXiv 2108.03001).

Supernet scores are weak labels of all architectures, stand-alone scores strong labels of a few. A
ridge regression of the strong ones on supernet score, MACs and the choices of each stage takes the
place of the paper's graph network. Whether it helps is measured: see `held_out`.
"""

from dataclasses import dataclass

import numpy as np

from detnas.errors import UserError
from detnas.fidelity.correlation import tau
from detnas.fidelity.ridge import fit_ridge
from detnas.fidelity.table import Table

MIN_TRAINED = 3


@dataclass(frozen=True)
class HeldOut:
    """Kendall's tau-b on architectures that the re-ranking was not fitted to.

    Attributes:
        plain: of the supernet's scores, the mean over splits.
        reranked: of the re-ranked scores.
        difference: `reranked` minus `plain`, paired by split.
        standard_error: of the difference, with the correction of Nadeau and Bengio (2003) for
            splits that share architectures; cautious where few are trained and many tested.
        won: the share of splits in which re-ranking is better; half a win if both are equal.
        trained: architectures that the regression is fitted to.
        tested: the others.
        splits: number of random splits.
    """

    plain: float
    reranked: float
    difference: float
    standard_error: float
    won: float
    trained: int
    tested: int
    splits: int


def rerank(table: Table, proxy: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Scores of all rows, predicted from those that were trained: float [n].

    Args:
        table: the architectures.
        proxy: the supernet's score of every row, float [n].
        truth: stand-alone scores, float [n]; nan where a row was not trained.

    Raises:
        UserError: fewer than 3 trained rows, or a row without a supernet score.
    """
    trained = np.isfinite(truth)
    if trained.sum() < MIN_TRAINED:
        raise UserError(f"{trained.sum()} rows are trained; re-ranking needs {MIN_TRAINED}")
    if not np.isfinite(proxy).all():
        raise UserError("re-ranking needs a supernet score of every row; drop the others")
    return _predict(_features(table, proxy), truth, trained)


def held_out(
    table: Table, proxy: str, truth: str, trained: int, splits: int = 500, seed: int = 0
) -> HeldOut:
    """Compare plain and re-ranked scores on random splits of the rows that have all scores.

    Args:
        table: see `detnas.fidelity.table`.
        proxy: column of the supernet's scores.
        truth: column of the stand-alone scores, or a prefix of several, whose mean is taken.
        trained: rows that the regression is fitted to; the others are tested.
        splits: number of random splits, at least 2.
        seed: of the splits.

    Raises:
        UserError: no such columns, or fewer than 3 rows to train or to test.
    """
    truths, proxies = table.columns(truth).mean(axis=1), table.column(proxy)
    rows = np.flatnonzero(np.isfinite(truths + proxies))
    tested = len(rows) - trained
    if min(trained, tested) < MIN_TRAINED:
        raise UserError(
            f"{len(rows)} rows have all scores: {trained} of them to train leave {tested} to test; "
            f"at least {MIN_TRAINED} of both are needed"
        )
    # No row's features depend on the truth, so they may be scaled by all rows.
    features, truths, proxies = _features(table, proxies)[rows], truths[rows], proxies[rows]
    rng = np.random.default_rng(seed)
    taus = np.empty((splits, 2))
    for split in range(splits):
        train = np.zeros(len(rows), dtype=bool)
        train[rng.permutation(len(rows))[:trained]] = True
        predicted = _predict(features, truths, train)
        taus[split] = [tau(scores[~train], truths[~train]) for scores in (proxies, predicted)]
    taus = np.nan_to_num(taus)  # a constant prediction orders nothing
    differences = taus[:, 1] - taus[:, 0]
    error = differences.std(ddof=1) * np.sqrt(1 / splits + tested / trained)
    plain, reranked = taus.mean(axis=0).tolist()
    return HeldOut(
        plain,
        reranked,
        float(differences.mean()),
        float(error),
        float(np.mean((np.sign(differences) + 1) / 2)),
        trained,
        tested,
        splits,
    )


def _predict(features: np.ndarray, truth: np.ndarray, train: np.ndarray) -> np.ndarray:
    return fit_ridge(features[train], truth[train]).predict(features)


def _features(table: Table, proxy: np.ndarray) -> np.ndarray:
    """Proxy, MACs, and how often each stage has each choice: float [n, features], standardised."""
    stages = np.array([spec.stage for spec in table.space.block_specs()])
    one_hot = np.eye(table.space.num_choices)[table.choices]
    counts = [one_hot[:, stages == stage].sum(axis=1) for stage in np.unique(stages)]
    features = np.column_stack([proxy, table.costs["macs"], *counts])
    spread = np.nanstd(features, axis=0)
    standardised: np.ndarray = (features - np.nanmean(features, axis=0)) / np.where(
        spread > 0, spread, 1
    )
    # Together, the counts weigh as much as the proxy and as the MACs.
    standardised[:, 2:] /= np.sqrt(standardised.shape[1] - 2)
    return standardised
