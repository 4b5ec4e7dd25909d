"""VOC data are read as mmdet reads them; data it would fail on or drop objects of are refused."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from mmdet.datasets import VOCDataset
from PIL import Image

from detnas.data.checks import check_disjoint
from detnas.data.split import split
from detnas.data.voc import (
    VocObject,
    check_voc_classes,
    read_voc,
    read_voc_list,
    read_voc_objects,
    voc_classes,
    voc_split,
)
from detnas.evaluation import mended_annotations  # noqa: F401 - changes what mmdet reads

Objects = Sequence[tuple[str, int]]


def xml(objects: Objects) -> str:
    # A part, as in VOC 2012's layout task, comes before the object's own name.
    records = (
        "<object><part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
        f"<name>{name}</name><difficult>{difficult}</difficult><bndbox><xmax>9.5</xmax>"
        "<xmin>1</xmin><ymin>2</ymin><ymax>8</ymax></bndbox></object>"
        for name, difficult in objects
    )
    return f"<annotation><size><width>9</width></size>{''.join(records)}</annotation>"


def make_year(root: Path, images: dict[str, Objects], lists: dict[str, Sequence[str]]) -> Path:
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    for image_id, objects in images.items():
        (root / "Annotations" / f"{image_id}.xml").write_text(xml(objects))
        file = root / "JPEGImages" / f"{image_id}.jpg"
        Image.new("RGB", (20, 10)).save(file, comment=image_id)  # all files differ
    for name, ids in lists.items():
        text = "".join(f"{image_id}\n" for image_id in ids)
        (root / "ImageSets" / "Main" / f"{name}.txt").write_text(text)
    return root


@pytest.fixture
def devkit(tmp_path: Path) -> Path:
    """Two years; of 2007 twelve images in train and val, of 2012 eight, whose ids are 2007's."""
    kit = tmp_path / "VOCdevkit"
    ids = [f"{index:06d}" for index in range(12)]
    images: dict[str, Objects] = {key: [("dog", 0), ("cat", 0), ("cat", 1)] for key in ids}
    lists = {"trainval": ids, "train": ids[:7], "val": ids[7:], "test": ids[:2]}
    make_year(kit / "VOC2007", images, lists)
    make_year(kit / "VOC2012", {key: [("dog", 0)] for key in ids[:8]}, {"trainval": ids[7::-1]})
    return kit


def voc_list(devkit: Path, year: str = "VOC2007", name: str = "trainval") -> Path:
    return devkit / year / "ImageSets" / "Main" / f"{name}.txt"


def entries(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def test_lists_keep_their_order_with_any_line_ending(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"b\r\na\r\n2008_000001")
    assert read_voc_list(path) == ("b", "a", "2008_000001")
    path.write_text("my image\nmy image 1\nIMG (2)\n")  # as files may be called
    assert read_voc_list(path) == ("my image", "my image 1", "IMG (2)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty; name a VOC image list, one image id per line"),
        (b"a\n\nb\n", "line 2: is blank; remove it"),
        (b"a\nb \n", "line 2: 'b ' has spaces around the id; remove them"),
        (
            b"000005 -1\n000007  1\n",
            "line 1: '000005 -1' is an image id and a label; name .* one class",
        ),
        (b"a\nb\na\n", "line 3: id a occurs twice; remove one"),
        (b"\xff\xd8\xff", "is not a text file"),
    ],
)
def test_invalid_lists_are_refused(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=rf"list\.txt.*{message}") as caught:
        read_voc_list(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(
        FileNotFoundError, match=r"none\.txt does not exist; correct `data_root` or `ann_file`"
    ):
        read_voc_list(tmp_path / "none.txt")


def test_objects_are_read_without_their_parts(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(xml([("dog", 0), ("person", 1)]))
    assert read_voc_objects(path) == (VocObject("dog", False), VocObject("person", True))
    path.write_text(path.read_text().replace("<difficult>1</difficult>", ""))
    assert read_voc_objects(path)[1] == VocObject("person", False)
    path.write_text(xml([]))
    assert read_voc_objects(path) == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("</annotation>", "", "no element found"),
        ("<name>dog</name>", "", "an object has no <name>"),
        ("<name>dog</name>", "<name/>", "an object has no <name>"),
        ("<xmax>9.5</xmax>", "", "box of an object 'dog' is not four finite numbers"),
        ("9.5", "nan", "box of an object 'dog' is not four finite numbers"),
        ("9.5", "wide", "box of an object 'dog' is not four finite numbers"),
        ("<difficult>0<", "<difficult>no<", "<difficult> of an object 'dog' is 'no'"),
    ],
)
def test_invalid_xml_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(xml([("dog", 0)]).replace(old, new))
    with pytest.raises(
        ValueError, match=rf"a\.xml is not a valid VOC annotation \(.*{message}.*correct it"
    ):
        read_voc_objects(path)
    with pytest.raises(FileNotFoundError, match=r"annotation file .*none\.xml does not exist"):
        read_voc_objects(tmp_path / "none.xml")


