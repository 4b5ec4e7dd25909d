"""Missing data: one error for all files of a missing folder, one each otherwise."""

from pathlib import Path

import pytest

from detnas.data.checks import folder_split
from detnas.data.coco import read_coco
from detnas.data.voc import read_voc_list
from detnas.errors import MissingFileError, Problems


def test_a_missing_folder_is_one_error(tmp_path: Path) -> None:
    data, problems = tmp_path / "moved" / "data", Problems()
    for name in ("train", "search"):
        with problems:
            read_coco(data / "annotations" / f"{name}.json")
        with problems:
            folder_split(name, data / "crops" / name)
        with problems:
            read_voc_list(data / "ImageSets" / "Main" / f"{name}.txt")
    (said,) = problems.messages
    assert said.startswith(f"data folder {tmp_path / 'moved'} does not exist; correct `data_root`")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"annotation file .*/train\.json does not exist"):
        read_coco(tmp_path / "train.json")
    with pytest.raises(MissingFileError, match=r"image folder .*/train does not exist"):
        folder_split("train", tmp_path / "train")
