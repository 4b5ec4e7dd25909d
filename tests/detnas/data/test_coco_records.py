"""Reading of raw records agrees with Python's json, and faults are named."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detnas.data.coco import read_coco
from detnas.data.coco_records import ImageRecord, decoded, load_records

IMAGES = '"images": [{"id": 1, "file_name": "a.jpg"}]'
CATEGORIES = '"categories": [{"id": 1, "name": "dog"}]'
BOX = '{"image_id": 1, "category_id": 1, "bbox": [0, 1, 2, 3], "score": %s}'


def content(score: str = "1") -> str:
    return f'{{{IMAGES}, {CATEGORIES}, "annotations": [{BOX % score}]}}'


def test_records_are_the_bytes_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(content("[ 1.10,\n{}]"))
    assert bytes(load_records(path).annotations[0]).decode() == BOX % "[ 1.10,\n{}]"


@pytest.mark.parametrize("number", ["NaN", "-Infinity"])
def test_nan_and_infinity_are_read_as_null(tmp_path: Path, number: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content(number))
    assert read_coco(path).boxes == 1
    assert (
        bytes(load_records(path).annotations[0])
        == json.dumps(json.loads(BOX % "null"), separators=(",", ":")).encode()
    )
    path.write_text(content(number)[:-1])
    with pytest.raises(ValueError, match=r"a\.json is not JSON"):
        read_coco(path)


@pytest.mark.parametrize("where", ["start", "end"])
def test_invalid_utf8_is_refused_in_values_that_are_not_decoded(tmp_path: Path, where: str) -> None:
    path = tmp_path / "a.json"
    # The faulty byte starts a UTF-8 sequence that does not follow.
    padding = ("x" * (1 << 20), "") if where == "end" else ("", "x" * (1 << 20))
    path.write_bytes(content(f'"{padding[0]}\xe9{padding[1]}"').encode("latin-1"))
    with pytest.raises(ValueError, match=r"a\.json is not JSON \(invalid UTF-8 around byte"):
        load_records(path)


def test_characters_across_a_chunk_boundary_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for shift in range(3):
        path.write_text(content(f'"{"x" * shift}{"€" * 800_000}"'), encoding="utf-8")
        assert load_records(path).images


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        ("3", "has no 'id'; add it"),
        ('{"id": 1}', "has no 'file_name'; add it"),
        ('{"id": null, "file_name": "a.jpg"}', r"is invalid \(.*null.*id.*\); correct it"),
        ('{"id": 1, "file_name": 5}', r"is invalid \(.*file_name.*\); correct it"),
    ],
)
def test_a_faulty_record_is_named(tmp_path: Path, record: str, fault: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content().replace(IMAGES, IMAGES[:-1] + f", {record}]"))
    records = load_records(path)
    with pytest.raises(ValueError, match=rf"a\.json: images\[1\] {fault}") as caught:
        list(decoded(path, "images", records.images, ImageRecord))
    assert "\n" not in str(caught.value)


@given(st.data())
def test_a_damaged_file_is_refused_unless_it_is_json(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    text = content('{"a": [1.5e3, "b\\n", true, null, {}], "é": -0.25}').encode()
    at = data.draw(st.integers(0, len(text) - 1))
    text = text[:at] + data.draw(st.binary(max_size=2)) + text[at + 1 :]
    path = tmp_path_factory.mktemp("damaged") / "a.json"
    path.write_bytes(text)
    try:
        load_records(path)
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:
        json.loads(text)
