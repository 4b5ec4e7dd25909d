"""Pictures with boxes: the grid, the threshold, and invalid samples."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from detnas.report.detections import CLASS_COLOURS, DetectionSample, draw_detections, draw_image

CLASSES = [f"class {i}" for i in range(20)]
BOXES = np.array([[10.0, 20.0, 50.0, 60.0], [60.0, 0.0, 99.0, 30.0]])


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.png"
    Image.new("RGB", (100, 80), (90, 90, 90)).save(path)
    return path


def sample(image: Path, **changed: Any) -> DetectionSample:
    values = {"boxes": BOXES, "labels": np.array([0, 13]), "scores": np.array([0.9, 0.4])}
    return DetectionSample(image, **{**values, **changed})


def has_colour(path: Path, colour: str) -> bool:
    pixels = np.asarray(Image.open(path).convert("RGB"))
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((pixels == wanted).all(axis=2).sum()) > 100


def test_predictions_below_the_threshold_are_omitted(image: Path, tmp_path: Path) -> None:
    both, one, none = (tmp_path / f"{name}.png" for name in ("both", "one", "none"))
    for path, threshold in ((both, 0.3), (one, 0.5), (none, 0.95)):
        draw_detections([sample(image)], path, CLASSES, threshold)
    first, second = CLASS_COLOURS[0], CLASS_COLOURS[1]  # 13 shares the colour of 1
    assert [has_colour(path, first) for path in (both, one, none)] == [True, True, False]
    assert [has_colour(path, second) for path in (both, one, none)] == [True, False, False]


@pytest.mark.parametrize("size", [(100, 80), (333, 77), (1001, 999)])
def test_one_image_is_drawn_in_its_own_pixels(size: tuple[int, int], tmp_path: Path) -> None:
    path, drawn = tmp_path / "image.png", tmp_path / "drawn.png"
    Image.new("RGB", size, (90, 90, 90)).save(path)
    draw_image(sample(path), drawn, CLASSES, 0.5)
    assert Image.open(drawn).size == size
    assert has_colour(drawn, CLASS_COLOURS[0])
    assert not has_colour(drawn, CLASS_COLOURS[1])
    edge = np.asarray(Image.open(drawn).convert("RGB"))[[0, -1]][:, [0, -1]]
    assert (edge == 90).all()


def test_truth_is_drawn_beneath_predictions(image: Path, tmp_path: Path) -> None:
    nothing = {"boxes": np.zeros((0, 4)), "labels": np.zeros(0, int), "scores": np.zeros(0)}
    plain, truth = tmp_path / "plain.png", tmp_path / "truth.png"
    draw_detections([sample(image, **nothing)], plain, CLASSES)
    truths = {"truth_boxes": BOXES, "truth_labels": np.array([2, 3])}
    draw_detections([sample(image, **nothing, **truths)], truth, CLASSES)
    draw_detections([sample(image, truth_boxes=BOXES)], tmp_path / "white.png", CLASSES)
    a, b = (np.asarray(Image.open(path).convert("L"), float) for path in (plain, truth))
    assert np.abs(a - b).sum() > 10_000


def test_grid_grows_by_rows(image: Path, tmp_path: Path) -> None:
    sizes = []
    for count in (1, 4, 5):
        path = tmp_path / f"{count}.png"
        draw_detections([sample(image)] * count, path, CLASSES)
        sizes.append(Image.open(path).size)
    assert sizes[0][0] < sizes[1][0] == sizes[2][0]
    assert sizes[0][1] == sizes[1][1] < sizes[2][1]


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    path, drawn = tmp_path / "turned.jpg", tmp_path / "drawn.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # stored in landscape, shown in portrait
    Image.new("RGB", (90, 60), (200, 0, 0)).save(path, exif=exif)
    upright = sample(path, boxes=np.array([[5.0, 70.0, 55.0, 88.0]] * 2))
    draw_detections([upright], drawn, CLASSES)
    width, height = Image.open(drawn).size
    assert height > 1.4 * width


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"boxes": np.zeros((3, 4))}, r"boxes must be \(2, 4\), not \(3, 4\)"),
        ({"labels": np.zeros(1, int)}, "labels must be"),
        ({"truth_boxes": np.zeros((2, 3))}, "truth_boxes must be"),
        ({"truth_labels": np.zeros(2, int)}, "truth_labels need truth_boxes"),
    ],
)
def test_unfitting_shapes_are_refused(changed: dict[str, Any], message: str, image: Path) -> None:
    with pytest.raises(ValueError, match=message):
        sample(image, **changed)


def test_invalid_samples_are_refused(image: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    (tmp_path / "text.png").write_text("no image")
    refused = [
        ([], 4, "no samples"),
        ([sample(image)], 0, "columns must be at least 1"),
        ([sample(image, labels=np.array([0, 20]))], 4, "label 20 has no class"),
        ([sample(tmp_path / "absent.png")], 4, "absent.png: no such image"),
        ([sample(tmp_path / "text.png")], 4, "text.png: not a readable image"),
    ]
    for samples, columns, message in refused:
        with pytest.raises(ValueError, match=message):
            draw_detections(samples, out, CLASSES, columns=columns)
    assert not out.exists()
