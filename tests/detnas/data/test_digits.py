"""The demo data: disjoint source digits, reproducible bytes, valid COCO annotations."""

import contextlib
import io
import json
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO

from detnas.data.backgrounds import LUMA, PATTERNS, colour_of, draw_background
from detnas.data.checks import check_disjoint, folder_split
from detnas.data.coco import coco_split
from detnas.data.digits import (
    BENCHMARK_HEIGHTS,
    DIGITS,
    DigitCounts,
    source_splits,
    write_digits,
)
from detnas.data.scenes import (
    MAX_COVER,
    MAX_HEIGHT,
    MAX_TURN,
    MIN_HEIGHT,
    SCENE_HEIGHTS,
    SCENE_SIZE,
    draw_glyph,
    draw_scene,
    ink_level,
    lay_ink,
)

COUNTS = DigitCounts(train_crops=40, val_crops=20, train_scenes=12, search_scenes=5, val_scenes=6)
ALL = ("train", "search", "val", "trainsearch")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "digits"
    write_digits(path, seed=3, counts=COUNTS)
    return path


def load(root: Path, split: str) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(root / "detection" / "annotations" / f"instances_{split}.json"))


def shape(path: Path) -> tuple[int, ...]:
    return np.asarray(Image.open(path)).shape


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


@given(seed=st.integers(0, 2**32))
@settings(max_examples=5, deadline=None)
def test_source_splits_are_disjoint_with_the_configured_shares(seed: int) -> None:
    parts = source_splits(seed)
    for one, other in combinations(parts.values(), 2):
        assert not set(one.indices) & set(other.indices)
    assert sum(len(part.indices) for part in parts.values()) == 1797
    assert len(parts["train"].indices) / 1797 == pytest.approx(0.7, abs=0.01)
    for part in parts.values():
        shares = np.bincount(part.values) / len(part.values)
        np.testing.assert_allclose(shares, 0.1, atol=0.01)


def test_no_source_image_occurs_in_two_splits() -> None:
    parts = source_splits(0)
    seen = [{image.tobytes() for image in part.images} for part in parts.values()]
    assert all(not one & other for one, other in combinations(seen, 2))


def test_same_seed_gives_the_same_bytes(root: Path, tmp_path: Path) -> None:
    write_digits(tmp_path / "again", seed=3, counts=COUNTS)
    write_digits(tmp_path / "other", seed=4, counts=COUNTS)
    assert contents(tmp_path / "again") == contents(root)
    assert contents(tmp_path / "other").keys() == contents(root).keys()
    assert contents(tmp_path / "other") != contents(root)


def test_a_picture_does_not_depend_on_the_counts(root: Path, tmp_path: Path) -> None:
    more = DigitCounts(**{**vars(COUNTS), "train_crops": 60, "train_scenes": 15})
    write_digits(tmp_path / "more", seed=3, counts=more)
    here, there = contents(root), contents(tmp_path / "more")
    pictures = [name for name in here if not name.endswith(".json")]
    assert all(here[name] == there[name] for name in pictures)


def test_complete_data_stay_and_other_data_are_refused(root: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    write_digits(root, seed=3, counts=COUNTS)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    with pytest.raises(ValueError, match="another seed"):
        write_digits(root, seed=4, counts=COUNTS)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="not an empty folder"):
        write_digits(tmp_path, counts=COUNTS)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr("detnas.data.digits._write_detection", fail)
    with pytest.raises(RuntimeError, match="disk full"):
        write_digits(tmp_path / "digits", counts=COUNTS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["train_crops", "search_scenes"])
def test_counts_too_small_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"{name} is 0; it must be at least"):
        write_digits(tmp_path / "digits", counts=DigitCounts(**{name: 0}))


def test_other_heights_are_other_data(root: Path, tmp_path: Path) -> None:
    write_digits(tmp_path / "default", seed=3, counts=COUNTS, heights=SCENE_HEIGHTS)
    assert contents(tmp_path / "default") == contents(root)
    assert "heights" not in json.loads((root / "manifest.json").read_text())
    other = tmp_path / "other"
    for _ in range(2):  # the second time it is there
        write_digits(other, seed=3, counts=COUNTS, heights=BENCHMARK_HEIGHTS)
    assert json.loads((other / "manifest.json").read_text())["heights"] == list(BENCHMARK_HEIGHTS)
    here, there = contents(root), contents(other)
    assert {name for name in here if here[name] == there[name]} == {
        name for name in here if name.startswith("classification/")
    }
    with pytest.raises(ValueError, match="other heights"):
        write_digits(root, seed=3, counts=COUNTS, heights=BENCHMARK_HEIGHTS)


