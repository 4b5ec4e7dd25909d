"""What a COCO file leaves out is filled in, boxes of no use are dropped, sound files stay."""

import copy
import io
import json
import os
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from detnas.data.coco import coco_split, read_coco, read_coco_file
from detnas.data.coco_mends import inside, mend
from detnas.data.image_files import read_images
from detnas.errors import MissingFileError, UserError

SIZE = (40, 30)
EXIF_ORIENTATION = 0x0112


def sound() -> dict[str, Any]:
    def box(key: int, image: int, sides: list[float]) -> dict[str, Any]:
        area = sides[2] * sides[3]
        return {
            "id": key,
            "image_id": image,
            "category_id": 1,
            "bbox": sides,
            "area": area,
            "iscrowd": 0,
        }

    return {
        "images": [
            {"id": i, "file_name": f"{i}.jpg", "width": SIZE[0], "height": SIZE[1]} for i in (1, 2)
        ],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            box(1, 1, [1, 2, 10, 20]),
            box(2, 1, [30, 20, 10, 10]),
            box(3, 2, [0, 0, 5, 5]),
        ],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("1.jpg", "2.jpg"):
        Image.new("RGB", SIZE).save(tmp_path / name)
    return tmp_path


def png_of(size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size).save(file, "png")
    return file.getvalue()


