"""The stand-in for mmcv's compiled operators against outputs of compiled mmcv 2.3.6."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import detnas.models  # noqa: F401 - installs the stand-in
from detnas.models import mmcv_ops

GOLDEN = np.load(Path(__file__).parents[2] / "data" / "mmcv_ops.npz")
uses_stand_in = pytest.mark.skipif(
    not isinstance(sys.modules.get("mmcv._ext"), mmcv_ops._StandIn),
    reason="mmcv has compiled operators here",
)


def _tensor(name: str) -> torch.Tensor:
    return torch.from_numpy(GOLDEN[name])


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_nms_is_identical(threshold: float) -> None:
    from mmcv.ops import batched_nms, nms

    boxes, scores, labels = _tensor("boxes"), _tensor("scores"), _tensor("labels")
    _, keep = nms(boxes, scores, threshold)
    assert torch.equal(keep, _tensor(f"nms_{threshold}_keep"))
    kept, keep = batched_nms(boxes, scores, labels, {"type": "nms", "iou_threshold": threshold})
    assert torch.equal(keep, _tensor(f"batched_nms_{threshold}_keep"))
    assert torch.equal(kept, _tensor(f"batched_nms_{threshold}_dets"))


@pytest.mark.parametrize("sampling_ratio", [0, 2])
@pytest.mark.parametrize("aligned", [0, 1])
def test_roi_align_is_identical_forward_and_backward(sampling_ratio: int, aligned: int) -> None:
    from mmcv.ops import roi_align

    features = _tensor("feat").requires_grad_()
    out = roi_align(features, _tensor("rois"), 7, 0.125, sampling_ratio, "avg", bool(aligned))
    name = f"sr{sampling_ratio}_al{aligned}"
    assert torch.equal(out, _tensor(f"roi_{name}"))
    upstream = torch.linspace(-1, 1, out.numel()).view_as(out)  # as for the golden gradient
    out.backward(upstream)
    assert features.grad is not None
    assert torch.equal(features.grad, _tensor(f"roi_grad_{name}"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_roi_align_computes_lower_precisions_in_fp32(dtype: torch.dtype) -> None:
    from mmcv.ops import roi_align

    features = _tensor("feat").to(dtype).requires_grad_()
    out = roi_align(features, _tensor("rois").to(dtype), 7, 0.25, 2, "avg", True)
    assert out.dtype == dtype
    reference = roi_align(features.detach().float(), _tensor("rois").to(dtype).float(), 7, 0.25, 2)
    torch.testing.assert_close(out, reference.to(dtype))
    out.sum().backward()
    assert features.grad is not None
    assert features.grad.dtype == dtype


def test_sigmoid_focal_loss_and_its_gradient() -> None:
    from torchvision.ops import sigmoid_focal_loss

    torch.manual_seed(0)
    logits = (4 * torch.randn(20, 5, dtype=torch.float32)).requires_grad_()
    target = torch.randint(0, 6, (20,))  # 5 is background
    output, gradient = torch.empty(20, 5), torch.empty(20, 5)
    none = torch.empty(0)
    options = {"gamma": 2.0, "alpha": 0.25}
    mmcv_ops.sigmoid_focal_loss_forward(logits.detach(), target, none, output, **options)
    mmcv_ops.sigmoid_focal_loss_backward(logits.detach(), target, none, gradient, **options)
    one_hot = torch.nn.functional.one_hot(target, 6)[:, :5].float()
    reference = sigmoid_focal_loss(logits, one_hot, alpha=0.25, gamma=2.0, reduction="none")
    torch.testing.assert_close(output, reference.detach(), rtol=1e-5, atol=1e-7)
    reference.sum().backward()
    torch.testing.assert_close(gradient, logits.grad, rtol=1e-4, atol=1e-6)


@uses_stand_in
def test_unsupported_operators_and_options_are_named() -> None:
    from mmcv.ops import nms, roi_align, soft_nms

    boxes, scores = _tensor("boxes"), _tensor("scores")
    with pytest.raises(NotImplementedError, match="offset=1"):
        nms(boxes, scores, 0.5, offset=1)
    with pytest.raises(NotImplementedError, match="max pooling"):
        roi_align(_tensor("feat"), _tensor("rois"), 7, 0.25, 2, "max", True)
    with pytest.raises(NotImplementedError, match=r"'softnms'.*install.*or configure"):
        soft_nms(boxes, scores)
    with pytest.raises(NotImplementedError, match="class weights"):
        mmcv_ops.sigmoid_focal_loss_forward(
            torch.zeros(1, 2),
            torch.zeros(1, dtype=torch.long),
            torch.ones(2),
            torch.zeros(1, 2),
            gamma=2.0,
            alpha=0.25,
        )


@uses_stand_in
def test_modules_that_were_loaded_before_get_the_operators() -> None:
    code = (
        "import mmdet.apis; from mmdet.structures.mask import structures; "
        "import detnas.models, mmcv.ops; assert structures.roi_align is mmcv.ops.roi_align"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
