"""The found network beside others that were trained by its recipe: `compare/comparison.json`.

Scores are of the test split. Intervals come from a bootstrap over its images, whose resampled sets
are the same for all networks: differences between networks are paired.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from detnas.search.choice_file import read_choice, save_choice
from detnas.search.finalists import Interval
from search_space.architecture import Choices

COMPARISON_FILE = "comparison.json"
FORMAT, VERSION = "detnas-comparison", 1
FOUND = "found"
Count = Annotated[int, msgspec.Meta(ge=0, le=10**18)]


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a network costs on the machine of the comparison.

    Attributes:
        backbone_macs: multiply-adds of the backbone at `Comparison.backbone_size`.
        detector_macs: of the whole network, at `detector_size`.
        detector_size: height and width of the first test image, scaled and padded, in pixels.
        backbone_params: parameters of the backbone.
        detector_params: of the whole network.
        latency_ms: the median time of one image through the whole network.
    """

    backbone_macs: Count
    detector_macs: Count
    detector_size: tuple[int, int]
    backbone_params: Count
    detector_params: Count
    latency_ms: float


class ComparedNetwork(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A network of the comparison.

    Attributes:
        name: that the config and the folder have; "found" for the found one.
        label: what texts call it.
        choices: of a network of the space; None for a stock backbone.
        is_within_budget: of the search; None where that is not known.
        score: on the test split.
        interval: its 95% interval over test images; None where the metric is not resampled.
        difference: the found network's score less this one's; 0 for the found one.
        difference_interval: its 95% interval, paired by image.
        by_class: average precision of each class; empty where the metric has none.
        by_size: average precision of "small", "medium" and "large" objects; without those that the
            split does not have.
        measured: what it costs.
    """

    name: str
    label: str
    choices: Choices | None
    is_within_budget: bool | None
    score: float
    interval: Interval | None
    difference: float
    difference_interval: Interval | None
    by_class: dict[str, float]
    by_size: dict[str, float]
    measured: Measured


class Comparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `comparison.json`.

    Attributes:
        metric: the score.
        greater_is_better: whether the highest score is the best.
        images: of the test split.
        resamples: sets of images that the intervals come from; 0 where there are no intervals.
        backbone_size: height and width at which backbones are counted, the budget's, in pixels.
        device: that latency was measured on.
        threads: of torch in that measurement.
        networks: the found one first.
        same_as_found: names of asked networks that are the found one.
        notes: remarks, one line each.
    """

    metric: str
    greater_is_better: bool
    images: int
    resamples: int
    backbone_size: tuple[int, int]
    device: str
    threads: int
    networks: Annotated[tuple[ComparedNetwork, ...], msgspec.Meta(min_length=1)]
    same_as_found: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    format: str = FORMAT
    version: int = VERSION

    @property
    def found(self) -> ComparedNetwork:
        """The network that the search has found."""
        return self.networks[0]

    @property
    def others(self) -> tuple[ComparedNetwork, ...]:
        """The networks that it is compared with."""
        return self.networks[1:]

    @property
    def names(self) -> set[str]:
        """The names of all networks that were asked for."""
        return {each.name for each in self.networks} | set(self.same_as_found)

    def save(self, path: Path) -> None:
        """Write the JSON file, whole or not at all."""
        save_choice(self, path)


def read_comparison(folder: Path) -> Comparison | None:
    """The comparison in the work directory of the stage; None where there is no such file.

    Raises:
        UserError: the file is damaged or of another version.
    """
    return read_choice(folder / COMPARISON_FILE, Comparison, FORMAT, VERSION, "comparison")


@dataclass(frozen=True)
class Scored:
    """The score of a network, and its scores on resampled sets of images; NaN without objects."""

    score: float
    resampled: Sequence[float] = ()

    @property
    def interval(self) -> Interval | None:
        """The 95% interval of the score; None without resampled sets."""
        return _interval(np.asarray(self.resampled, float))

    def difference_to(self, other: "Scored") -> tuple[float, Interval | None]:
        """This score less another one's, and its 95% interval, paired by the set of images."""
        sets = min(len(self.resampled), len(other.resampled))
        first, second = (np.asarray(each.resampled[:sets], float) for each in (self, other))
        return self.score - other.score, _interval(first - second)


def _interval(values: np.ndarray) -> Interval | None:
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    low, high = np.quantile(known, (0.025, 0.975))
    return float(low), float(high)
