"""Reading checkpoints: nothing untrusted is unpickled, damaged files are reported."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from detnas.errors import UserError
from detnas.models import DetNASNet
from detnas.models.checkpoints import fit_backbone, read_checkpoint


class _Attack:
    def __reduce__(self) -> tuple[object, ...]:
        return exec, ("raise SystemExit('code in a checkpoint ran')",)


def test_code_in_a_checkpoint_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": {}, "meta": {"x": _Attack()}}, path)
    with pytest.raises(ValueError, match="contains more than weights"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"hello", "is not a checkpoint: it does not begin as files of torch.save"),
        (b"{}", "is not a checkpoint: it does not begin as files of torch.save"),
        (b"", "is damaged: it is empty"),
        (pickle.dumps({"a": 1}), "is damaged, or is not a checkpoint of torch"),
        (_Attack(), "names exec, which could run code"),
        (torch.nn.Linear(1, 1), "names torch.nn.modules.linear.Linear"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused_without_torchs_advice(
    content: Any, said: str, tmp_path: Path
) -> None:
    """Torch's own message says how to load the file without protection."""
    path = tmp_path / "other.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(UserError, match=f"other.pth .*{said}") as refusal:
        read_checkpoint(path)
    assert "weights_only" not in str(refusal.value)
    assert "safe_globals" not in str(refusal.value)


class _LookUp:
    def __reduce__(self) -> tuple[object, ...]:
        return getattr, (str, "join")


def test_only_the_log_history_may_look_up_attributes(tmp_path: Path) -> None:
    path = tmp_path / "lookup.pth"
    torch.save({"state_dict": {}, "meta": {"x": _LookUp()}}, path)
    with pytest.raises(ValueError, match="not loaded"):
        read_checkpoint(path)


def test_openmmlabs_log_history_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log.pth"
    buffer = HistoryBuffer()
    buffer.update(np.float64(1.5))
    torch.save({"state_dict": {"a": torch.ones(1)}, "message_hub": {"loss": buffer}}, path)
    assert read_checkpoint(path)["message_hub"]["loss"].current() == 1.5


def test_bare_state_dicts_are_wrapped_and_configs_dropped(tmp_path: Path) -> None:
    path = tmp_path / "bare.pth"
    torch.save({"a": torch.ones(2)}, path)
    assert torch.equal(read_checkpoint(path)["state_dict"]["a"], torch.ones(2))
    torch.save({"state_dict": {}, "meta": {"config": "import os"}}, path)
    assert "config" not in read_checkpoint(path)["meta"]


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", pickle.dumps([1, 2])])
def test_a_damaged_file_is_reported_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged") as refusal:
        read_checkpoint(path)
    assert "\n" not in str(refusal.value)


def test_a_truncated_file_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "cut.pth"
    torch.save({"a": torch.randn(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match="damaged"):
        read_checkpoint(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.pth"):
        read_checkpoint(tmp_path / "nothing.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": 5}, "'state_dict' has the type int, not dict"),
        ({"state_dict": {}, "meta": 5}, "'meta' has the type int, not dict"),
    ],
)
def test_content_of_the_wrong_type_is_refused(
    content: dict[str, object], message: str, tmp_path: Path
) -> None:
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(UserError, match=message):
        read_checkpoint(tmp_path / "odd.pth")


def test_a_checkpoint_cut_short_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"x": torch.zeros(100000)}}, tmp_path / "whole.pth")
    data = (tmp_path / "whole.pth").read_bytes()
    for size in (0, 1, 5000, 10000, 50000, len(data) - 1):
        (tmp_path / "cut.pth").write_bytes(data[:size])
        with pytest.raises(UserError, match="damaged"):
            read_checkpoint(tmp_path / "cut.pth")


def test_a_compressed_checkpoint_is_refused(tmp_path: Path) -> None:
    stored, path = tmp_path / "stored.pth", tmp_path / "compressed.pth"
    torch.save({"state_dict": {"x": torch.zeros(100000)}}, stored)
    with ZipFile(stored) as source, ZipFile(path, "w", ZIP_DEFLATED) as target:
        for member in source.infolist():
            target.writestr(member.filename, source.read(member))
    with pytest.raises(UserError, match=r"is compressed \(.*\), which torch's own are not"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        ("tiny", "meta.detnas"),
        ({"kind": "subnet"}, "space"),
        ({"kind": "net", "space": {}, "channel_shuffle": "even_odd", "choices": None}, "kind"),
        ({"kind": "subnet", "space": {}, "channel_shuffle": "even_odd", "choices": "0"}, "choices"),
    ],
)
def test_an_identity_that_detnas_did_not_write_is_refused(identity: object, said: str) -> None:
    network = DetNASNet("tiny:0,0,0,0,0,0,0,0,0,0")
    checkpoint = {"meta": {"detnas": identity}, "state_dict": network.state_dict()}
    with pytest.raises(UserError, match=f"x.pth was not written by DetNAS: .*{said}"):
        fit_backbone(network, checkpoint, "x.pth", "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda weight: weight.bool(), "numbers of the type torch.bool, the network's are torch.f"),
        (lambda weight: weight.to(torch.int32), "numbers of the type torch.int32"),
        (lambda weight: weight.to(torch.complex64), "numbers of the type torch.complex64"),
        (lambda weight: weight * float("nan"), "has values that are not finite; .* an earlier one"),
        (lambda weight: "text", "is a str, not a tensor"),
        (lambda weight: None, "is a NoneType, not a tensor"),
    ],
)
def test_tensors_of_another_kind_are_refused(
    change: Callable[[torch.Tensor], Any], said: str, tmp_path: Path
) -> None:
    network = DetNASNet("tiny:0,1,2,3,0,1,2,3,0,1")
    weights = {f"backbone.{name}": value for name, value in network.state_dict().items()}
    name = "backbone.stem.0.weight"
    torch.save({"state_dict": {**weights, name: change(weights[name])}}, tmp_path / "changed.pth")
    with pytest.raises(UserError, match=f"stem.0.weight.* {said}"):
        fit_backbone(network, read_checkpoint(tmp_path / "changed.pth"), "changed.pth")
    torch.save({"state_dict": {**weights, 5: weights[name]}}, tmp_path / "changed.pth")
    with pytest.raises(UserError, match="the name 5 of one of its weights is not text"):
        read_checkpoint(tmp_path / "changed.pth")
