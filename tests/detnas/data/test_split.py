"""A split has each image once, keeps the records' bytes, and appears complete or not at all."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detnas.cli import main
from detnas.data.boxes import BOX, Counts, count_classes
from detnas.data.coco import read_coco
from detnas.data.split import (
    SplitReport,
    draw,
    draw_by_class,
    rarest_classes,
    split,
    split_table,
)
from detnas.data.split.coco import CocoSource

PARTS = ("search", "train", "trainsearch")
CLASSES = ("dog", "cat", "bird")
CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 3, "name": "cat"}, {"id": 4, "name": "bird"}]


def image(key: object, name: str) -> str:
    # Spaces, a float with a trailing zero and an unknown key, as no encoder would write them.
    return f'{{"file_name":"{name}" , "scale": 1.10, "mine": [1,  2], "id": {json.dumps(key)}}}'


def box(key: object, image_id: object, category: int = 18, crowd: int = 0) -> str:
    return (
        f'{{ "segmentation": [[1.0, 2.50, 3e0]], "id": {json.dumps(key)}, "bbox": [0, 1.50, 2, 3], '
        f'"image_id": {json.dumps(image_id)}, "category_id": {category},"iscrowd": {crowd} }}'
    )


def write(path: Path, images: Sequence[str], boxes: Sequence[str], **changes: object) -> Path:
    head = {"info": {"year": 2017}, "licenses": [{"id": 1}], "categories": CATEGORIES, **changes}
    lists = f'"images": [{", ".join(images)}],\n "annotations": [{" ,".join(boxes)}]'
    path.write_text(json.dumps(head)[:-1] + f", {lists}}}", encoding="utf-8")
    return path


def numbered(path: Path, count: int, first: int = 1, folder: str = "") -> Path:
    """A file of `count` images with two boxes each, the first one a dog's."""
    keys = range(first, first + count)
    images = [image(key, f"{folder}{key:03d}.jpg") for key in keys]
    boxes = [box(10 * key + turn, key, (18, 3)[turn]) for key in keys for turn in (0, 1)]
    return write(path, images, boxes)


def parts_in(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        part: json.loads((folder / f"instances_{part}.json").read_text("utf-8")) for part in PARTS
    }


def names(part: dict[str, Any]) -> list[str]:
    return [record["file_name"] for record in part["images"]]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@st.composite
def id_lists(draw_: st.DrawFn) -> tuple[list[list[int]], list[list[int]], int]:
    """For some files image ids and, for each image, how many boxes; and how many to take."""
    ids = st.lists(st.integers(0, 12), min_size=1, max_size=8, unique=True)
    image_ids = draw_(st.lists(ids, min_size=1, max_size=3).filter(lambda x: sum(map(len, x)) > 1))
    counts = [
        draw_(st.lists(st.integers(0, 2), min_size=len(x), max_size=len(x))) for x in image_ids
    ]
    for count in counts:
        count[0] = 1  # a file without any box is refused
    return image_ids, counts, draw_(st.integers(1, sum(map(len, image_ids)) - 1))


