"""Every data set that a config names is checked, however it is wrapped, or said not to be."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from detnas.config import load_config
from detnas.data.checks import SplitOverlapError
from detnas.errors import UserError
from detnas.stages.checks.splits import check_splits

CONFIG = Path(__file__).parents[2] / "miniature/retinanet/search.py"
NAMES = {"train_dataloader": "train", "val_dataloader": "search"}


@pytest.fixture
def config(digits: Path, tmp_path: Path) -> Config:
    options = {"data_root": str(digits / "detection"), "pretrained": None}
    return load_config(CONFIG, options, tmp_path / "work")


def use(config: Config, dataset: dict[str, Any]) -> None:
    config.train_dataloader.dataset = dataset


@pytest.mark.parametrize(
    "wrapper",
    [
        {"type": "RepeatDataset", "times": 2},
        {"type": "mmengine.RepeatDataset", "times": 2},
        {"type": "mmdet.MultiImageMixDataset", "pipeline": []},
        {"type": "mine.SomeWrapper"},
    ],
)
def test_wrapped_data_is_checked(config: Config, wrapper: dict[str, Any]) -> None:
    searched = config.val_dataloader.dataset.to_dict()
    use(config, {**wrapper, "dataset": searched})
    with pytest.raises(SplitOverlapError, match="'train' and 'search' share 2 image"):
        check_splits(config, NAMES)


def test_data_in_a_concatenation_in_a_wrapper_is_checked(config: Config) -> None:
    train, searched = (config[f"{key}_dataloader"].dataset.to_dict() for key in ("train", "val"))
    both = {"type": "mmdet.ConcatDataset", "datasets": [train, searched]}
    use(config, {"type": "mmengine.RepeatDataset", "times": 2, "dataset": both})
    with pytest.raises(SplitOverlapError, match="'train' and 'search' share 2 image"):
        check_splits(config, NAMES)


def test_the_suffix_is_read_in_any_case(config: Config, tmp_path: Path) -> None:
    searched = config.val_dataloader.dataset.to_dict()
    file = Path(searched.get("data_root") or "") / searched["ann_file"]
    capital = file.with_suffix(".JSON")
    capital.write_bytes(file.read_bytes())
    use(config, {**searched, "ann_file": str(capital.resolve())})
    with pytest.raises(SplitOverlapError, match="'train' and 'search' share 2 image"):
        check_splits(config, NAMES)


def test_what_cannot_be_checked_is_said(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    use(config, {"type": "mine.Parquet", "data_root": "shards"})
    splits = check_splits(config, NAMES)
    assert [len(split.images) for split in splits] == [0, 2]
    assert "the train split is a Parquet, which is not checked" in capsys.readouterr().err


def test_unusable_boxes_are_dropped_or_refused(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = config.train_dataloader.dataset.to_dict()
    content = json.loads((Path(train["data_root"]) / train["ann_file"]).read_text())
    content["annotations"][0]["bbox"][2] = 0
    file = tmp_path / "train.json"
    file.write_text(json.dumps(content))
    use(config, {**train, "ann_file": str(file)})
    said = f"{file}: 1 boxes have no width or no height inside their image, and are left out"
    check_splits(config, NAMES)
    assert said in capsys.readouterr().err
    config.unusable_boxes = "refuse"
    with pytest.raises(UserError, match=f"{re.escape(said)}: correct them, or leave them out"):
        check_splits(config, NAMES)
    config.unusable_boxes = "remove"
    with pytest.raises(UserError, match="unusable_boxes is 'remove'; it may be 'drop' or 'refuse'"):
        check_splits(config, NAMES)


def test_images_outside_the_data_are_refused_or_allowed(config: Config, tmp_path: Path) -> None:
    train = config.train_dataloader.dataset.to_dict()
    root = Path(train["data_root"])
    content = json.loads((root / train["ann_file"]).read_text())
    image = root / train["data_prefix"]["img"] / content["images"][0]["file_name"]
    outside = tmp_path / "outside.png"
    outside.write_bytes(image.read_bytes())
    content["images"][0]["file_name"] = str(outside)
    file = tmp_path / "train.json"
    file.write_text(json.dumps(content))
    use(config, {**train, "ann_file": str(file)})
    message = "names 1 of 2 images outside .*outside.png.*images_outside_data_root=True"
    with pytest.raises(UserError, match=message):
        check_splits(config, NAMES)
    config.images_outside_data_root = True
    check_splits(config, NAMES)
    config.images_outside_data_root = "yes"
    with pytest.raises(UserError, match="images_outside_data_root is 'yes'; it may be True or Fal"):
        check_splits(config, NAMES)


def test_masks_are_missed_only_where_they_are_read(config: Config, tmp_path: Path) -> None:
    train = config.train_dataloader.dataset.to_dict()
    content = json.loads((Path(train["data_root"]) / train["ann_file"]).read_text())
    for annotation in content["annotations"]:
        annotation["segmentation"] = []
    file = tmp_path / "train.json"
    file.write_text(json.dumps(content))
    use(config, {**train, "ann_file": str(file)})
    check_splits(config, NAMES)
    load = {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True}
    use(config, {**train, "ann_file": str(file), "pipeline": [load]})
    with pytest.raises(UserError, match=r"the train split, has no masks .* and its pipeline reads"):
        check_splits(config, NAMES)


def test_a_prefix_that_is_no_dict_is_refused(config: Config) -> None:
    train = config.train_dataloader.dataset.to_dict()
    use(config, {**train, "data_prefix": "images/"})
    with pytest.raises(
        UserError, match=r"the train split is 'images/'; write dict\(img='images/'\)"
    ):
        check_splits(config, NAMES)
