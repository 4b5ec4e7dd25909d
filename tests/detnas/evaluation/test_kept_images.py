"""Images in a file that the workers of a machine share."""

import multiprocessing
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from detnas.evaluation import kept_images
from detnas.evaluation.kept_images import FOLDER, SharedFolder

MUCH = 1 << 30
IMAGES = 5


class Images(Dataset[dict[str, Any]]):
    """Writes a line for each image that is loaded, in whichever process."""

    metainfo: ClassVar = {"classes": ("one", "two")}

    def __init__(self, log: Path) -> None:
        self.log = log

    def __len__(self) -> int:
        return IMAGES

    def __getitem__(self, index: int) -> dict[str, Any]:
        with self.log.open("a") as log:
            log.write(f"{index}\n")
        image = torch.arange(3 * 7 * 5, dtype=torch.uint8).reshape(3, 7, 5) + index
        return {"inputs": image, "data_samples": torch.tensor([index])}


def keep(shared: SharedFolder, log: Path) -> list[int]:
    """The sum of each image, as one worker sees them."""
    loader: Any = DataLoader(Images(log), 2, collate_fn=list)
    kept = shared.keep("scored")(lambda: loader, MUCH)
    assert kept.shapes == [(7, 5)] * IMAGES
    assert kept.batch_size == 2
    assert kept.metainfo == Images.metainfo
    sums = [int(item["inputs"].sum()) for item in kept.items]
    kept.items[0]["inputs"].fill_(99)  # reaches no other process, and no file
    assert [int(item["data_samples"]) for item in kept.items] == list(range(IMAGES))
    return sums


def test_workers_load_each_image_once_together(tmp_path: Path) -> None:
    shared = SharedFolder.of_search(tmp_path)
    log = tmp_path / "log"
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        found = pool.starmap(keep, [(shared, log)] * 6, chunksize=1)
    one = int((torch.arange(3 * 7 * 5)).sum())
    assert found == [[one + 3 * 7 * 5 * index for index in range(IMAGES)]] * 6
    assert sorted(log.read_text().split()) == [str(index) for index in range(IMAGES)]
    shared.remove()
    assert not (tmp_path / FOLDER).exists()


def test_what_another_has_written_is_not_read(tmp_path: Path) -> None:
    shared = SharedFolder.of_search(tmp_path)
    keep(shared, tmp_path / "log")
    other = SharedFolder(shared.folder, bytes(32))
    with pytest.raises(RuntimeError, match="was not written by this search"):
        keep(other, tmp_path / "log")


def test_a_full_disk_leaves_the_others_to_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = kept_images.shutil._ntuple_diskusage(1000, 700, 300)  # type: ignore[attr-defined]
    monkeypatch.setattr(kept_images.shutil, "disk_usage", lambda _: usage)
    loader: Any = DataLoader(Images(tmp_path / "log"), 2, collate_fn=list)
    kept = SharedFolder.of_search(tmp_path).keep("scored")(lambda: loader, MUCH)
    assert (len(kept.items), len(kept.shapes)) == (2, IMAGES)  # the third begins at 256
    assert "2 of 5 images fit into the 0 MiB that are free in" in capsys.readouterr().err