@given(id_lists(), st.integers(0, 3))
def test_parts_hold_each_image_and_box_once(
    tmp_path_factory: pytest.TempPathFactory,
    lists: tuple[list[list[int]], list[list[int]], int],
    seed: int,
) -> None:
    image_ids, counts, take = lists
    folder = tmp_path_factory.mktemp("split")
    files, expected = [], {}
    for number, (ids, boxes) in enumerate(zip(image_ids, counts, strict=True)):
        images = [image(key, f"{number}/{key}.jpg") for key in ids]
        owners = [key for key, count in zip(ids, boxes, strict=True) for _ in range(count)]
        annotations = [
            f'{box(i, key)[:-1]}, "mark": "{number}/{i}"}}' for i, key in enumerate(owners)
        ]
        files.append(write(folder / f"{number}.json", images, annotations))
        expected |= {f"{number}/{i}": f"{number}/{key}.jpg" for i, key in enumerate(owners)}
    report = split(files, take, seed, folder / "out")

    parts = parts_in(folder / "out")
    everything = names(parts["trainsearch"])
    assert everything == [f"{n}/{key}.jpg" for n, ids in enumerate(image_ids) for key in ids]
    assert len(names(parts["search"])) == take
    assert not set(names(parts["search"])) & set(names(parts["train"]))
    for part in ("search", "train"):
        chosen = set(names(parts[part]))
        assert names(parts[part]) == [name for name in everything if name in chosen]
    assert set(names(parts["search"])) | set(names(parts["train"])) == set(everything)

    for content in parts.values():
        by_id = {record["id"]: record["file_name"] for record in content["images"]}
        box_ids = {record["id"] for record in content["annotations"]}
        assert len(by_id) == len(content["images"])
        assert len(box_ids) == len(content["annotations"])
        marks = {record["mark"]: by_id[record["image_id"]] for record in content["annotations"]}
        assert marks == {mark: name for mark, name in expected.items() if name in by_id.values()}
    for key, counted in (("annotations", report.total.boxes), ("images", report.total.images)):
        assert counted == Counts(*(len(parts[part][key]) for part in ("train", "search")))


def test_records_and_heads_keep_their_bytes(tmp_path: Path) -> None:
    images = [image(key, f"é\\u00e9\\/{key}.jpg") for key in ("one", 2, 3.50)]
    boxes = [box(key, owner) for key, owner in enumerate(("one", 2, "one", 3.50))]
    info, licenses = '{"v": 1.0, "a":[ ]}', '[{"id":  1}]'
    path = write(tmp_path / "a.json", images, boxes, info="INFO", licenses="LICENSES")
    text = path.read_text("utf-8").replace('"INFO"', info).replace('"LICENSES"', licenses)
    path.write_text(text, "utf-8")
    split([path], 1, 0, tmp_path / "out")
    for part, count in {"search": 1, "train": 2, "trainsearch": 3}.items():
        written = (tmp_path / "out" / f"instances_{part}.json").read_text("utf-8")
        assert sum(record in written for record in images) == count
        assert f'"info": {info}' in written
        assert f'"licenses": {licenses}' in written
        assert json.loads(written)["categories"] == CATEGORIES
        kept = [record for record in boxes if record in written]
        assert len(kept) == len(json.loads(written)["annotations"])
        assert len(read_coco(tmp_path / "out" / f"instances_{part}.json").file_names) == count


def test_info_and_licenses_are_optional(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    content = json.loads(numbered(path, 3).read_text())
    path.write_text(
        json.dumps(
            {key: content[key] for key in content if key[0] not in "il"}
            | {"images": content["images"]}
        )
    )
    split([path], 1, 0, tmp_path / "out")
    assert set(parts_in(tmp_path / "out")["train"]) == {"images", "annotations", "categories"}


def test_the_draw_depends_on_the_seed_alone(tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.json", 40)
    draws = []
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        split([path], 10, seed, tmp_path / folder)
        draws.append(snapshot(tmp_path / folder))
    assert list(draws[0].values()) == list(draws[1].values())
    chosen = [set(names(parts_in(tmp_path / folder)["search"])) for folder in "ac"]
    assert chosen[0] != chosen[1]


def test_draws_of_two_seeds_have_golden_values() -> None:
    # It must not change: people compare splits by their seed.
    assert np.flatnonzero(draw(20, 5, 0)).tolist() == [2, 4, 7, 14, 15]
    assert np.flatnonzero(draw(20, 5, 1)).tolist() == [7, 9, 11, 12, 17]


def test_a_smaller_draw_is_a_subset_of_a_larger_one() -> None:
    assert not (draw(100, 10, 3) & ~draw(100, 30, 3)).any()


def test_images_are_drawn_equally_often() -> None:
    times = sum(draw(10, 3, seed).astype(int) for seed in range(1000))
    assert times.min() > 240
    assert times.max() < 360


def test_a_draw_by_class_is_in_proportion() -> None:
    classes = np.repeat([-1, 0, 1, 2], [300, 90, 9, 1])
    for seed in range(50):
        chosen = draw_by_class(classes, 40, seed)
        drawn = [int(chosen[classes == each].sum()) for each in (-1, 0, 1, 2)]
        assert sum(drawn) == 40
        assert drawn[0] in (29, 30, 31)
        assert drawn[1] in (9, 10)
        assert drawn[2] in (0, 1)
    assert np.array_equal(draw_by_class(classes, 40, 3), draw_by_class(classes, 40, 3))


def test_a_draw_by_class_draws_images_equally_often() -> None:
    classes = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 3])
    times = sum(draw_by_class(classes, 3, seed).astype(int) for seed in range(1000))
    assert times.min() > 240
    assert times.max() < 360