def written(folder: Path, content: dict[str, Any], name: str = "a.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_sound_file_stays_as_it_is(folder: Path) -> None:
    content = sound()
    assert not mend(content).counts
    assert content == sound()
    path = written(folder, content)
    file = read_coco_file(path)
    assert not file.mends.counts
    assert [json.loads(bytes(each)) for each in file.records.annotations] == content["annotations"]


@pytest.mark.parametrize("value", [None, "", -1, 0, float("nan"), "12"])
@pytest.mark.parametrize("key", ["area", "width"])
def test_what_follows_from_the_box_or_the_image_is_filled_in(
    folder: Path, key: str, value: Any
) -> None:
    content = sound()
    for record in content["images" if key == "width" else "annotations"]:
        record[key] = value
    summary = read_coco(written(folder, content), folder)
    mend(content, folder)
    assert content == sound()
    assert summary.sizes == (SIZE, SIZE)
    assert summary.boxes == 3
    assert len(summary.mends.counts) == 1


@pytest.mark.parametrize(
    "ids",
    [[0, 1, 2], [1, 1, 2], [None, 1, 2], ["1", "2", "3"], [1.0, 2, 3], [2**53 + 1, 2**53, 1]],
)
def test_annotations_are_numbered_from_1(ids: list[Any]) -> None:
    content = sound()
    for annotation, key in zip(content["annotations"], ids, strict=True):
        annotation["id"] = key
    mend(content)
    assert content == sound()


def test_missing_keys_are_filled_in() -> None:
    content = sound()
    for annotation in content["annotations"]:
        for key in ("id", "area", "iscrowd"):
            del annotation[key]
    mend(content)
    assert content == sound()


@pytest.mark.parametrize(
    "box",
    [
        [5, 5, 0, 10],
        [5, 5, 10, -1],
        [40, 5, 10, 10],
        [-10, 5, 10, 10],
        [5, 30.5, 4, 4],
        [39.9999999, 5, 10, 10],
    ],
)
def test_boxes_without_an_inside_are_dropped_and_counted(folder: Path, box: list[float]) -> None:
    content = sound()
    content["annotations"].append({**content["annotations"][0], "id": 4, "bbox": box})
    path = written(folder, content)
    assert read_coco(path).boxes == 3
    assert "1 boxes have no width or no height inside" in str(read_coco(path).mends)
    mend(content)
    assert content == sound()


def test_the_inside_is_computed_as_detectors_do() -> None:
    boxes = np.array([[-5, 2, 10, 10], [39.9999999, 0, 5, 5], [0, 0, 40, 30]])
    found = inside(boxes, np.array([SIZE] * 3, float))
    assert found.dtype == np.float32
    assert found.tolist() == [[5, 10], [0, 5], [40, 30]]


def test_a_mask_gives_the_area_and_the_box_a_missing_mask() -> None:
    content = sound()
    triangle = [[0.0, 0.0, 20.0, 0.0, 0.0, 20.0]]
    content["annotations"][0].update(area=None, segmentation=triangle)
    content["annotations"][1]["segmentation"] = []
    mend(content)
    first, second, _ = content["annotations"]
    assert first["area"] == pytest.approx(200, rel=0.1)
    assert second["segmentation"] == [[30, 20, 40, 20, 40, 30, 30, 30]]


def test_a_byte_order_mark_is_read(folder: Path) -> None:
    path = folder / "bom.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(sound()).encode())
    assert read_coco(path).boxes == 3


def test_ids_as_text_and_as_numbers_are_told_apart(folder: Path) -> None:
    content = sound()
    content["images"][0]["id"] = "1"
    with pytest.raises(UserError, match="image_id 1 as a number, and 'images' has it as text"):
        read_coco(written(folder, content))


def test_images_are_compared_with_their_files(folder: Path) -> None:
    path = written(folder, sound())
    assert len(coco_split("train", path, folder).images) == 2
    turned = Image.Exif()
    turned[EXIF_ORIENTATION] = 6
    Image.new("RGB", SIZE).save(folder / "2.jpg", exif=turned)
    message = (
        r"another size .* 1 of 2 images: the first, .*2\.jpg, is 40x30 there, .* 30x40, turned"
    )
    with pytest.raises(UserError, match=message):
        coco_split("train", path, folder)
    assert len(coco_split("train", path, folder, exif=False).images) == 2
    whole = (folder / "1.jpg").read_bytes()
    for content, fault in (
        (b"", "is empty"),
        (b"text", "is not an image"),
        (whole[:-9], "damaged"),
    ):
        (folder / "1.jpg").write_bytes(content)
        with pytest.raises(
            UserError, match=rf"1 of 2 images that cannot be read: .*1\.jpg, .*{fault}"
        ):
            coco_split("train", path, folder)
    (folder / "1.jpg").write_bytes(whole + b"more bytes after the end" * 1000)
    assert len(coco_split("train", path, folder, exif=False).images) == 2


def test_a_number_as_the_name_of_a_category_is_text(folder: Path) -> None:
    content = sound()
    content["categories"][0]["name"] = 3
    file = read_coco_file(written(folder, content), folder)
    assert next(iter(file.categories.values())) == "3"
    assert "categories have a number as their name" in str(file.mends)
    assert b'"name":"3"' in bytes(file.records.categories[0])  # what mmdet reads
    content["categories"][0]["name"] = None
    with pytest.raises(UserError, match=r"categories\[0\] has the name None; write text"):
        read_coco_file(written(folder, content), folder)


@pytest.mark.parametrize("value", [-1, 2, 0.5, [0], "no"])
def test_a_box_is_a_crowd_or_not(folder: Path, value: Any) -> None:
    content = sound()
    content["annotations"][1]["iscrowd"] = value
    with pytest.raises(UserError, match=r"annotations\[1\] has iscrowd .*; it may be 0 or 1"):
        read_coco_file(written(folder, content), folder)
    for text, number in (("0", 0), ("1", 1)):
        content["annotations"][1]["iscrowd"] = text
        file = read_coco_file(written(folder, content), folder)
        assert file.boxes["ignored"].tolist() == [False, bool(number), False]
        assert "boxes have iscrowd as text" in str(file.mends)


@pytest.mark.parametrize(
    "shape",
    [
        [[-1e30, 0, 1e30, 0, 5, 5]],
        [[0, 0, 3e8, 0, 5, 5]],
        [[1]],
        "text",
        {"counts": "a"},
        {"counts": [10**400], "size": [30, 40]},
        {"counts": [-5, 1205], "size": [30, 40]},
        {"counts": [3], "size": [10**9, 10**9]},
    ],
)
def test_masks_that_would_fill_the_memory_are_not_drawn(shape: Any) -> None:
    content = sound()
    box = content["annotations"][0]
    box.update(segmentation=shape, area=0)
    content["annotations"][1]["segmentation"] = [[1, 1, 9, 1, 9, 9]]
    mend(content)
    x, y, width, height = box["bbox"]
    assert box["area"] == width * height
    assert box["segmentation"][0][:2] == [x, y]


def test_the_orientation_in_xmp_does_not_count(folder: Path) -> None:
    """Pillow takes it; OpenCV does not."""
    packet = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    Image.new("RGB", SIZE).save(folder / "1.jpg", xmp=packet)
    assert Image.open(folder / "1.jpg").getexif().get(EXIF_ORIENTATION) == 6
    assert cv2.imread(str(folder / "1.jpg")).shape[:2] == (SIZE[1], SIZE[0])
    assert len(coco_split("train", written(folder, sound()), folder).images) == 2


def test_a_format_that_opencv_does_not_read_is_named(folder: Path) -> None:
    Image.new("RGB", SIZE).save(folder / "2.jpg", "PCX")
    with pytest.raises(UserError, match=r"2\.jpg, is of a format that OpenCV does not read \(PCX"):
        coco_split("train", written(folder, sound()), folder)


def test_an_error_of_the_moment_is_not_kept(folder: Path, tmp_path: Path) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(24, "Too many open files")

    cache = tmp_path / "cache.sqlite"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Image, "open", fail)
        (found,) = read_images([folder / "1.jpg"], cache)
        assert found.fault == "cannot be read (Too many open files)"
    (found,) = read_images([folder / "1.jpg"], cache)
    assert found.fault == ""
    (found,) = read_images([folder / "a\0b.jpg"], cache)
    assert found.fault


