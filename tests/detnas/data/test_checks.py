"""Invalid datasets are refused before any work, in one line with the file and the remedy."""

import copy
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from detnas.data.checks import Split, SplitOverlapError, check_disjoint, folder_split
from detnas.data.coco import check_categories, coco_split, read_coco

GOOD: dict[str, Any] = {
    "images": [{"id": 5, "file_name": "a.jpg"}, {"id": 9, "file_name": "b/c.jpg"}],
    "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "cat"}],
    "annotations": [
        {"id": 1, "image_id": 5, "category_id": 18, "bbox": [0, 1.5, 2, 3]},
        {"id": 2, "image_id": 5, "category_id": 3, "bbox": [0, 1, 2, 3], "iscrowd": 1},
    ],
}


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def make_split(name: str, folder: Path, contents: dict[str, bytes]) -> Split:
    folder.mkdir(parents=True, exist_ok=True)
    for file_name, content in contents.items():
        (folder / file_name).write_bytes(content)
    return Split(name, tuple(folder / file_name for file_name in contents))


def test_read_coco_keeps_the_order_and_counts_crowds_separately(tmp_path: Path) -> None:
    summary = read_coco(write(tmp_path / "a.json", GOOD))
    assert summary.categories == ("dog", "cat")
    assert summary.file_names == ("a.jpg", "b/c.jpg")
    assert (summary.boxes, summary.crowd_boxes) == (1, 1)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", GOOD)
    read_coco(path)
    write(path, {**GOOD, "categories": [*GOOD["categories"], {"id": 4, "name": "bird"}]})
    assert read_coco(path).categories == ("dog", "cat", "bird")


Change = Callable[[dict[str, Any]], object]
FAULTS: list[tuple[Change, str]] = [
    (lambda c: c.pop("images"), "'images' is missing"),
    (lambda c: c["images"].clear(), "'images' is empty"),
    (lambda c: c["annotations"].clear(), "'annotations' is empty"),
    (lambda c: c.update(categories={}), "'categories' is not a list"),
    (lambda c: c["images"][1].pop("file_name"), r"images\[1\] has no 'file_name'; add it"),
    (lambda c: c["annotations"][0].pop("bbox"), r"annotations\[0\] has no 'bbox'"),
    (lambda c: c["images"][1].update(id=5), "id 5 occurs twice in 'images'; renumber"),
    (lambda c: c["annotations"][1].update(image_id=7), r"\[1\] has image_id 7, which is not"),
    (lambda c: c["annotations"][1].update(category_id=0), "has category_id 0, which is not"),
    (lambda c: c["annotations"][0].update(bbox=[1, 2, 3]), "is not four finite numbers; correct"),
    (lambda c: c["annotations"][0].update(bbox=[1, 2, 3, float("nan")]), "not four finite"),
    (lambda c: c["annotations"][0].update(bbox=[1, 2, 3, None]), "not four finite"),
]


@pytest.mark.parametrize(("change", "message"), FAULTS)
def test_invalid_annotations_are_refused(tmp_path: Path, change: Change, message: str) -> None:
    content = copy.deepcopy(GOOD)
    change(content)
    path = write(tmp_path / "faulty.json", content)
    with pytest.raises(ValueError, match=message) as caught:
        read_coco(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"{", b"\xff\xd8\xff\xe0", b"[]"])
def test_files_that_are_not_coco_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other\.json .* must be a COCO annotation file"):
        read_coco(path)


def test_an_absent_annotation_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"none\.json does not exist; correct `data_root` or `ann_file`"
    ):
        read_coco(tmp_path / "none.json")


def test_coco_split_names_the_first_missing_image(tmp_path: Path) -> None:
    ann_file = write(tmp_path / "a.json", GOOD)
    (tmp_path / "images" / "b").mkdir(parents=True)
    Image.new("RGB", (20, 10)).save(tmp_path / "images" / "a.jpg")
    message = r"a\.json names 1 of 2 images that do not exist, the first .*c\.jpg; correct"
    with pytest.raises(FileNotFoundError, match=message):
        coco_split("train", ann_file, tmp_path / "images")
    Image.new("RGB", (30, 10)).save(tmp_path / "images" / "b" / "c.jpg")
    split = coco_split("train", ann_file, tmp_path / "images")
    assert split.images == (tmp_path / "images" / "a.jpg", tmp_path / "images" / "b" / "c.jpg")