@given(st.integers(2, 300), st.data())
def test_a_draw_by_class_has_as_many_as_asked(images: int, data: st.DataObject) -> None:
    classes = np.array(data.draw(st.lists(st.integers(-1, 5), min_size=images, max_size=images)))
    take = data.draw(st.integers(1, images - 1))
    assert draw_by_class(classes, take, 0).sum() == take


def test_the_rarest_class_of_an_image_counts() -> None:
    # Class 0 is in three images, class 1 in two, class 2 in one; an ignored box does not count.
    records = [(0, 0, False), (0, 1, False), (1, 0, False), (1, 1, False), (1, 2, False)]
    records += [(2, 0, False), (2, 0, False), (3, 2, True)]
    boxes = np.array(records, dtype=BOX)
    assert rarest_classes(5, boxes).tolist() == [1, 2, 0, -1, -1]
    assert rarest_classes(2, boxes[:0]).tolist() == [-1, -1]


def test_a_share_is_drawn_by_class_unless_uniform_is_asked(tmp_path: Path) -> None:
    keys = range(1, 41)  # four of forty images have a bird
    boxes = [box(key, key, 4 if key <= 4 else 18) for key in keys]
    path = write(tmp_path / "a.json", [image(key, f"{key}.jpg") for key in keys], boxes)
    for seed in range(5):
        command = ["split", str(path), "--seed", str(seed), "-o", str(tmp_path / str(seed))]
        assert main([*command, "--take", "25%"]) == 0
        found = parts_in(tmp_path / str(seed))["search"]
        assert len(found["images"]) == 10
        assert sum(record["category_id"] == 4 for record in found["annotations"]) == 1
    uniform = ["split", str(path), "-o", str(tmp_path / "uniform"), "--draw", "uniform"]
    assert main([*uniform, "--take", "0.25"]) == 0
    chosen = names(parts_in(tmp_path / "uniform")["search"])
    assert chosen == [f"{key}.jpg" for key in 1 + np.flatnonzero(draw(40, 10, 0))]
    for wrong in ("0%", "1.0", "120%"):
        assert main(["split", str(path), "-o", str(tmp_path / "wrong"), "--take", wrong]) == 2


def test_only_colliding_ids_are_renumbered(tmp_path: Path) -> None:
    first = numbered(tmp_path / "a.json", 4)
    apart = numbered(tmp_path / "b.json", 3, first=50)
    again = numbered(tmp_path / "c.json", 3, folder="c/")
    report = split([first, apart, again], 2, 0, tmp_path / "out")
    written = (tmp_path / "out" / "instances_trainsearch.json").read_text()
    for path in (first, apart):
        content = json.loads(path.read_text())
        assert all(image(r["id"], r["file_name"]) in written for r in content["images"])
        assert all(
            box(r["id"], r["image_id"], r["category_id"]) in written for r in content["annotations"]
        )
    whole = json.loads(written)
    assert [record["id"] for record in whole["images"]] == [1, 2, 3, 4, 50, 51, 52, 53, 54, 55]
    assert [r["id"] for r in whole["annotations"]][-6:] == [522, 523, 524, 525, 526, 527]
    assert [r["image_id"] for r in whole["annotations"]][-6:] == [53, 53, 54, 54, 55, 55]
    # What is not an id keeps its bytes.
    assert written.count('"scale":1.10,"mine":[1,  2]') == 3
    assert written.count('"segmentation":[[1.0, 2.50, 3e0]]') == 6
    assert [str(again) in note for note in report.notes] == [True, True]
    assert "renumbered from 53" in report.notes[0]


