"""How near an ONNX file in ONNX Runtime is to the torch module that it was exported from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

SHARE = 0.98
"""Of the boxes that must agree: rounding may decide which of two equal boxes NMS keeps."""


@dataclass(frozen=True)
class Agreement:
    """Of outputs in ONNX Runtime with those of torch.

    Attributes:
        largest: the largest difference: of feature maps relative to the largest number of the map;
            of the boxes that agree relative to the image's longer side, or of their scores.
        tolerance: what it may be.
        agreeing, boxes: how many boxes of torch's have one within the tolerance in the file's
            output, and how many there are; None for feature maps.
    """

    largest: float
    tolerance: float
    agreeing: int | None = None
    boxes: int | None = None

    @property
    def holds(self) -> bool:
        """Whether maps are within the tolerance, or at least `SHARE` of the boxes."""
        if self.boxes is None or self.agreeing is None:
            return self.largest <= self.tolerance
        return self.agreeing >= SHARE * self.boxes

    def __str__(self) -> str:
        what = f"differs by at most {self.largest:.1e}, tolerance {self.tolerance:.0e}"
        if self.boxes is None:
            return what
        return f"{self.agreeing} of {self.boxes} boxes agree; {what}"


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
    for expected, got in _outputs(module, session, inputs):
        for wanted, found in zip(expected, got, strict=True):
            gap = np.abs(wanted - found).max() / max(np.abs(wanted).max(), 1e-6)
            largest = max(largest, float(gap) if np.isfinite(gap) else float("inf"))
    return Agreement(largest, tolerance)


def compare_boxes(
    module: nn.Module, session: Any, inputs: Sequence[tuple[Tensor, ...]], tolerance: float
) -> Agreement:
    """Compare boxes, scores and labels; the order of equal scores does not matter.

    Arguments are those of `compare_maps`.
    """
    gaps: list[float] = []
    for number, (expected, got) in enumerate(_outputs(module, session, inputs)):
        side = max(inputs[number][0].shape[2:])
        for one, other in zip(_images(expected), _images(got), strict=True):
            gaps.extend(_gaps(one, other, side))
    agreeing = [gap for gap in gaps if gap <= tolerance]
    return Agreement(max(agreeing, default=0.0), tolerance, len(agreeing), len(gaps))


def _outputs(
    module: nn.Module, session: Any, inputs: Sequence[tuple[Tensor, ...]]
) -> Iterator[tuple[list[np.ndarray], list[np.ndarray]]]:
    names = [each.name for each in session.get_inputs()]
    for arguments in inputs:
        with torch.no_grad():
            expected = [each.double().numpy() for each in module(*arguments)]
        given = {n: a.numpy() for n, a in zip(names, arguments, strict=True)}
        yield expected, [each.astype(np.float64) for each in session.run(None, given)]


def _images(outputs: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, ...]]:
    """Boxes, scores and labels of each image, without what fills them up."""
    for boxes, scores, labels in zip(*outputs, strict=True):
        yield boxes[scores > 0], scores[scores > 0], labels[scores > 0]


def _gaps(
    expected: tuple[np.ndarray, ...], got: tuple[np.ndarray, ...], side: int
) -> Iterator[float]:
    """The difference of each expected box from the nearest one of its class."""
    boxes, scores, labels = got
    for box, score, label in zip(*expected, strict=True):
        same = labels == label
        apart = np.abs(boxes[same] - box).max(1) / side
        yield float(np.maximum(apart, np.abs(scores[same] - score)).min(initial=np.inf))
