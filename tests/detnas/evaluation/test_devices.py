"""A process that would score otherwise than its search is refused; TF32 is set as asked."""

from collections.abc import Iterator

import pytest
import torch

from detnas.errors import UserError
from detnas.evaluation.devices import is_tf32_allowed, scoring_device, use_device


@pytest.fixture(autouse=True)
def tf32_as_it_was() -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@pytest.mark.parametrize("here", ["cpu", "cuda"])
def test_another_kind_of_device_is_refused(here: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: here == "cuda")
    assert scoring_device() == here
    use_device(here, True)
    use_device(None, None)
    other = "cpu" if here == "cuda" else "cuda"
    with pytest.raises(UserError, match=f"scores on {other}, and this process has {here}"):
        use_device(other, True)


@pytest.mark.parametrize("tf32", [True, False])
def test_tf32_is_set_for_convolutions_and_products(
    tf32: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    use_device("cuda", tf32)
    assert torch.backends.cuda.matmul.allow_tf32 is tf32
    assert torch.backends.cudnn.allow_tf32 is tf32


def test_an_environment_that_forbids_tf32_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    assert not is_tf32_allowed()
    use_device("cuda", False)
    with pytest.raises(UserError, match="NVIDIA_TF32_OVERRIDE=0 forbids"):
        use_device("cuda", True)