@pytest.mark.parametrize(
    ("heights", "message"),
    [
        ((3.0, 64.0), "the smallest height is 3; it must be 4 to 16, so that all digits fit"),
        ((17.0, 64.0), "the smallest height is 17; it must be 4 to 16"),
        ((float("nan"), 64.0), "the smallest height is nan"),
        ((8.0, 101.0), "the largest height is 101; it must be 8 to 100"),
        ((16.0, 8.0), "the largest height is 8; it must be 16 to 100"),
    ],
)
def test_heights_out_of_range_are_refused(
    heights: tuple[float, float], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        write_digits(tmp_path / "digits", counts=COUNTS, heights=heights)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("turn", [-MAX_TURN, 0.0, MAX_TURN])
def test_ink_of_every_height_is_in_its_glyph(turn: float) -> None:
    for digit in source_splits(0)["val"].images:
        for height in (MIN_HEIGHT, 6.0, SCENE_HEIGHTS[0], MAX_HEIGHT):
            glyph = draw_glyph(digit, height, turn)
            ink = glyph > ink_level(glyph)
            assert ink.any(axis=0)[[0, -1]].all()
            assert ink.any(axis=1)[[0, -1]].all()
            assert max(glyph.shape) < SCENE_SIZE
            # Strokes of the demo's digits fill pixels.
            assert ink_level(glyph) == 0.5 or height < SCENE_HEIGHTS[0]


@given(seed=st.integers(0, 2**32))
@settings(max_examples=10, deadline=None)
def test_heights_of_a_scene_are_within_their_bounds(seed: int) -> None:
    part = source_splits(0)["train"]
    for heights in ((MIN_HEIGHT, 6.0), BENCHMARK_HEIGHTS, (SCENE_HEIGHTS[0], MAX_HEIGHT)):
        scene = draw_scene(np.random.default_rng(seed), part.images, part.values, heights)
        for digit in scene.digits:
            # Rotation changes the height, and another digit may hide some of it.
            assert 0.7 * heights[0] - 2 <= digit.box[3] <= 1.3 * heights[1] + 2


def test_crops_are_in_one_folder_per_digit(root: Path) -> None:
    for split, number in (("train", 40), ("val", 20)):
        crops = folder_split(split, root / "classification" / split).images
        assert Counter(crop.parent.name for crop in crops) == dict.fromkeys(DIGITS, number // 10)
        assert all(shape(crop) == (48, 48, 3) for crop in crops)


@pytest.mark.parametrize("split", ALL)
def test_annotations_match_masks_and_pictures(root: Path, split: str) -> None:
    coco = load(root, split)
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == list(DIGITS)
    for image in coco.loadImgs(coco.getImgIds()):
        picture = root / "detection" / "images" / image["file_name"]
        assert shape(picture) == (image["height"], image["width"], 3) == (160, 160, 3)
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        assert 3 <= len(annotations) <= 8
        masks = [coco.annToMask(annotation) for annotation in annotations]
        assert np.sum(masks, axis=0).max() == 1
        for annotation, mask in zip(annotations, masks, strict=True):
            rows, columns = np.nonzero(mask)
            box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
            assert annotation["bbox"] == box
            assert annotation["area"] == mask.sum()
            assert annotation["iscrowd"] == 0


def test_splits_are_disjoint_and_trainsearch_joins_two(root: Path) -> None:
    detection = root / "detection"
    train, search, val, both = (
        coco_split(name, detection / "annotations" / f"instances_{name}.json", detection / "images")
        for name in ALL
    )
    check_disjoint([train, search, val])
    check_disjoint([both, val])
    assert both.images == train.images + search.images
    joined = json.loads((detection / "annotations" / "instances_trainsearch.json").read_text())
    ids = [annotation["id"] for annotation in joined["annotations"]]
    assert ids == list(range(1, len(ids) + 1))


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_digits_of_a_scene_hardly_overlap(seed: int) -> None:
    digits = np.zeros((20, 8, 8), dtype=np.float32)
    digits[:, 1:7, 2:6] = 16
    scene = draw_scene(np.random.default_rng(seed), digits, np.arange(20) % 10)
    assert 3 <= len(scene.digits) <= 8
    for one, other in combinations([digit.box for digit in scene.digits], 2):
        width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
        height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
        least = min(one[2] * one[3], other[2] * other[3])
        assert max(width, 0) * max(height, 0) <= (MAX_COVER + 0.02) * least


@given(seed=st.integers(0, 2**32), luminance=st.floats(0, 1))
def test_colours_have_the_requested_luminance(seed: int, luminance: float) -> None:
    colour = colour_of(np.random.default_rng(seed), luminance)
    assert colour @ LUMA == pytest.approx(luminance, abs=1e-5)
    assert colour.min() >= -1e-5
    assert colour.max() <= 1 + 1e-5


@given(seed=st.integers(0, 2**32))
@settings(max_examples=8 * len(PATTERNS), deadline=None)
def test_ink_contrasts_with_its_background(seed: int) -> None:
    rng = np.random.default_rng(seed)
    background = draw_background(rng, SCENE_SIZE)
    inked = background.copy()
    lay_ink(rng, inked, np.ones((20, 12), dtype=np.float32), 30, 40)
    contrast = (inked - background)[40:60, 30:42] @ LUMA
    assert abs(contrast.mean()) >= 0.41
