"""Crops show their boxes, classes are balanced, and no image is in both parts."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from detnas.data.checks import folder_split
from detnas.data.crop_squares import background_square, cut, square_around
from detnas.data.crops import write_crops
from detnas.errors import UserError

COLOURS = {"red car": (0, 0, 255), "green": (0, 255, 0), "blue/sky": (255, 0, 0)}
GREY = 90


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """40 grey images with squares of their class's colour: many red, some green, few blue."""
    rng = np.random.default_rng(0)
    names = list(COLOURS)
    images, boxes = [], []
    (tmp_path / "images").mkdir()
    for number in range(40):
        pixels = np.full((120, 160, 3), GREY, np.uint8)
        shown = [0] * 8 + [1] * (number % 3 == 0) + [2] * (number in (1, 2))
        for place, category in enumerate(shown):
            side = int(rng.integers(10, 26))
            x, y = 5 + 30 * (place % 5), 5 + 40 * (place // 5)
            pixels[y : y + side, x : x + side] = COLOURS[names[category]]
            keys = {"area": side**2, "iscrowd": 0, "bbox": [x, y, side, side]}
            key = len(boxes) + 1
            boxes.append({"id": key, "image_id": number, "category_id": category, **keys})
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), pixels)
        sizes = {"width": 160, "height": 120}
        images.append({"id": number, "file_name": f"{number}.png", **sizes})
    boxes[0]["iscrowd"] = 1
    categories = [{"id": i, "name": name} for i, name in enumerate([*names, "unused"])]
    content = {"images": images, "annotations": boxes, "categories": categories}
    (tmp_path / "all.json").write_text(json.dumps(content))
    return tmp_path


def test_each_class_folder_has_crops_of_its_class(data: Path) -> None:
    report = write_crops(data / "all.json", data / "images", data / "crops", side=32)
    assert report.classes == ("000_red_car", "001_green", "002_blue_sky", "003_background")
    assert any("unused" in note for note in report.notes)
    for part, counts in (("train", report.train), ("val", report.val)):
        found = folder_split(part, data / "crops" / part).images
        assert len(found) == sum(counts)
        assert all(counts)
        for path in found:
            crop = cv2.imread(str(path))
            assert crop is not None
            assert crop.shape == (32, 32, 3)
            middle = crop[12:20, 12:20].mean((0, 1))
            place = report.classes.index(path.parent.name)
            colours = [*COLOURS.values(), (GREY, GREY, GREY)]
            if place < 3:
                assert np.abs(middle - colours[place]).max() < 40
            else:
                assert np.ptp(crop.reshape(-1, 3), axis=0).mean() < 200
    images = {
        part: {path.name.split("_")[0] for path in (data / "crops" / part).rglob("*.jpg")}
        for part in ("train", "val")
    }
    assert not images["train"] & images["val"]
    red, green, blue, _ = np.add(report.train, report.val)
    assert (green, blue) == (14, 2)
    assert red <= 5 * 14


def test_the_same_seed_gives_the_same_crops(data: Path) -> None:
    found = []
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        write_crops(data / "all.json", data / "images", data / name, most=60, seed=seed)
        paths = sorted((data / name).rglob("*.jpg"))
        assert len(paths) <= 60
        found.append({str(path.relative_to(data / name)): path.read_bytes() for path in paths})
    assert found[0] == found[1] != found[2]


def test_nothing_stays_after_an_error(data: Path) -> None:
    (data / "images" / "5.png").write_text("no image")
    with pytest.raises(UserError, match=r"5\.png cannot be read"):
        write_crops(data / "all.json", data / "images", data / "crops")
    assert sorted(path.name for path in data.iterdir()) == ["all.json", "images"]
    (data / "crops").mkdir()
    (data / "crops" / "mine.txt").touch()
    with pytest.raises(UserError, match="not an empty folder"):
        write_crops(data / "all.json", data / "images", data / "crops")


def test_squares_lie_inside_or_repeat_the_border() -> None:
    size = np.array([100, 50])
    assert square_around(np.array([0.0, 0, 20, 10]), size) == (0, 0, 25)
    assert square_around(np.array([90.0, 20, 10, 8]), size) == (88, 18, 12)
    square = square_around(np.array([0.0, 0, 80, 50]), size)
    assert square == (0, -25, 100)
    pixels = np.zeros((50, 100, 3), np.uint8)
    pixels[0], pixels[-1] = 50, 200
    crop = cut(pixels, square, 100)
    assert (crop[:26] == 50).all()
    assert (crop[74:] == 200).all()
    assert (crop[27:74] == 0).all()


def test_background_shows_no_box() -> None:
    rng = np.random.default_rng(0)
    boxes, size = np.array([[40.0, 40, 20, 20]]), np.array([100, 100])
    squares = [background_square(boxes, size, 30, rng) for _ in range(200)]
    found = [square for square in squares if square]
    assert 50 < len(found) < 200
    for left, top, side in found:
        width = max(0, min(left + side, 60) - max(left, 40))
        shared = width * max(0, min(top + side, 60) - max(top, 40))
        assert shared <= 0.1 * (400 + 900 - shared)