def test_voc_split_has_the_images_of_the_list(devkit: Path) -> None:
    found = voc_split("train", voc_list(devkit, "VOC2012"), devkit / "VOC2012")
    assert found.name == "train"
    assert found.images[0] == devkit / "VOC2012" / "JPEGImages" / "000007.jpg"
    assert len(found.images) == 8


@pytest.mark.parametrize(
    ("lost", "what"), [("JPEGImages/000003.jpg", "images"), ("Annotations/000003.xml", "annotat")]
)
def test_a_missing_file_is_named(devkit: Path, lost: str, what: str) -> None:
    (devkit / "VOC2007" / lost).unlink()
    message = rf"trainval\.txt names 1 of 12 {what}.* do not exist, the first .*{lost}; correct"
    with pytest.raises(FileNotFoundError, match=message):
        voc_split("train", voc_list(devkit), devkit / "VOC2007")
    before = entries(devkit)
    with pytest.raises(FileNotFoundError, match=message):
        split([voc_list(devkit)], 3, 0, devkit / "out")
    assert entries(devkit) == before


def test_unknown_classes_are_refused(devkit: Path) -> None:
    root, path = devkit / "VOC2007", voc_list(devkit)
    check_voc_classes(("cat", "cow", "dog"), path, root)
    (root / "Annotations" / "000004.xml").write_text(xml([("dog", 0), ("Dog ", 0), ("gnu", 1)]))
    assert set(voc_classes(path, root)) == {"dog", "cat", "Dog ", "gnu"}
    message = (
        r"trainval\.txt has images with objects of class 'Dog ', 'gnu', the first in "
        r".*000004\.xml; `metainfo\.classes` has 'dog', 'cat': correct one of them"
    )
    with pytest.raises(ValueError, match=message):
        check_voc_classes(["dog", "cat"], path, root)
    with pytest.raises(ValueError, match=r"classes is the string 'cat'; write a tuple"):
        check_voc_classes("cat", path, root)
    check_voc_classes(("cat", "dog"), voc_list(devkit, name="test"), root)


def test_lists_of_two_years_are_split_together(devkit: Path, tmp_path: Path) -> None:
    lists = [voc_list(devkit), voc_list(devkit, "VOC2012")]
    report = split(lists, 9, 0, tmp_path / "out")
    out = tmp_path / "out"
    years = ("VOC2007", "VOC2012")
    assert sorted(path.name for path in out.iterdir()) == [
        f"{year}_{part}.txt" for year in years for part in ("search", "train", "trainsearch")
    ]
    assert sorted(report.files) == sorted(out.iterdir())
    ids = {path.stem: path.read_text().split() for path in out.iterdir()}
    for year, path in zip(years, lists, strict=True):
        whole = path.read_text().split()
        assert ids[f"{year}_trainsearch"] == whole
        search, train = set(ids[f"{year}_search"]), set(ids[f"{year}_train"])
        assert search | train == set(whole)
        assert not search & train
        for part in ("search", "train"):
            found = ids[f"{year}_{part}"]
            assert found == [key for key in whole if key in set(found)]
            assert read_voc_list(out / f"{year}_{part}.txt") == tuple(found)
        check_disjoint(
            [voc_split(p, out / f"{year}_{p}.txt", devkit / year) for p in ("search", "train")]
        )
    assert len(ids["VOC2007_search"]) + len(ids["VOC2012_search"]) == 9

    cat, dog = report.classes
    assert (cat.name, dog.name) == ("cat", "dog")
    assert dog.boxes.search == dog.images.search == 9
    assert cat.boxes.search == cat.ignored.search == len(ids["VOC2007_search"])
    assert sum(cat.boxes) == 12
    assert report.set_aside == "difficult"


def test_the_same_seed_gives_the_same_lists(devkit: Path, tmp_path: Path) -> None:
    found = []
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        split([voc_list(devkit)], 4, seed, tmp_path / folder)
        found.append((tmp_path / folder / "VOC2007_search.txt").read_text())
    assert found[0] == found[1] != found[2]


