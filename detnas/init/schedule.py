"""Chooses image size and schedule from the data, what a step takes here, and the time allowed.

Every stage has a full length, which follows from the data, and a least one. If the full lengths do
not fit into the time, all stages are shortened by the same share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detnas.console import duration
from detnas.errors import UserError
from detnas.stages.forecast.pace import START

USED = 0.85
"""The share of the time allowed that is planned; machines are not always idle."""
EPOCHS = {"pretrain": 60, "finetune": 32, "retrain": 25}
"""Passes over the data of a full schedule; longer ones overfit small data (docs/results.md)."""
FULL = {"pretrain": (1500, 30_000), "finetune": (600, 90_000), "retrain": (600, 90_000)}
LEAST = {"pretrain": 300, "finetune": 200, "retrain": 150}
FULL_CANDIDATES, LEAST_CANDIDATES = 64, 12
GENERATIONS = 4
CALIBRATION = 200
ENOUGH = 0.5
"""The share of a full schedule below which smaller images are better."""
SIDES = (1333, 1024, 800, 640, 512, 448, 384, 320, 256, 224, 192, 160, 128)
"""Longer sides of images to choose from, in pixels."""
SEEN = 20
"""Pixels that the median object of every class should have, as the root of its box's area."""
VALIDATION_SHARE = 0.06
"""Of the time of fine-tuning, for the scores of single paths during it."""


@dataclass(frozen=True)
class Counts:
    """Images of each split, and of pretraining; batches of training and of pretraining."""

    train: int
    search: int
    val: int
    crops: int
    batch: int
    crops_batch: int


@dataclass(frozen=True)
class Pace:
    """Seconds, measured at images of `pixels`: of training steps, and of images to score.

    Attributes:
        pretrain: of a step; None without pretraining. It does not depend on the images' size.
        retrain: of a step of each network that is trained at the end.
        calibration, scoring: of an image.
    """

    pixels: float
    pretrain: float | None
    finetune: float
    retrain: Sequence[float]
    calibration: float
    scoring: float


@dataclass(frozen=True)
class Schedule:
    """What init chose.

    Attributes:
        side: the longer side of the images, in pixels.
        share: of the full schedule.
        seconds: estimate for each stage.
        validations: how often paths are scored during fine-tuning.
    """

    side: int
    share: float
    pretrain: int
    finetune: int
    retrain: int
    population: int
    generations: int
    calibration: int
    validations: int
    seconds: Mapping[str, float]

    @classmethod
    def shortest(cls, side: int) -> "Schedule":
        """One of a few steps, for configs that are only measured."""
        return cls(side, 0.0, 100, 100, 100, 3, 1, 8, 1, {})

    @property
    def total(self) -> float:
        """Seconds of the whole run."""
        return sum(self.seconds.values())


def wanted_side(medians: Sequence[float], longest: int) -> int:
    """The longer side at which the median object of every class has `SEEN` pixels.

    Args:
        medians: of each class, the root of the area of its median box, in pixels of the files.
        longest: the median longer side of the files.
    """
    least = max((SEEN / median * longest for median in medians if median > 0), default=320)
    return next((side for side in reversed(allowed_sides(longest)) if side >= least), longest)


def allowed_sides(longest: int) -> list[int]:
    """Sides to choose from, the largest first; no images are enlarged."""
    sides = [side for side in SIDES if side < longest]
    return [min(longest, SIDES[0]), *[side for side in sides if side < SIDES[0]]]


