"""Splits keep groups together, have every class where they can, and are a function of the seed."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detnas.data.split import draw_by_class
from detnas.data.split.groups import draw_by_class_and_group, split_for_experiment
from detnas.errors import UserError


def write(path: Path, classes: list[list[str]]) -> Path:
    """A COCO file with images that show the given classes, a box of each."""
    names = sorted({name for each in classes for name in each})
    boxes = [(image, names.index(name)) for image, each in enumerate(classes) for name in each]
    keys = {"bbox": [0, 0, 5, 5], "area": 25, "iscrowd": 0}
    content = {
        "images": [
            {"id": i, "file_name": f"{i}.jpg", "width": 9, "height": 9} for i in range(len(classes))
        ],
        "annotations": [
            {"id": i, "image_id": image, "category_id": category, **keys}
            for i, (image, category) in enumerate(boxes, 1)
        ],
        "categories": [{"id": i, "name": name} for i, name in enumerate(names)],
    }
    path.write_text(json.dumps(content))
    return path


def ids(path: Path) -> set[int]:
    return {each["id"] for each in json.loads(path.read_text())["images"]}


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=20, max_size=60),
    share=st.floats(0.1, 0.5),
    seed=st.integers(0, 99),
)
def test_groups_stay_whole_and_the_draw_is_about_as_large(
    sizes: list[int], share: float, seed: int
) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    shuffled = np.random.default_rng(seed).permutation(groups)
    classes = shuffled % 3
    take = max(1, round(share * len(groups)))
    chosen = draw_by_class_and_group(classes, shuffled, take, seed)
    assert not set(shuffled[chosen]) & set(shuffled[~chosen])
    assert abs(int(chosen.sum()) - take) <= 3
    again = draw_by_class_and_group(classes, shuffled, take, seed)
    assert (chosen == again).all()
    for name in range(3):
        drawn = int(chosen[classes == name].sum())
        assert abs(drawn - take * (classes == name).mean()) <= 7


def test_single_images_are_drawn_as_without_groups() -> None:
    classes = np.arange(50) % 4
    grouped = draw_by_class_and_group(classes, np.arange(50), 10, 3)
    assert (grouped == draw_by_class(classes, 10, 3)).all()


def test_a_group_of_more_than_half_is_refused() -> None:
    groups = np.array([0] * 6 + list(range(1, 5)))
    with pytest.raises(UserError, match="6 of the 10 images show nearly the same"):
        draw_by_class_and_group(np.zeros(10, np.int64), groups, 2, 0)


@pytest.mark.parametrize("val", [None, 0.2])
def test_the_files_share_no_group_and_each_has_every_class(
    tmp_path: Path, val: float | None
) -> None:
    """Of 60 images in pairs, three groups show an owl, and another class is common."""
    owls = (4, 20, 40)
    classes = [["cat", "owl"] if image // 2 * 2 in owls else ["cat"] for image in range(60)]
    ann_file = write(tmp_path / "all.json", classes)
    groups = np.arange(60) // 2
    for seed in range(5):
        output = tmp_path / f"seed{seed}"
        made = split_for_experiment(ann_file, output, 0.2, val, seed, groups)
        parts = {part: ids(path) for part, path in made.files.items()}
        assert parts["train"] | parts["search"] == parts["trainsearch"]
        disjoint = [parts[part] for part in ("train", "search", "val") if part in parts]
        assert sum(map(len, disjoint)) == 60
        numbers = [{image // 2 for image in part} for part in disjoint]
        assert len(set.union(*numbers)) == sum(map(len, numbers))
        assert all(counts["owl"] >= 1 for counts in made.boxes.values())
        assert made.images == {part: len(found) for part, found in parts.items()}
        assert any("search split has fewer than 5 boxes of owl (2)" in w for w in made.warnings)
        assert not any("cat" in warning for warning in made.warnings)


def test_a_class_of_one_group_is_in_train(tmp_path: Path) -> None:
    classes = [["cat"] for _ in range(30)]
    classes[7].append("owl")
    ann_file = write(tmp_path / "all.json", classes)
    for seed in range(8):
        made = split_for_experiment(ann_file, tmp_path / f"{seed}", 0.3, 0.3, seed, np.arange(30))
        assert [made.boxes[part]["owl"] for part in ("train", "search", "val")] == [1, 0, 0]


def test_nothing_is_written_after_an_error(tmp_path: Path) -> None:
    ann_file = write(tmp_path / "all.json", [["cat"]] * 10)
    output = tmp_path / "out"
    with pytest.raises(UserError, match="below 1 in sum"):
        split_for_experiment(ann_file, output, 0.6, 0.5, 0, np.arange(10))
    with pytest.raises(UserError, match="in a file of their own"):
        split_for_experiment(ann_file, output, 0.2, 0.2, 0, np.zeros(10, np.int64))
    assert not output.exists()
    split_for_experiment(ann_file, output, 0.2, 0.2, 0, np.arange(10))
    with pytest.raises(UserError, match="exists"):
        split_for_experiment(ann_file, output, 0.2, 0.2, 0, np.arange(10))
