"""Stand-in for mmcv's compiled operators, implemented with torchvision.

mmdet imports `mmcv.ops`, which needs the compiled extension `mmcv._ext`. Compiling it takes a C++
compiler and a quarter of an hour. `ensure_mmcv_ops` installs this stand-in if mmcv has no compiled
operators.
"""

import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from detnas.errors import MissingPackageError, UnsupportedError

EXTENSION = "mmcv._ext"
OPENMMLAB = ("mmengine", "mmcv", "mmdet", "mmpretrain")


def ensure_mmcv_ops() -> bool:
    """Make `import mmcv.ops` work without compiled operators.

    Modules of mmdet that were loaded before get the operators, too.

    Returns:
        Whether the stand-in is used; False means mmcv's compiled operators.
    Raises:
        MissingPackageError: OpenMMLab's packages are not installed.
    """
    if isinstance(sys.modules.get(EXTENSION), _StandIn):
        return True
    missing = [name for name in OPENMMLAB if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingPackageError(
            f"DetNAS trains and scores with OpenMMLab, but {', '.join(missing)} is not installed: "
            "run `pip install 'detnas[onedl]'`, or install mmengine, mmcv, mmdet and mmpretrain"
        )
    if importlib.util.find_spec(EXTENSION) is not None:
        return False
    sys.modules[EXTENSION] = _StandIn()
    _replace_fallbacks()
    return True


def _replace_fallbacks() -> None:
    """Give modules that were loaded without operators those of `mmcv.ops`.

    Where that import fails, a module of mmdet defines each operator itself, to raise an error.
    """
    loaded = {name: module for name, module in sys.modules.items() if name.startswith("mmdet.")}
    if not loaded:
        return
    operators = importlib.import_module("mmcv.ops")
    for name, module in loaded.items():
        for operator in vars(module).keys() & set(operators.__all__):
            if getattr(vars(module)[operator], "__module__", None) == name:
                setattr(module, operator, getattr(operators, operator))


class _StandIn(ModuleType):
    """The stand-in module: implemented operators, and a clear error for all others."""

    def __init__(self) -> None:
        super().__init__(EXTENSION, __doc__)
        self.__spec__ = importlib.machinery.ModuleSpec(EXTENSION, loader=None)
        for operator in OPERATORS:
            setattr(self, operator.__name__, operator)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*_: Any, **__: Any) -> Any:
            raise UnsupportedError(
                f"mmcv's operator '{name}' is not compiled here, and DetNAS's stand-in does not "
                "implement it: install an mmcv with compiled operators (for example "
                "`MMCV_WITH_OPS=1 pip install --no-binary :all: onedl-mmcv`, which needs a C++ "
                "compiler), or configure a model that does not use it"
            )

        return refuse


def _refuse_option(operator: str, option: str) -> None:
    raise UnsupportedError(
        f"DetNAS's stand-in for mmcv's operator '{operator}' does not support {option}: install an "
        "mmcv with compiled operators, or change that option"
    )


def get_compiler_version() -> str:
    """For mmcv's environment report."""
    return "not compiled (operators served from torchvision)"


def get_compiling_cuda_version() -> str:
    """For mmcv's environment report."""
    return get_compiler_version()


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Indices of the boxes (N, 4) to keep, by descending score. Offset 1 is not supported."""
    if offset != 0:
        _refuse_option("nms", f"offset={offset}")
    return torch.ops.torchvision.nms(boxes.float(), scores.float(), iou_threshold)


def roi_align_forward(
    input: Tensor, rois: Tensor, output: Tensor, argmax_y: Tensor, argmax_x: Tensor, **options: Any
) -> None:
    """Average RoIAlign of `input` (N, C, H, W) at `rois` (R, 5) into `output` (R, C, h, w).

    Computed in fp32 and cast back to the input's dtype. Max pooling is not supported.
    """
    pooling = _pooling("roi_align_forward", **options)
    output.copy_(torch.ops.torchvision.roi_align(input.float(), rois.float(), **pooling))


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    **options: Any,
) -> None:
    """Gradient of `roi_align_forward` with respect to its input, written into `grad_input`."""
    pooling = _pooling("roi_align_backward", **options)
    pooling |= zip(("batch_size", "channels", "height", "width"), grad_input.shape, strict=True)
    backward = torch.ops.torchvision._roi_align_backward
    grad_input.copy_(backward(grad_output.float(), rois.float(), **pooling))


def _pooling(
    operator: str, *, pool_mode: int, aligned_height: int, aligned_width: int, **others: Any
) -> dict[str, Any]:
    """torchvision's arguments from those of mmcv; the others have the same names in both."""
    if pool_mode != 1:
        _refuse_option(operator, "max pooling (pool_mode='max')")
    return {"pooled_height": aligned_height, "pooled_width": aligned_width, **others}


def _focal_parts(logits: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    if weight.numel() > 0:
        _refuse_option("sigmoid_focal_loss", "class weights")
    x = logits.float()
    classes = torch.arange(x.shape[1], device=x.device)
    return x, (target.unsqueeze(1) == classes).to(x.dtype)


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, *, gamma: float, alpha: float
) -> None:
    """Focal loss (1708.02002, eq. 5) of logits (N, K) against class indices (N,), per element.

    An index of K or more is background. Class weights are not supported.
    """
    x, positive = _focal_parts(input, target, weight)
    p = x.sigmoid()
    on = -alpha * (1 - p) ** gamma * functional.logsigmoid(x)
    off = -(1 - alpha) * p**gamma * functional.logsigmoid(-x)
    output.copy_(positive * on + (1 - positive) * off)


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, *, gamma: float, alpha: float
) -> None:
    """Gradient of `sigmoid_focal_loss_forward` for the logits, written into `grad_input`."""
    x, positive = _focal_parts(input, target, weight)
    p = x.sigmoid()
    on = -alpha * (1 - p) ** gamma * (1 - p - gamma * p * functional.logsigmoid(x))
    off = -(1 - alpha) * p**gamma * (gamma * (1 - p) * functional.logsigmoid(-x) - p)
    grad_input.copy_(positive * on + (1 - positive) * off)


OPERATORS: tuple[Callable[..., Any], ...] = (
    get_compiler_version,
    get_compiling_cuda_version,
    nms,
    roi_align_forward,
    roi_align_backward,
    sigmoid_focal_loss_forward,
    sigmoid_focal_loss_backward,
)