def choose_schedule(
    pace: Pace, counts: Counts, allowed: float, longest: int, area: float, wanted: int
) -> Schedule:
    """The largest images at which the full schedule fits, or the wanted ones, or smaller ones.

    Args:
        allowed: seconds for the whole run.
        longest: the median longer side of the files in pixels.
        area: pixels of an image whose longer side is 1.
        wanted: from `wanted_side`.
    Raises:
        UserError: not even the least schedule fits.
    """
    found = {side: _fitted(pace, counts, allowed, side, area) for side in allowed_sides(longest)}
    for side, schedule in found.items():
        if schedule.share == 1.0 and side >= wanted:
            return schedule
    smaller = [s for side, s in found.items() if side <= wanted]
    for schedule in smaller:
        if schedule.share >= ENOUGH:
            return schedule
    best = max(smaller, key=lambda each: (each.share, -each.total))
    if best.total > allowed:
        stages = ", ".join(f"{name} {duration(taken)}" for name, taken in best.seconds.items())
        raise UserError(
            f"--time {duration(allowed)} is too short: the shortest run, with images of "
            f"{best.side} pixels, takes about {duration(best.total)} here ({stages}); give more "
            "time, or try again when no other program uses this machine"
        )
    return best


def _fitted(pace: Pace, counts: Counts, allowed: float, side: int, area: float) -> Schedule:
    """The longest schedule at a size that fits, by bisection; the least one if none does."""
    low, high = 0.0, 1.0
    schedule = _scaled(pace, counts, side, area, high)
    if schedule.total <= USED * allowed:
        return schedule
    for _ in range(20):
        middle = (low + high) / 2
        fits = _scaled(pace, counts, side, area, middle).total <= USED * allowed
        low, high = (middle, high) if fits else (low, middle)
    return _scaled(pace, counts, side, area, low)


def _scaled(pace: Pace, counts: Counts, side: int, area: float, share: float) -> Schedule:
    """All lengths at a share of their full ones, and what they take."""
    size = side * side * area / pace.pixels
    pretrain = _iterations("pretrain", counts.crops, counts.crops_batch, share)
    if pace.pretrain is None:
        pretrain = 0
    finetune = _iterations("finetune", counts.train, counts.batch, share)
    retrain = _iterations("retrain", counts.train + counts.search, counts.batch, share)
    population = max(LEAST_CANDIDATES, round(share * FULL_CANDIDATES)) // GENERATIONS
    calibration = min(CALIBRATION, counts.train)
    candidate = size * (calibration * pace.calibration + counts.search * pace.scoring)
    training = size * finetune * pace.finetune
    validations = min(4, max(1, int(VALIDATION_SHARE * training / (6 * candidate))))
    seconds = {
        "pretrain": START + pretrain * (pace.pretrain or 0.0) if pretrain else 0.0,
        "finetune": START + training + validations * 6 * candidate,
        "search": START + GENERATIONS * population * candidate,
        "retrain": START + size * retrain * pace.retrain[0],
        "test": size * counts.val * pace.scoring,
        "compare": sum(
            START + size * (retrain * step + counts.val * pace.scoring) for step in pace.retrain[1:]
        ),
    }
    return Schedule(
        side,
        share,
        pretrain,
        finetune,
        retrain,
        population,
        GENERATIONS,
        calibration,
        validations,
        {stage: taken for stage, taken in seconds.items() if taken},
    )


def _iterations(stage: str, images: int, batch: int, share: float) -> int:
    least, most = FULL[stage]
    full = min(most, max(least, EPOCHS[stage] * images // batch))
    iterations = max(LEAST[stage], round(share * full))
    return iterations if iterations < 100 else round(iterations, -1)


def warm_up(iterations: int) -> int:
    """Iterations in which the learning rate rises."""
    return min(100, max(1, iterations // 10))


def as_values(schedule: Schedule) -> dict[str, Any]:
    """The numbers of a schedule, for the texts of the config files."""
    return {
        "pretrain_iters": schedule.pretrain,
        "pretrain_warmup": warm_up(schedule.pretrain),
        "path_warmup": round(0.4 * schedule.pretrain),
        "finetune_iters": schedule.finetune,
        "finetune_warmup": warm_up(schedule.finetune),
        "retrain_iters": schedule.retrain,
        "retrain_warmup": warm_up(schedule.retrain),
        "population": schedule.population,
        "generations": schedule.generations,
        "parents": max(2, schedule.population // 3),
        "bred": max(1, round(0.4 * schedule.population)),
        "calibration": schedule.calibration,
        "interval": max(1, schedule.finetune // schedule.validations),
    }
