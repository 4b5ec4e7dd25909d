"""What a worker compares before it scores anything: versions, weights, data, the folder."""

from dataclasses import replace
from pathlib import Path

import pytest

from detnas.evaluation.settings import EvaluatorSettings
from detnas.stages.candidate_worker import MakeCandidateEvaluator
from detnas.stages.hashes import input_hashes, versions


@pytest.fixture
def make(tmp_path: Path) -> MakeCandidateEvaluator:
    """For a supernet and data that are files, and no more: nothing here gets as far as reading."""
    from mmengine.config import Config

    for name in ("supernet.pth", "train.json", "search.json"):
        (tmp_path / name).write_text(name)
    loaders = {
        f"{key}_dataloader": {
            "dataset": {"type": "CocoDataset", "ann_file": f"{name}.json", "data_root": "."}
        }
        for key, name in (("train", "train"), ("val", "search"))
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        hashes = input_hashes(Config(loaders), "supernet.pth")
    settings = EvaluatorSettings(threads=1)
    return MakeCandidateEvaluator(
        loaders, "supernet.pth", settings, 0, hashes, versions(), str(tmp_path)
    )


@pytest.mark.parametrize(
    ("file", "named"),
    [("supernet.pth", "supernet_sha256 is "), ("train.json", "data is "), ("search.json", "data")],
)
def test_other_files_are_refused(
    file: str, named: str, make: MakeCandidateEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make.folder)
    Path(file).write_text("another")
    with pytest.raises(ValueError, match=f"{named}.*on this worker and .* at the coordinator"):
        make()


def test_other_versions_and_absent_folders_are_refused(
    make: MakeCandidateEvaluator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"torch is .* on this worker and 1.3 at the coordinator"):
        replace(make, versions={"torch": "1.3"})()
    with pytest.raises(FileNotFoundError, match="nowhere does not exist on this machine"):
        replace(make, folder="/nowhere")()
    (tmp_path / "supernet.pth").unlink()
    with pytest.raises(FileNotFoundError, match=r"supernet\.pth does not exist"):
        make()
