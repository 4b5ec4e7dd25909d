"""Draws predicted boxes and, dashed, the ground truth: a grid of images, or one image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from PIL import Image, ImageOps

from detnas.errors import UserError
from detnas.report.style import DPI, LIGHT, save_figure, themed

# Twelve colours that are easy to distinguish on photographs; further classes reuse them.
CLASS_COLOURS = (
    *("#ffb000", "#56b4e9", "#ff6f91", "#3ddc97", "#c792ea", "#f95d2e"),
    *("#00c2c7", "#e8e337", "#9aa9ff", "#8bc34a", "#ff9ff3", "#d7a86e"),
)
_CELL = 2.9  # inches
_GAP = 0.12
_FOOT = 0.42
_INK = "#101418"
_SMALLEST = 0.7  # of the text in a cell of the grid; smaller text cannot be read


@dataclass(frozen=True, eq=False)
class DetectionSample:
    """The detections on an image.

    Attributes:
        image: path of the image; it is rotated by its EXIF orientation, as data pipelines do.
        boxes: (n, 4) as x1, y1, x2, y2 in pixels of the image.
        labels: (n,) integers, indices into the classes.
        scores: (n,) from 0 to 1.
        truth_boxes: (m, 4), like `boxes`; None draws none.
        truth_labels: (m,), for the colours of the dashed boxes; None draws them white.

    Raises:
        UserError: the shapes of the arrays do not fit together.
    """

    image: Path
    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    truth_boxes: np.ndarray | None = None
    truth_labels: np.ndarray | None = None

    def __post_init__(self) -> None:
        self._check("boxes", self.boxes, (len(self.scores), 4))
        self._check("labels", self.labels, (len(self.scores),))
        self._check("scores", self.scores, (len(self.scores),))
        if self.truth_boxes is not None:
            self._check("truth_boxes", self.truth_boxes, (len(self.truth_boxes), 4))
        if self.truth_labels is not None:
            if self.truth_boxes is None:
                raise UserError(f"{self.image}: truth_labels need truth_boxes; add them")
            self._check("truth_labels", self.truth_labels, (len(self.truth_boxes),))

    def _check(self, name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
        if np.shape(array) != shape and not (np.size(array) == 0 and shape[0] == 0):
            raise UserError(f"{self.image}: {name} must be {shape}, not {np.shape(array)}")


def draw_detections(
    samples: Sequence[DetectionSample],
    path: Path,
    classes: Sequence[str],
    score_threshold: float = 0.3,
    columns: int = 4,
) -> None:
    """Draw samples in a grid to a PNG or SVG file, with boxes in ascending order of score.

    Args:
        classes: the names of the labels.
        score_threshold: predictions with lower scores are omitted.
        columns: maximum number of images per row.

    Raises:
        UserError: there are no samples, a label has no class, an image is missing or unreadable,
            or the path has another suffix.
    """
    if not samples:
        raise UserError("there are no samples to draw")
    if columns < 1:
        raise UserError(f"columns must be at least 1, not {columns}")
    for sample in samples:
        _check_labels(sample, classes)
    pictures = [_read_image(sample.image) for sample in samples]
    columns = min(columns, len(samples))
    rows = math.ceil(len(samples) / columns)
    # All cells have the aspect ratio of the tallest picture, up to a limit.
    tallest = max(picture.shape[0] / picture.shape[1] for picture in pictures)
    cell_height = _CELL * min(tallest, 1.5)
    width = columns * (_CELL + _GAP) + _GAP
    height = rows * (cell_height + _GAP) + _GAP + _FOOT
    with themed(LIGHT):
        figure = Figure(figsize=(width, height))
        for place, (sample, picture) in enumerate(zip(samples, pictures, strict=True)):
            row, column = divmod(place, columns)
            left = _GAP + column * (_CELL + _GAP)
            bottom = _FOOT + (rows - 1 - row) * (cell_height + _GAP) + _GAP
            where = (left / width, bottom / height, _CELL / width, cell_height / height)
            axes = figure.add_axes(where)
            _draw_sample(axes, sample, picture, classes, score_threshold)
        figure.text(
            _GAP / width,
            _FOOT / 2 / height,
            _caption(samples, score_threshold),
            size=9,
            color=LIGHT.muted,
            va="center",
        )
        save_figure(figure, path)


def draw_image(
    sample: DetectionSample, path: Path, classes: Sequence[str], score_threshold: float = 0.3
) -> None:
    """Draw one image with its boxes, in the image's own pixels and nothing around it.

    Lines and text grow with the image.

    Args:
        sample: the image and its boxes.
        path: the PNG or SVG to write.
        classes: their names.
        score_threshold: boxes with a lower score are left out.
    Raises:
        UserError: an image that cannot be read, or a label without a class.
    """
    _check_labels(sample, classes)
    picture = _read_image(sample.image)
    height, width = picture.shape[:2]
    with themed(LIGHT):
        figure = Figure(figsize=(_inches(width), _inches(height)))
        axes = figure.add_axes((0, 0, 1, 1))
        scale = max(_SMALLEST, max(height, width) / (2 * _CELL * DPI))
        _draw_sample(axes, sample, picture, classes, score_threshold, scale)
        save_figure(figure, path)


def _inches(pixels: int) -> float:
    """So that the saved picture has exactly so many pixels; matplotlib rounds down."""
    return (pixels + 0.01) / DPI


def _caption(samples: Sequence[DetectionSample], score_threshold: float) -> str:
    caption = f"solid: predicted, with a score of at least {score_threshold:g}"
    if any(sample.truth_boxes is not None for sample in samples):
        caption += "   ·   dashed: ground truth"
    return caption


def _check_labels(sample: DetectionSample, classes: Sequence[str]) -> None:
    for labels in (sample.labels, sample.truth_labels):
        for label in () if labels is None else np.unique(labels):
            if not 0 <= label < len(classes):
                raise UserError(
                    f"{sample.image}: label {label} has no class; there are {len(classes)} classes"
                )


def _read_image(path: Path) -> np.ndarray:
    """The image as uint8 (height, width, 3)."""
    try:
        with Image.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such image") from None
    except OSError as error:
        raise UserError(f"{path}: not a readable image ({error})") from None


def _draw_sample(
    axes: Axes,
    sample: DetectionSample,
    picture: np.ndarray,
    classes: Sequence[str],
    score_threshold: float,
    scale: float = 1.0,
) -> None:
    axes.imshow(picture, interpolation="bicubic", aspect="equal")
    axes.set_axis_off()
    halo = withStroke(linewidth=2.6 * scale, foreground=_INK, alpha=0.6)
    if sample.truth_boxes is not None:
        labels = sample.truth_labels
        for place, box in enumerate(sample.truth_boxes):
            colour = "white" if labels is None else _colour(labels[place])
            _outline(
                axes, box, colour, linewidth=1.1 * scale, linestyle=(0, (3, 2)), path_effects=[halo]
            )
    for place in np.argsort(sample.scores, kind="stable"):
        score, box = float(sample.scores[place]), sample.boxes[place]
        if score < score_threshold:
            continue
        colour = _colour(sample.labels[place])
        _outline(axes, box, colour, linewidth=1.8 * scale)
        label = f"{classes[int(sample.labels[place])]} {score:.2f}"
        _label_box(axes, box, label, colour, picture.shape[:2], scale)


def _label_box(
    axes: Axes, box: np.ndarray, label: str, colour: str, size: tuple[int, ...], scale: float
) -> None:
    """Label a box above its left corner; inside it at the top, right-aligned at the right."""
    left, top, right, _ = (float(side) for side in box)
    height, width = size
    inside, flush = top < 0.07 * height, left > 0.7 * width
    across, up = (-1.5 if flush else 1.5), (-2.5 if inside else 1.5)
    axes.annotate(
        label,
        (min(right, width) if flush else max(left, 0.0), max(top, 0.0)),
        textcoords="offset points",
        xytext=(across * scale, up * scale),
        ha="right" if flush else "left",
        va="top" if inside else "bottom",
        size=7 * scale,
        color=_INK,
        bbox={"boxstyle": "square,pad=0.18", "facecolor": colour, "edgecolor": "none"},
    )


def _colour(label: int) -> str:
    return CLASS_COLOURS[int(label) % len(CLASS_COLOURS)]


def _outline(axes: Axes, box: np.ndarray, colour: str, **style: Any) -> None:
    left, top, right, bottom = (float(side) for side in box)
    axes.add_patch(
        Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour, **style)
    )
