"""Image size and lengths of the stages: what fits into the time, and what gives way first."""

from itertools import pairwise

import pytest

from detnas.errors import UserError
from detnas.init.schedule import (
    USED,
    Counts,
    Pace,
    Schedule,
    allowed_sides,
    choose_schedule,
    wanted_side,
)

COUNTS = Counts(train=218, search=73, val=73, crops=2000, batch=8, crops_batch=64)
PACE = Pace(384 * 288, 0.2, 0.8, [0.8, 0.8, 0.8], 0.016, 0.035)


def _chosen(seconds: float, pace: Pace = PACE, longest: int = 640) -> Schedule:
    return choose_schedule(pace, COUNTS, seconds, longest, 0.75, wanted=384)


def test_the_smallest_class_decides_the_size() -> None:
    assert wanted_side([100.0, 40.0], 640) == 320
    assert wanted_side([100.0, 38.0], 640) == 384
    assert wanted_side([10.0], 640) == 640  # images are not enlarged
    assert wanted_side([400.0], 640) == 128


def test_images_are_never_enlarged() -> None:
    assert allowed_sides(200) == [200, 192, 160, 128]
    assert allowed_sides(100) == [100]
    assert max(allowed_sides(4000)) == 1333


@pytest.mark.parametrize("hours", [0.3, 0.5, 1, 2, 4, 10])
def test_it_fits_into_the_time(hours: float) -> None:
    schedule = _chosen(3600 * hours)
    assert schedule.total <= USED * 3600 * hours
    assert schedule.seconds.keys() == {
        *("pretrain", "finetune", "search", "retrain", "test", "compare")
    }


def test_more_time_is_never_used_for_less() -> None:
    schedules = [_chosen(3600 * hours) for hours in (0.3, 0.5, 1, 2, 4, 10)]
    for shorter, longer in pairwise(schedules):
        assert longer.side >= shorter.side
        assert longer.side > shorter.side or longer.share >= shorter.share


def test_small_images_come_before_a_schedule_that_is_too_short() -> None:
    short, long = _chosen(1200), _chosen(100 * 3600)
    assert short.side < 384
    assert (long.side, long.share) == (640, 1.0)


def test_a_full_schedule_does_not_grow_with_the_time() -> None:
    """More passes over few images only overfit."""
    full = _chosen(10 * 3600).finetune
    assert full == _chosen(100 * 3600).finetune == pytest.approx(32 * 218 / 8, rel=0.01)


def test_stock_backbones_take_their_share() -> None:
    with_stock = Pace(384 * 288, 0.2, 0.8, [0.8, 0.8, 0.8, 3.0], 0.016, 0.035)
    assert _chosen(3600, with_stock).share < _chosen(3600).share


def test_without_pretraining_there_is_no_such_stage() -> None:
    pace = Pace(384 * 288, None, 0.8, [0.8], 0.016, 0.035)
    schedule = _chosen(3600, pace)
    assert schedule.pretrain == 0
    assert schedule.seconds.keys() == {"finetune", "search", "retrain", "test"}


def test_a_time_that_is_too_short_is_refused() -> None:
    with pytest.raises(UserError, match=r"--time 30 s is too short: .* takes about"):
        _chosen(30)
