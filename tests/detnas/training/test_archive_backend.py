"""mmpretrain's datasets read an archive like the folder it was made from."""

import pickle
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.fileio import exists, get_text, isdir, isfile, list_dir_or_file
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from detnas.config import load_config
from detnas.stages.checks import check_splits
from detnas.training.archive_backend import ArchiveBackend

PIPELINE = [{"type": "mmpretrain.LoadImageFromFile"}, {"type": "mmpretrain.PackInputs"}]
IMAGES = 6  # per class
CONFIG = Path(__file__).parents[2] / "miniature" / "retinanet" / "pretrain.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of 3 classes in train and val, an image list of val, and archives of the folder."""
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("data") / "images"
    for split in ("train", "val"):
        for i in range(3 * IMAGES):
            image = rng.integers(0, 256, (8 + i, 12, 3), np.uint8)
            path = root / split / f"class {i // IMAGES}" / f"{i}.{'JPEG' if i % 2 else 'png'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), image)
    (root / "meta").mkdir()
    (root / "meta" / "val.txt").write_text("class 1/6.png 1\nclass 0/1.JPEG 0\n")
    for kind in ("zip", "tar"):
        shutil.make_archive(str(root), kind, root.parent, "images")
    return root


def roots(folder: Path) -> list[str]:
    return [f"{kind}://{folder}.{kind}/images" for kind in ("zip", "tar")]


def build(root: Path | str, **arguments: Any) -> Any:
    init_default_scope("mmpretrain")
    config = {
        "type": "mmpretrain.CustomDataset",
        "data_root": str(root),
        "data_prefix": "train",
        "pipeline": PIPELINE,
        **arguments,
    }
    return DATASETS.build(config)


def assert_same_batches(ours: DataLoader, theirs: DataLoader) -> None:
    seen = 0
    for our, their in zip(ours, theirs, strict=True):
        assert all(map(torch.equal, our["inputs"], their["inputs"]))
        for one, other in zip(our["data_samples"], their["data_samples"], strict=True):
            assert one.gt_label.item() == other.gt_label.item()
            seen += 1
    assert seen == len(ours.dataset)  # type: ignore[arg-type]


def loader(dataset: Any, workers: int) -> DataLoader:
    config = {
        "batch_size": 2,
        "num_workers": workers,
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "collate_fn": {"type": "pseudo_collate"},
        "dataset": dataset,
    }
    return Runner.build_dataloader(config, seed=0)


@pytest.mark.parametrize("kind", [0, 1], ids=["zip", "tar"])
def test_samples_classes_and_labels_are_those_of_the_folder(folder: Path, kind: int) -> None:
    root = roots(folder)[kind]
    ours, theirs = build(root), build(folder)
    assert ours.metainfo["classes"] == theirs.metainfo["classes"]
    assert ours.get_gt_labels().tolist() == theirs.get_gt_labels().tolist()
    assert [ours.get_data_info(i)["img_path"].removeprefix(root) for i in range(len(ours))] == [
        theirs.get_data_info(i)["img_path"].removeprefix(str(folder)) for i in range(len(theirs))
    ]
    for workers in (0, 2):
        assert_same_batches(loader(ours, workers), loader(theirs, 0))


def test_unpickling_an_address_registers_the_backend(folder: Path) -> None:
    # Spawned loader workers rely on this. Spawning one would take half a minute of imports.
    for root in roots(folder):
        dataset = pickle.loads(pickle.dumps(build(root)))
        address = dataset.get_data_info(0)["img_path"]
        assert type(address).__module__ == ArchiveBackend.__module__
        assert dataset[0]["inputs"].shape == (3, 8, 12)


def test_an_annotation_list_may_be_in_the_archive(folder: Path) -> None:
    arguments = {"type": "mmpretrain.ImageNet", "data_prefix": "", "split": "val"}
    classes = {"classes": ["a", "b", "c"]}
    for root in roots(folder):
        ours, theirs = (build(r, **arguments, metainfo=classes) for r in (root, folder))
        assert ours.get_gt_labels().tolist() == theirs.get_gt_labels().tolist() == [1, 0]
        assert_same_batches(loader(ours, 0), loader(theirs, 0))


def test_folders_are_listed_as_mmengine_lists_them(folder: Path) -> None:
    (folder / ".hidden").touch()
    options: list[dict[str, Any]] = [
        {},
        {"list_dir": False},
        {"list_file": False, "recursive": True},
        {"recursive": True},
        {"list_dir": False, "recursive": True, "suffix": (".png", ".txt")},
    ]
    for root in roots(folder):
        for option in options:
            ours = sorted(list_dir_or_file(root, **option))
            assert ours == sorted(list_dir_or_file(folder, **option)), option
        with pytest.raises(FileNotFoundError, match="holds no folder 'images/absent'"):
            next(iter(list_dir_or_file(f"{root}/absent")))


def test_files_and_folders_are_told_apart(folder: Path) -> None:
    for root in roots(folder):
        file = f"{root}/meta/val.txt"
        assert get_text(file) == (folder / "meta" / "val.txt").read_text()
        assert (exists(file), isfile(file), isdir(file)) == (True, True, False)
        for address in (f"{root}/meta", f"{root}/meta/"):
            assert (exists(address), isfile(address), isdir(address)) == (True, False, True)
        assert not exists(f"{root}/meta/va")


def _config(root: str, **options: Any) -> Config:
    return load_config(CONFIG, {"pretrain_root": root, **options})


SPLITS = {"train_dataloader": "train", "test_dataloader": "val"}


def test_preflight_checks_archives_like_folders(folder: Path) -> None:
    for root in roots(folder):
        with pytest.raises(ValueError, match=r"num_classes is 10, but .*images/train has 3 class"):
            check_splits(_config(root), SPLITS)
        options = {"num_classes": 3}
        check_splits(_config(f"{root}/", **options), SPLITS)
        with pytest.raises(ValueError, match="holds no folder 'imag/train'; its folders"):
            check_splits(_config(root[:-2], **options), SPLITS)
        options |= {"test_dataloader.dataset.data_prefix": "train"}
        with pytest.raises(ValueError, match=r"splits 'train' and 'val' share 18 image\(s\)"):
            check_splits(_config(root, **options), SPLITS)