def test_lists_of_one_year_are_joined(devkit: Path, tmp_path: Path) -> None:
    lists = [voc_list(devkit, name=name) for name in ("val", "train")]
    split(lists, 4, 0, tmp_path / "out")
    whole = (tmp_path / "out" / "VOC2007_trainsearch.txt").read_text()
    assert whole == lists[0].read_text() + lists[1].read_text()
    message = r"test\.txt: image 000000 is also in .*train\.txt; remove"
    with pytest.raises(ValueError, match=message):
        split([*lists, voc_list(devkit, name="test")], 4, 0, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_an_empty_part_gives_a_warning(devkit: Path, tmp_path: Path) -> None:
    report = split([voc_list(devkit), voc_list(devkit, "VOC2012")], 1, 0, tmp_path / "out")
    empty = [path.name for path in report.files if not path.read_text()]
    assert len(empty) == 1
    assert report.notes == (f"warning: {empty[0]} is empty; leave it out of the config",)


def test_lists_may_have_relative_paths(
    devkit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(devkit / "VOC2007")
    split([Path("ImageSets/Main/trainval.txt")], 4, 0, tmp_path / "out")
    assert (tmp_path / "out" / "VOC2007_search.txt").is_file()


def test_invalid_splits_of_lists_are_refused(devkit: Path, tmp_path: Path) -> None:
    before = entries(tmp_path)
    with pytest.raises(ValueError, match="--prefix is for COCO files; leave it out for VOC"):
        split([voc_list(devkit)], 4, 0, tmp_path / "out", ["a/"])
    with pytest.raises(ValueError, match="take is 12, but there are only 12 images"):
        split([voc_list(devkit)], 12, 0, tmp_path / "out")
    assert entries(tmp_path) == before
    classes = voc_list(devkit, name="dog_trainval")
    classes.write_text("000001  1\n000002 -1\n")
    with pytest.raises(
        ValueError, match=r"dog_trainval\.txt, line 1: .* is an image id and a label"
    ):
        split([classes], 1, 0, tmp_path / "out")
    stray = tmp_path / "trainval.txt"
    stray.write_text("000001\n")
    with pytest.raises(ValueError, match=r"trainval\.txt is not in ROOT/ImageSets/Main"):
        split([stray], 1, 0, tmp_path / "out")
    other = make_year(tmp_path / "more" / "VOC2007", {"x": []}, {"trainval": ["x"]})
    with pytest.raises(ValueError, match=r"two roots are called VOC2007, one of them .*; rename"):
        split([voc_list(devkit), voc_list(other.parent)], 1, 0, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "VOC2007_train.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"VOC2007_train\.txt exists; remove it or name another"):
        split([voc_list(devkit)], 1, 0, tmp_path / "out")
    assert entries(tmp_path / "out") == [tmp_path / "out" / "VOC2007_train.txt"]


def annotation(size: str, *boxes: tuple[float, ...]) -> str:
    objects = "".join(
        f"<object><name>dog</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin>"
        f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        for x, y, right, bottom in boxes
    )
    return f"<annotation>{size}{objects}</annotation>"


SIZE = "<size><width>{}</width><height>{}</height></size>"


@pytest.mark.parametrize("size", [SIZE.format("20.0", "10"), SIZE.format(0, 0), SIZE, ""])
def test_boxes_of_no_use_and_odd_sizes_are_mended(devkit: Path, size: str) -> None:
    """As checks and mmdet's data set read them."""
    root = devkit / "VOC2012"
    file = root / "Annotations" / "000007.xml"
    unusable = [(9, 2, 5, 8), (5, 5, 5, 9), (1, 1.2, 5, 1.9)]
    if "20.0" in size:
        unusable += [(21, 1, 30, 9), (3, 11, 9, 20)]  # outside of the image
    file.write_text(annotation(size, (1, 1, 20, 10), *unusable, (3.7, 2, 6, 9.9)))
    path = voc_list(devkit, "VOC2012", "one")
    path.write_bytes(b"\xef\xbb\xbf000007\n")
    summary = read_voc(path, root)
    assert dict(summary.by_class) == {"dog": 2}
    assert f"{len(unusable)} boxes have no width" in str(summary.mends)
    assert len(voc_split("train", path, root).images) == 1
    (info,) = VOCDataset(
        data_root=str(root),
        ann_file=str(path),
        data_prefix={"sub_data_root": ""},
        metainfo={"classes": ("dog",)},
        pipeline=[],
        test_mode=True,
    )
    assert (info["width"], info["height"]) == (20, 10)
    assert [each["bbox"] for each in info["instances"]] == [[0, 0, 19, 9], [2, 1, 5, 8]]


def test_a_split_names_the_file_that_is_invalid(devkit: Path) -> None:
    root = devkit / "VOC2012"
    (root / "Annotations" / "000003.xml").write_text(xml([("dog", 0)]).replace("9.5", "nan"))
    with pytest.raises(ValueError, match=r"000003\.xml is not a valid VOC annotation .*'dog'"):
        voc_split("train", voc_list(devkit, "VOC2012"), root)


def test_sizes_are_compared_with_the_files(devkit: Path) -> None:
    root = devkit / "VOC2012"
    (root / "Annotations" / "000003.xml").write_text(annotation(SIZE.format(10, 20), (1, 1, 5, 5)))
    with pytest.raises(ValueError, match=r"1 of 8 images: .*000003\.jpg, is 10x20 there.* 20x10"):
        voc_split("train", voc_list(devkit, "VOC2012"), root)
