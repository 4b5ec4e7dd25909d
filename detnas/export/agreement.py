"""How near an ONNX file in ONNX Runtime is to the torch module that it was exported from.

The check of a detector has two parts, and neither depends on how rounding orders nearly equal
scores. What the head gives for every prior is compared number by number. Then torch chooses and
decodes boxes of the maps that ONNX Runtime has computed: the scores are equal to the last bit, so
both must find the same boxes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from detnas.export.whole_models import WatchedDetector

SHARE = 0.98
"""Of the boxes that must agree: rounding may decide whether two boxes overlap enough for NMS."""
Found = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Boxes, scores and labels of an image, without what fills them up."""


@dataclass(frozen=True)
class Agreement:
    """Of outputs in ONNX Runtime with those of torch.

    Attributes:
        largest: the largest difference of feature maps, or of what the head gives: of scores and
            factors, which lie from 0 to 1, and of others relative to the largest number of a map.
        tolerance: what it may be.
        agreeing, boxes: how many boxes of torch's have one of the same class in the file's output
            that differs by at most the tolerance in its score, and in each coordinate relative to
            the image's longer side; and how many there are. Both from the maps of the file. None
            for feature maps.
        same, tied, whole: how many boxes torch finds when it computes all by itself (`whole`), of
            how many the file has the same, and in place of how many others one that torch may as
            well have taken: of the same class and score, and overlapping enough for NMS, or as good
            as the last one that was kept.
    """

    largest: float
    tolerance: float
    agreeing: int | None = None
    boxes: int | None = None
    same: int = 0
    tied: int = 0
    whole: int = 0

    @property
    def holds(self) -> bool:
        """Whether maps are within the tolerance, and at least `SHARE` of the boxes."""
        if not self.largest <= self.tolerance:
            return False
        return self.agreeing is None or self.agreeing >= SHARE * (self.boxes or 0)

    def __str__(self) -> str:
        maps = f"differ by at most {self.largest:.1e}, tolerance {self.tolerance:.0e}"
        if self.boxes is None:
            return f"feature maps {maps}"
        text = f"head outputs {maps}; "
        if not self.boxes:
            return f"{text}it found no box on made-up images, so no box was compared"
        text += f"of these, {self.agreeing} of {self.boxes} boxes agree"
        if self.same == self.whole:
            return text
        tied = f", {self.tied} others are ties" if self.tied else ""
        return f"{text}; from the images on, {self.same} of {self.whole} are the same{tied}"


def compare_maps(
    module: nn.Module, session: Any, inputs: Sequence[tuple[Tensor, ...]], tolerance: float
) -> Agreement:
    """Compare feature maps.

    Args:
        module: what was exported.
        session: of the file.
        inputs: several times the arguments of the module.
        tolerance: for the result.
    """
    largest = 0.0
    for arguments in inputs:
        expected, got = _outputs(module, session, arguments)
        largest = max(largest, _largest(expected, got))
    return Agreement(largest, tolerance)


def compare_boxes(
    detector: WatchedDetector,
    session: Any,
    inputs: Sequence[tuple[Tensor, Tensor]],
    tolerance: float,
) -> Agreement:
    """Compare what the head gives, then boxes, scores and labels.

    Args:
        detector: what was exported.
        session: of the file, with the detector's maps as further outputs.
        inputs: several times images and their sizes.
        tolerance: for the result.
    """
    largest, counts = 0.0, np.zeros(5, int)
    threshold = detector.detector.decoder.iou_threshold
    for images, sizes in inputs:
        side = max(images.shape[2:])
        expected, got = _outputs(detector, session, (images, sizes))
        names = [each.name for each in session.get_outputs()]
        for name, wanted, found in zip(names[3:], expected[3:], got[3:], strict=True):
            scale = 1.0 if "boxes" not in name else None
            largest = max(largest, _largest([wanted], [found], scale))
        with torch.no_grad():
            maps = [torch.from_numpy(each).float() for each in got[3:]]
            chosen = [each.double().numpy() for each in detector.boxes(maps, images, sizes)]
        for one, mine, theirs in zip(
            *(found_boxes(each[:3]) for each in (chosen, expected, got)), strict=True
        ):
            counts[:2] += agreeing_boxes(one, theirs, side, tolerance).sum(), len(one[1])
            same = agreeing_boxes(mine, theirs, side, tolerance)
            tied = _tied(mine, theirs, tolerance, threshold) & ~same
            counts[2:] += same.sum(), tied.sum(), len(same)
    agreeing, boxes, same_, tied_, whole = counts.tolist()
    return Agreement(largest, tolerance, agreeing, boxes, same_, tied_, whole)


def _outputs(
    module: nn.Module, session: Any, arguments: Sequence[Tensor]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Of the module and of the file."""
    names = [each.name for each in session.get_inputs()]
    with torch.no_grad():
        expected = [each.double().numpy() for each in module(*arguments)]
    given = {n: a.numpy() for n, a in zip(names, arguments, strict=True)}
    return expected, [each.astype(np.float64) for each in session.run(None, given)]


def _largest(
    expected: Sequence[np.ndarray], got: Sequence[np.ndarray], scale: float | None = None
) -> float:
    """The largest difference, relative to a scale; None takes the largest number of each map."""
    largest = 0.0
    for wanted, found in zip(expected, got, strict=True):
        gap = np.abs(wanted - found).max() / (scale or max(np.abs(wanted).max(), 1e-6))
        largest = max(largest, float(gap) if np.isfinite(gap) else float("inf"))
    return largest


def found_boxes(outputs: Sequence[np.ndarray]) -> Iterator[Found]:
    """Of each image the boxes that there are."""
    for boxes, scores, labels in zip(*outputs, strict=True):
        yield boxes[scores > 0], scores[scores > 0], labels[scores > 0]


def agreeing_boxes(expected: Found, got: Found, side: int, tolerance: float) -> np.ndarray:
    """Whether each expected box of an image is among the others, (n,); see `Agreement`."""
    apart = np.abs(expected[0][:, None] - got[0]).max(2, initial=0) / side
    return ((apart <= tolerance) & _alike(expected, got, tolerance)).any(1)


def _tied(expected: Found, got: Found, tolerance: float, threshold: float) -> np.ndarray:
    """Whether another choice among equals explains that an expected box is missing."""
    top, bottom = np.maximum(expected[0][:, None], got[0]), np.minimum(expected[0][:, None], got[0])
    both = (bottom[..., 2:] - top[..., :2]).clip(0).prod(2)
    areas = [(each[0][:, 2:] - each[0][:, :2]).prod(1) for each in (expected, got)]
    overlap = both / (areas[0][:, None] + areas[1] - both).clip(1e-9)
    replaced = (overlap > threshold - tolerance) & _alike(expected, got, tolerance)
    last = expected[1] <= expected[1].min(initial=1.0) + tolerance
    return np.asarray(replaced.any(1) | (last & (len(expected[1]) == len(got[1]))))


def _alike(expected: Found, got: Found, tolerance: float) -> np.ndarray:
    """Which pairs have the same class and score."""
    apart = np.abs(expected[1][:, None] - got[1])
    return np.asarray((apart <= tolerance) & (expected[2][:, None] == got[2]))
