"""The table in benchmarks/ is whole, and docs/fidelity.md says what it says."""

from pathlib import Path

import numpy as np
import pytest

from detnas.fidelity.comparison import compare, estimate_text
from detnas.fidelity.statistics import measure_fidelity
from detnas.fidelity.table_file import read_table

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8")


def test_the_table_is_what_the_page_describes() -> None:
    table = read_table(ROOT / "benchmarks" / "digits.csv")
    assert table.space.name == "tiny-skip"
    assert table.groups == ("space",) * 20 + ("band",) * 20
    macs = table.costs["macs"]
    assert (macs <= 40e6).all()
    assert ((macs[20:] >= 34e6) & (macs[20:] <= 36e6)).all()
    assert np.isfinite(table.columns("trained")).all()
    assert table.columns("trained").shape == (40, 2)


def test_the_page_has_the_correlations_of_the_table() -> None:
    table = read_table(ROOT / "benchmarks" / "digits.csv")
    first = table.column("supernet/base/seed0")
    alone = {name: scores for name, scores in table.scores.items() if name.startswith("trained")}
    scores = dict(zip(table.architectures, first.tolist(), strict=True))
    compared = compare(
        type(table)(table.space, table.architectures, table.groups, alone).with_column(
            "supernet", scores
        )
    )
    columns = [compared[name] for name in ("trained", "trained, space", "trained, band")]
    rows = {
        "tau of the supernet": [each.proxy.tau for each in columns],
        "rho of the supernet": [each.proxy.rho for each in columns],
        "tau of MACs": [each.costs["macs"].alone.tau for each in columns],
    }
    for name, estimates in rows.items():
        assert f"| {name} | {' | '.join(map(estimate_text, estimates))} |" in PAGE, name
    regret = compared["trained"].regrets[0]
    assert regret.first == pytest.approx(0.0027, abs=5e-5)
    assert regret.random_first == pytest.approx(0.0355, abs=5e-5)


def test_the_page_has_the_agreement_of_three_supernets() -> None:
    table = read_table(ROOT / "benchmarks" / "digits.csv")
    first = table.columns("supernet/base")[:, :3]  # those of the page's first result
    found = measure_fidelity(first, table.columns("trained"), table.costs)
    assert found.agreement is not None
    page = " ".join(PAGE.split())
    assert (
        f"seeds agree by a tau of {estimate_text(found.agreement.tau).replace(' (', '** (')}"
        in page
    )
    assert f"mean {estimate_text(found.proxy.tau)}: " in page


@pytest.mark.parametrize(
    ("variant", "seeds"),
    [
        ("base", 6),
        ("finetune2", 3),
        ("finetune4", 3),
        ("pretrain2", 3),
        ("pretrain4", 3),
        ("band-paths", 3),
        ("no-warmup", 3),
        ("fair", 3),
        ("strictly-fair", 3),
        ("calibration-0", 3),
    ],
)
def test_the_page_has_the_fidelity_of_each_recipe(variant: str, seeds: int) -> None:
    table = read_table(ROOT / "benchmarks" / "digits.csv")
    columns = table.columns(f"supernet/{variant}")
    found = measure_fidelity(columns, table.columns("trained"), table.costs)
    assert found.proxies == seeds
    assert found.agreement is not None
    row = f"| {columns.mean():.3f} | {estimate_text(found.agreement.tau)} | "
    assert row + estimate_text(found.proxy.tau) in PAGE
