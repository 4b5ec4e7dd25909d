"""Models of DetNAS; importing this package registers them with OpenMMLab.

In any mmdet config: `custom_imports = dict(imports=["detnas.models"])`.
"""

import io
import warnings
from contextlib import redirect_stdout

from detnas.models.mmcv_ops import ensure_mmcv_ops

ensure_mmcv_ops()
for _noise in (  # of packages below, in every process that imports them
    "faster_coco_eval is not installed",
    "Only use 'alpha' for pillow backend",
    "Multi-processing start method `",
):
    warnings.filterwarnings("ignore", message=_noise)
with redirect_stdout(io.StringIO()):  # they print a notice on a missing optional package
    import mmdet.datasets  # noqa: F401
    import mmpretrain.datasets  # noqa: F401

from detnas.models.backbones import DetNASNet, DetNASSupernet  # noqa: E402
from detnas.models.checkpoints import load_openmmlab_safely  # noqa: E402
from detnas.models.efficientdet.bifpn import BiFPN  # noqa: E402
from detnas.models.efficientdet.efficientnet import VarianceScaledEfficientNet  # noqa: E402
from detnas.models.efficientdet.head import (  # noqa: E402
    AspectAnchorGenerator,
    EfficientDetHead,
)
from detnas.models.necks import LastConvPool  # noqa: E402

load_openmmlab_safely()

__all__ = [
    "AspectAnchorGenerator",
    "BiFPN",
    "DetNASNet",
    "DetNASSupernet",
    "EfficientDetHead",
    "LastConvPool",
    "VarianceScaledEfficientNet",
]