def test_string_ids_are_renumbered_too(tmp_path: Path) -> None:
    files = [
        write(tmp_path / f"{name}.json", [image("x", f"{name}.jpg")], [box("y", "x")])
        for name in "abc"
    ]
    split(files, 1, 0, tmp_path / "out")
    whole = parts_in(tmp_path / "out")["trainsearch"]
    assert [record["id"] for record in whole["images"]] == ["x", 1, 2]
    assert [record["id"] for record in whole["annotations"]] == ["y", 1, 2]
    assert [record["image_id"] for record in whole["annotations"]] == ["x", 1, 2]


@pytest.mark.parametrize(
    ("prefixes", "expected"),
    [
        ([], ["001.jpg", "002.jpg", "007.jpg", "008.jpg"]),
        (["d/"], ["d/001.jpg", "d/002.jpg", "d/007.jpg", "d/008.jpg"]),
        (['t"é/', ""], ['t"é/001.jpg', 't"é/002.jpg', "007.jpg", "008.jpg"]),
    ],
)
def test_prefixes(tmp_path: Path, prefixes: list[str], expected: list[str]) -> None:
    files = [numbered(tmp_path / "a.json", 2), numbered(tmp_path / "b.json", 2, first=7)]
    split(files, 1, 0, tmp_path / "out", prefixes)
    assert names(parts_in(tmp_path / "out")["trainsearch"]) == expected


def test_a_prefix_distinguishes_images_of_equal_names(tmp_path: Path) -> None:
    files = [numbered(tmp_path / "a.json", 2), numbered(tmp_path / "b.json", 2)]
    with pytest.raises(
        ValueError, match=r"b\.json: image '001\.jpg' is also in .*a\.json; .*--pre"
    ):
        split(files, 1, 0, tmp_path / "out")
    split(files, 1, 0, tmp_path / "out", ["a/", "b/"])
    whole = parts_in(tmp_path / "out")["trainsearch"]
    assert names(whole) == ["a/001.jpg", "a/002.jpg", "b/001.jpg", "b/002.jpg"]