def test_an_image_that_claims_too_many_pixels_is_refused(folder: Path) -> None:
    path = written(folder, sound())
    image = bytearray(png_of(SIZE))
    image[16:24] = (60_000).to_bytes(4) * 2  # width and height in its header
    image[29:33] = zlib.crc32(image[12:29]).to_bytes(4)
    (folder / "1.jpg").write_bytes(image)
    with pytest.raises(UserError, match=r"1\.jpg, has more than 178,956,970 pixels; replace"):
        coco_split("train", path, folder)


@pytest.mark.parametrize("name", ["../2.jpg", "/etc/passwd", "a/../../2.jpg", "../images2/2.jpg"])
def test_images_outside_the_folder_are_refused(folder: Path, name: str) -> None:
    content = sound()
    content["images"][1]["file_name"] = name
    path = written(folder, content)
    with pytest.raises(
        UserError, match=r"a\.json names 1 of 2 images outside .*, the first .*allow"
    ):
        coco_split("train", path, folder, within=[folder])
    with pytest.raises(MissingFileError if "etc" not in name else UserError):
        coco_split("train", path, folder)


@pytest.mark.parametrize("name", ["a/../2.jpg", "./2.jpg"])
def test_images_may_be_named_in_a_roundabout_way(folder: Path, name: str) -> None:
    content = sound()
    content["images"][1]["file_name"] = name
    (folder / "a").mkdir()
    path = written(folder, content)
    assert len(coco_split("train", path, folder, within=[folder]).images) == 2
    relative = Path(os.path.relpath(folder))
    assert len(coco_split("train", path, relative, within=[relative]).images) == 2
    content["images"][1]["file_name"] = str(folder / "2.jpg")
    path = written(folder, content)
    assert len(coco_split("train", path, relative, within=[relative]).images) == 2


def test_an_image_that_is_listed_twice_is_refused(folder: Path) -> None:
    content = sound()
    content["images"].append({**content["images"][0], "id": 3, "file_name": "./1.jpg"})
    with pytest.raises(UserError, match=r"lists the image .*1\.jpg twice"):
        coco_split("train", written(folder, content), folder)


def test_mending_twice_changes_nothing() -> None:
    content = sound()
    content["annotations"][0].update(id=0, area=None)
    mend(content)
    again = copy.deepcopy(content)
    assert not mend(again).counts
    assert again == content