def test_folder_split_accepts_the_usual_image_suffixes(tmp_path: Path) -> None:
    for name in ("cat/1.JPEG", "cat/deep/2.png", "dog/1.jpg", "dog/notes.txt", "classes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    names = [path.relative_to(tmp_path).as_posix() for path in folder_split("t", tmp_path).images]
    assert names == ["cat/1.JPEG", "cat/deep/2.png", "dog/1.jpg"]


def test_folders_without_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent does not exist; correct `data_root`, or"):
        folder_split("train", tmp_path / "absent")
    with pytest.raises(ValueError, match="no class folders; it must be laid out as"):
        folder_split("train", tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(ValueError, match=r"class folder .*cat holds no images; add some or remove"):
        folder_split("train", tmp_path)


def test_unknown_classes_are_refused(tmp_path: Path) -> None:
    ann_file = write(tmp_path / "a.json", GOOD)
    check_categories(["dog", "cat"], ann_file)
    check_categories(("cat",), ann_file)
    with pytest.raises(ValueError, match=r"list them in that order"):
        check_categories(["cat", "dog"], ann_file)
    message = r"a\.json has no category 'cow', 'Dog'; it has 'dog', 'cat': correct"
    with pytest.raises(ValueError, match=message):
        check_categories(["cow", "cat", "Dog"], ann_file)
    with pytest.raises(ValueError, match=r"classes is the string 'cat'; write a tuple"):
        check_categories("cat", ann_file)


def test_equal_names_in_different_folders_do_not_overlap(tmp_path: Path) -> None:
    train = make_split("train", tmp_path / "train", {"1.jpg": b"abcd", "2.jpg": b"efgh"})
    val = make_split("val", tmp_path / "val", {"1.jpg": b"ijkl", "2.jpg": b"mnop"})
    check_disjoint([train, val])


def test_splits_with_the_same_file_overlap(tmp_path: Path) -> None:
    train = make_split("train", tmp_path, {"1.jpg": b"a", "2.jpg": b"b"})
    # The same file by another spelling of its path.
    val = Split("val", (tmp_path / "sub" / ".." / "2.jpg",))
    (tmp_path / "sub").mkdir()
    message = r"splits 'train' and 'val' share 1 image\(s\), e\.g\. .*2\.jpg; make them disjoint"
    with pytest.raises(SplitOverlapError, match=message):
        check_disjoint([train, val], by_content=False)


@pytest.mark.parametrize("whole_folder", [True, False])
def test_symbolic_links_are_followed(tmp_path: Path, whole_folder: bool) -> None:
    train = make_split("train", tmp_path / "train", {"1.jpg": b"a"})
    if whole_folder:
        (tmp_path / "val").symlink_to(tmp_path / "train", target_is_directory=True)
    else:
        (tmp_path / "val").mkdir()
        (tmp_path / "val" / "1.jpg").symlink_to(tmp_path / "train" / "1.jpg")
    val = Split("val", (tmp_path / "val" / "1.jpg",))
    with pytest.raises(SplitOverlapError, match="'train' and 'val' share 1 image"):
        check_disjoint([train, val], by_content=False)


def test_splits_with_renamed_copies_overlap(tmp_path: Path) -> None:
    train = make_split("train", tmp_path / "train", {"1.jpg": b"abcd", "2.jpg": b"efgh"})
    search = make_split("search", tmp_path / "search", {"3.jpg": b"ijkl"})
    val = make_split("val", tmp_path / "val", {"7.jpg": b"xy"})
    shutil.copy(tmp_path / "train" / "2.jpg", tmp_path / "val" / "8.jpg")
    val = Split("val", (*val.images, tmp_path / "val" / "8.jpg"))
    check_disjoint([train, search, val], by_content=False)
    message = r"'train' and 'val' share 1 image\(s\), e\.g\. .*2\.jpg equals .*8\.jpg"
    with pytest.raises(SplitOverlapError, match=message) as caught:
        check_disjoint([train, search, val])
    assert "\n" not in str(caught.value)


def test_only_files_of_equal_size_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    original = Path.open

    def open_and_note(path: Path, *args: Any, **kwargs: Any) -> Any:
        opened.append(path.name)
        return original(path, *args, **kwargs)

    train = make_split("train", tmp_path / "t", {"a": b"1", "b": b"12", "c": b"12", "d": b"123"})
    val = make_split("val", tmp_path / "v", {"e": b"34", "f": b"1234", "g": os.urandom(9)})
    monkeypatch.setattr(Path, "open", open_and_note)
    check_disjoint([train, val])
    assert sorted(opened) == ["b", "c", "e"]
