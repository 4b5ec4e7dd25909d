"""Models registered with OpenMMLab; importing this package makes them known to mmdet's configs.

In any mmdet config: `custom_imports = dict(imports=["detnas.models"])`.
"""

from detnas.models.mmcv_ops import ensure_mmcv_ops

ensure_mmcv_ops()

from detnas.models.backbones import DetNASNet, DetNASSupernet  # noqa: E402
from detnas.models.necks import LastConvPool  # noqa: E402

__all__ = ["DetNASNet", "DetNASSupernet", "LastConvPool"]