def test_report_counts_classes(tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.json", 10)
    content = json.loads(path.read_text())
    content["annotations"][0]["iscrowd"] = 1
    path.write_text(json.dumps(content))
    report = split([path], 3, 0, tmp_path / "out")
    parts = parts_in(tmp_path / "out")
    for part in ("train", "search"):
        boxes = [r["category_id"] for r in parts[part]["annotations"] if not r["iscrowd"]]
        found = [getattr(row.boxes, part) for row in report.classes]
        assert found == [boxes.count(key) for key in (18, 3, 4)]
    assert (*report.total.images, report.image_share) == (7, 3, 0.3)
    assert report.missing == ("bird",)
    assert report.files == tuple(tmp_path / "out" / f"instances_{part}.json" for part in PARTS)
    assert json.loads(json.dumps(report.to_dict()))["missing_in_search"] == ["bird"]


def report_of(rows: list[tuple[int, int, bool]], search: list[bool]) -> SplitReport:
    *classes, total = count_classes(CLASSES, np.array(rows, BOX), np.array(search))
    return SplitReport(7, tuple(classes), total, "crowd", (), ("a note",))


def test_counts_shares_and_deviations() -> None:
    # Image 0: three dogs; image 1: a dog and a crowd of cats; images 2 and 3: a cat each.
    rows = [(0, 0, False)] * 3 + [(1, 0, False), (1, 1, True), (2, 1, False), (3, 1, False)]
    report = report_of(rows, [False, True, False, True])
    dog, cat, bird = report.classes
    assert (dog.boxes.train, dog.images.train, dog.ignored.train) == (3, 1, 0)
    assert (dog.boxes.search, dog.images.search, dog.ignored.search) == (1, 1, 0)
    assert (cat.boxes.train, cat.boxes.search, cat.ignored.search) == (1, 1, 1)
    assert (dog.share, cat.share, bird.share) == (0.25, 0.5, None)
    assert report.largest_deviation == ("dog", -0.5)
    assert report.missing == ("bird",)
    assert (*report.total.boxes, report.total.images.search) == (4, 2, 2)
    assert report.to_dict()["classes"][1] == {
        "class": "cat",
        "boxes": {"train": 1, "search": 1, "share": 0.5},
        "images": {"train": 1, "search": 1},
        "crowd": {"train": 0, "search": 1},
    }


def test_the_table_is_aligned_and_warns() -> None:
    rows = [(0, 0, False)] * 1234 + [(1, 0, False), (1, 1, True)]
    lines = split_table(report_of(rows, [False, True])).splitlines()
    assert len({len(line) for line in lines[:5]}) == 1
    assert lines[1].split() == ["dog", "1,234", "1", "0.1", "%", "1", "1"]
    assert lines[3].split() == ["bird", "0", "0", "-", "0", "0"]
    assert "1 of 2 images (50.0 %) drawn with seed 7" in lines[7]
    assert "a note" in lines[-2]
    assert "warning: the search split has no box of 'cat', 'bird'" in lines[-1]


def test_a_class_in_proportion_deviates_by_zero() -> None:
    report = report_of([(0, 0, False), (1, 0, False)], [False, True])
    assert report.largest_deviation == ("dog", 0.0)


Change = Callable[[dict[str, Any]], object]
FAULTS: list[tuple[Change, str]] = [
    (lambda c: c.pop("images"), "'images' is missing"),
    (lambda c: c["images"].clear(), "'images' is empty"),
    (lambda c: c["annotations"].clear(), "'annotations' is empty"),
    (lambda c: c.update(annotations={}), "'annotations' is not a list"),
    (lambda c: c.pop("categories"), "'categories' is missing"),
    (lambda c: c["images"][1].pop("file_name"), r"images\[1\] has no 'file_name'; add it"),
    (lambda c: c["images"][1].update(id=51), "id 51 occurs twice in 'images'"),
    (
        lambda c: c["images"][1].update(file_name="./051.jpg"),
        r"image '\./051\.jpg' is .*twice",
    ),
    (lambda c: c["categories"][1].update(id=18), "id 18 occurs twice in 'categories'"),
    (lambda c: c["categories"].pop(), r"category 4 is absent in .*b\.json and 'bird' in .*a\.json"),
    (lambda c: c["categories"][1].update(name="Cat"), "category 3 is 'Cat' in .* and 'cat' in"),
    (lambda c: c["categories"].append({"id": 9, "name": "x"}), "category 9 is 'x' in .* absent in"),
    (lambda c: c["annotations"][1].update(image_id=7), r"\[1\] has image_id 7, which is not"),
    (lambda c: c["annotations"][1].update(category_id=0), "has category_id 0, which is not"),
    (lambda c: c["annotations"][0].update(bbox=[1, 2, 3, None]), "not four finite"),
]


@pytest.mark.parametrize(("change", "message"), FAULTS)
def test_invalid_files_are_refused_and_nothing_is_written(
    tmp_path: Path, change: Change, message: str
) -> None:
    first, other = numbered(tmp_path / "a.json", 3), numbered(tmp_path / "b.json", 3, first=51)
    content = json.loads(other.read_text())
    change(content)
    other.write_text(json.dumps(content))
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        split([first, other], 2, 0, tmp_path / "out")
    assert str(other) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    "change",
    [lambda c: c["annotations"][2].pop("id"), lambda c: c["annotations"][1].update(id=510)],
)
def test_annotations_without_an_id_of_their_own_are_numbered(
    tmp_path: Path, change: Change
) -> None:
    file = numbered(tmp_path / "a.json", 3, first=51)
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    split([file], 1, 0, tmp_path / "out")
    whole = parts_in(tmp_path / "out")["trainsearch"]
    assert sorted(each["id"] for each in whole["annotations"]) == list(range(1, 7))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xd8\xff\xe0", b"[]", b"{} {}"])
