"""The kind of device that scores: it is part of what a score means."""

import os

import torch

from detnas.errors import UserError


def scoring_device() -> str:
    """The kind of device that this process scores on: "cuda" where it sees a GPU, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def is_tf32_allowed() -> bool:
    """Whether the environment lets CUDA multiply float32 in TF32."""
    return os.environ.get("NVIDIA_TF32_OVERRIDE") != "0"


def use_device(kind: str | None, tf32: bool | None) -> None:
    """Make sure that this process scores as its search does, and set TF32; None leaves it open.

    Raises:
        UserError: the process sees another kind of device, or its environment forbids TF32.
    """
    here = scoring_device()
    if kind is not None and kind != here:
        mend = (
            "hide the GPU from it (CUDA_VISIBLE_DEVICES=-1), or begin a search with "
            "search.evaluator.device='cuda'"
            if kind == "cpu"
            else "go on where there is a GPU, or search in another work directory"
        )
        raise UserError(
            f"this search scores on {kind}, and this process has {here}, which scores otherwise: "
            f"{mend}"
        )
    if tf32 is None or here == "cpu":
        return
    if tf32 and not is_tf32_allowed():
        raise UserError(
            "this search scores in TF32, which NVIDIA_TF32_OVERRIDE=0 forbids here: unset it, or "
            "begin a search with search.evaluator.tf32=False"
        )
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
