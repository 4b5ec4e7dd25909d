"""The published networks by name: six that the paper searched, and two hand-made ones.

The choices are those of the authors' released code (megvii-model/DetNAS). The 3.8G network has the
choices of the 1.3G one in a wider space. The hand-made ShuffleNetV2 networks use 3x3 everywhere.
"""

from __future__ import annotations

from search_space.spaces import SPACES

_SEARCHED = {
    "detnasnet-300m-coco-fpn": ("small", "21202112331300313132"),
    "detnasnet-300m-coco-retinanet": ("small", "23113213311133203333"),
    "detnasnet-300m-voc-fpn": ("small", "21031303201133333331"),
    "detnasnet-300m-voc-retinanet": ("small", "13002333233332202311"),
    "detnasnet-1.3g-coco-fpn": ("large", "0031210203123320211320222131033313333333"),
    "detnasnet-3.8g-coco-fpn": ("large-wide", "0031210203123320211320222131033313333333"),
}
_HAND_MADE = {"shufflenetv2-20": "small", "shufflenetv2-40": "large"}

PUBLISHED: dict[str, tuple[str, tuple[int, ...]]] = {
    **{name: (space, tuple(map(int, digits))) for name, (space, digits) in _SEARCHED.items()},
    **{name: (space, (0,) * SPACES[space].num_blocks) for name, space in _HAND_MADE.items()},
}
"""Name to (space name, choices). All have the `even_odd` channel shuffle."""