def test_files_that_are_not_coco_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other\.json.* must be a COCO annotation file"):
        split([path], 1, 0, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"take": 0}, "take is 0; it must be at least 1"),
        ({"take": 3}, "take is 3, but there are only 3 images; leave some to train on"),
        ({"seed": -1}, "seed is -1; it must not be negative"),
        ({"prefixes": ["a/", "b/"]}, "2 prefixes for 1 files; give none, one for all, or one per"),
        ({"annotations": []}, r"nothing cannot be split together; name COCO files \(\.json\) or"),
        ({"annotations": [Path("a.json"), Path("b.txt")]}, r"a\.json, b\.txt cannot be split toge"),
        ({"annotations": [Path("a.xml")]}, r"a\.xml cannot be split together"),
        ({"annotations": [Path("none.json")]}, r"file none\.json does not exist; correct"),
        ({"annotations": [Path("none.txt")]}, r"file none\.txt does not exist; correct"),
    ],
)
def test_invalid_options_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    path = numbered(tmp_path / "a.json", 3)
    given_ = {"annotations": [path], "take": 1, "seed": 0, "output": tmp_path / "out", **options}
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        split(**given_)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_outputs_that_exist_are_refused_before_any_work(
    tmp_path: Path, part: str, kind: str
) -> None:
    path = tmp_path / "a.json"
    path.write_text("{")  # would be refused if it were read
    taken = tmp_path / f"instances_{part}.json"
    if kind == "file":
        taken.write_text("mine")
    else:
        taken.symlink_to("nowhere")
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match=rf"instances_{part}\.json exists; remove it or name ano"):
        split([path], 1, 0, tmp_path)
    assert snapshot(tmp_path) == before


def test_an_output_that_is_an_input_is_refused(tmp_path: Path) -> None:
    path = numbered(tmp_path / "instances_train.json", 3)
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    before = path.read_bytes()
    for output in (tmp_path, tmp_path / "link"):
        with pytest.raises(ValueError, match=r"instances_train\.json would replace an input; name"):
            split([path], 1, 0, output)
    with pytest.raises(ValueError, match=r"instances_train\.json is not a folder; name another"):
        split([path], 1, 0, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_interrupted_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    path = numbered(tmp_path / "a.json", 9)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    before = snapshot(tmp_path)
    original, calls = CocoSource.annotations, []

    def stop_in_the_last(source: CocoSource) -> Any:
        calls.append(source)
        for index, record in enumerate(original(source)):
            if len(calls) == 3 and index == 5:
                raise error
            yield record

    monkeypatch.setattr(CocoSource, "annotations", stop_in_the_last)
    with pytest.raises(type(error)):
        split([path], 2, 0, tmp_path / "out")
    assert len(calls) == 3
    assert snapshot(tmp_path) == before


def test_a_failed_rename_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = numbered(tmp_path / "a.json", 9)
    (tmp_path / "out").mkdir()
    before = snapshot(tmp_path)
    original, renamed = Path.replace, []

    def fail_at_the_second(source: Path, target: Path) -> Path:
        renamed.append(target)
        if len(renamed) == 2:
            raise OSError("no more")
        return original(source, target)

    monkeypatch.setattr(Path, "replace", fail_at_the_second)
    with pytest.raises(OSError, match="no more"):
        split([path], 2, 0, tmp_path / "out")
    assert snapshot(tmp_path) == before
