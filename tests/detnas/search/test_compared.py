"""The verdict on the found network, and the pairing of its intervals."""

from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from detnas.console import comparison_table
from detnas.errors import UserError
from detnas.search.compared import (
    COMPARISON_FILE,
    FOUND,
    ComparedNetwork,
    Comparison,
    Measured,
    Scored,
    read_comparison,
)
from detnas.search.compared_text import ONE_TRAINING, rows_of, verdict

COSTS = Measured(237_000_000, 900_000_000, (240, 320), 2_000_000, 5_000_000, 31.25)


def network(
    name: str, scored: Scored, found: Scored, inside: bool | None = True
) -> ComparedNetwork:
    difference, interval = found.difference_to(scored)
    return ComparedNetwork(
        *(name, name, None, inside, scored.score, scored.interval, difference, interval),
        *({"RBC": 0.5}, {"small": 0.25}, COSTS),
    )


def comparison(found: Scored, other: Scored, greater_is_better: bool = True) -> Comparison:
    return Comparison(
        *("coco/bbox_mAP", greater_is_better, 73, len(found.resampled), (224, 224), "a CPU", 2),
        (network(FOUND, found, found), network("3x3", other, found, inside=False)),
    )


def test_a_difference_is_paired_by_the_set_of_images() -> None:
    """Sets that are hard for one network are hard for the other: that is no uncertainty."""
    sets = np.random.default_rng(0).normal(0.4, 0.1, 200)
    found, other = Scored(0.42, sets + 0.02), Scored(0.4, sets)
    difference, interval = found.difference_to(other)
    assert difference == pytest.approx(0.02)
    assert interval == pytest.approx((0.02, 0.02))
    assert other.interval == pytest.approx(tuple(np.quantile(sets, (0.025, 0.975))))


def test_sets_without_objects_are_left_out() -> None:
    found, other = Scored(0.4, (0.4, np.nan, 0.5)), Scored(0.3, (0.3, 0.2, np.nan))
    assert found.difference_to(other)[1] == pytest.approx((0.1, 0.1))
    assert Scored(0.4).interval is None
    assert Scored(0.4).difference_to(other)[1] is None


@pytest.mark.parametrize(
    ("found", "shift", "greater", "expected"),
    [
        (0.42, (0.01, 0.03), True, "scores better than 3x3: 0.420 against 0.400"),
        (0.38, (-0.03, -0.01), True, "scores worse than 3x3: 0.380 against 0.400"),
        (0.392, (-0.03, 0.02), True, "is not shown to be better than 3x3: 0.392 against 0.400"),
        (0.41, (-0.01, 0.03), True, "is not shown to be better than 3x3: 0.410 against 0.400"),
        (0.42, (0.01, 0.03), False, "scores worse than 3x3"),
        (0.38, (-0.03, -0.01), False, "scores better than 3x3"),
        (0.4, (0.0, 0.0), True, "is not shown to be better than 3x3"),
    ],
)
def test_the_verdict_follows_the_interval(
    found: float, shift: tuple[float, float], greater: bool, expected: str
) -> None:
    sets = np.full(200, 0.4)
    with_shift = Scored(found, sets + np.linspace(*shift, 200))
    sentence, caveat = verdict(comparison(with_shift, Scored(0.4, sets), greater))
    assert sentence.startswith(f"The found network {expected}")
    assert sentence.endswith("over 73 images, one training each.")
    assert caveat == ONE_TRAINING


def test_the_difference_has_its_interval_in_the_sentence() -> None:
    sets = np.full(200, 0.42)
    found = Scored(0.412, sets + np.linspace(-0.031, 0.021, 200))
    sentence = verdict(comparison(found, Scored(0.42, sets)))[0]
    assert "0.412 against 0.420, difference -0.008 (-0.030 to +0.020) over 73 images" in sentence


def test_few_images_decide_nothing() -> None:
    """One image resampled is always the same one, so its interval has no width."""
    sets = np.full(200, 0.42)
    few = structs.replace(comparison(Scored(0.9, sets + 0.4), Scored(0.42, sets)), images=19)
    assert "cannot be told from so few test images" in verdict(few)[0]
    assert "scores better" in verdict(structs.replace(few, images=20))[0]


def test_without_intervals_nothing_is_claimed() -> None:
    sentence = verdict(comparison(Scored(0.9), Scored(0.1)))[0]
    assert "has no interval of its difference to 3x3: 0.900 against 0.100" in sentence
    alone = comparison(Scored(0.9), Scored(0.1))
    alone = Comparison(
        *(alone.metric, True, 73, 0, (224, 224), "a CPU", 2, alone.networks[:1], ("3x3",))
    )
    assert verdict(alone) == ("There is no other network to compare.",)


def test_the_table_has_a_row_for_each_network() -> None:
    compared = comparison(Scored(0.4, (0.3, 0.5)), Scored(0.3, (0.2, 0.4)))
    head, found, other = rows_of(compared, classes=20)
    row = dict(zip(head, other, strict=True))
    assert row["network"] == "3x3 (outside the budget)"
    assert row["found minus this"] == "+0.1000"
    assert row["MACs, backbone"] == "237.00M"
    assert row["latency, detector"] == "31.2 ms at 320x240"
    assert (row["AP, small"], row["AP, RBC"]) == ("0.250", "0.500")
    assert dict(zip(head, found, strict=True))["found minus this"] == ""
    assert "AP, RBC" not in rows_of(compared, classes=0)[0]
    assert "2 resampled sets" in comparison_table(compared)


def test_the_file_reads_back(tmp_path: Path) -> None:
    compared = comparison(Scored(0.4, (0.3, 0.5)), Scored(0.3, (0.2, 0.4)))
    assert read_comparison(tmp_path) is None
    compared.save(tmp_path / COMPARISON_FILE)
    assert read_comparison(tmp_path) == compared
    (tmp_path / COMPARISON_FILE).write_text("{}")
    with pytest.raises(UserError, match="comparison"):
        read_comparison(tmp_path)
