"""Where the labels of detections stand on the images of the page."""

from collections.abc import Sequence
from dataclasses import dataclass

from detnas.search.shown_images import ShownImage

LABELLED = 12
"""Detections of an image that have a label: those with the highest scores."""
_LINE = 24  # the width of an image in text heights


@dataclass(frozen=True)
class ShotLabel:
    """A label in pixels of the image: `x` and the baseline `y`, the text height `size`."""

    text: str
    x: float
    y: float
    size: float
    anchor: str
    colour: str


def shot_labels(
    image: ShownImage, classes: Sequence[str], colours: Sequence[str]
) -> list[ShotLabel]:
    """Class and score of the `LABELLED` detections with the highest scores, the highest one last.

    A label stands above its box at the left, inside at the upper edge of the image, and ends with
    its box at the right one.
    """
    size = image.width / _LINE
    labels = []
    order = sorted(range(len(image.boxes)), key=lambda place: image.scores[place])
    for place in order[-LABELLED:]:
        left, top, right, _ = image.boxes[place]
        is_right = left > 0.7 * image.width
        x = min(right, image.width) if is_right else max(left, 0.0)
        y = top - 0.3 * size if top > 1.3 * size else max(top, 0.0) + 1.1 * size
        labels.append(
            ShotLabel(
                f"{classes[image.labels[place]]} {image.scores[place]:.2f}",
                round(x, 1),
                round(y, 1),
                round(size, 1),
                "end" if is_right else "start",
                colours[image.labels[place] % len(colours)],
            )
        )
    return labels
