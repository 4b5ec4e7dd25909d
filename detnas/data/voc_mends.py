"""Mends of VOC's XML files, for checks and data sets alike: sizes, and boxes of no use.

As mmdet reads it, a box in VOC runs from `xmin - 1` to `xmax - 1`, fractions cut off.
"""

import math
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from detnas.data.coco_mends import UNUSABLE_BOXES

SIDES = ("xmin", "ymin", "xmax", "ymax")


def mended_tree(xml: Path | str) -> "tuple[ElementTree.ElementTree[Element], Counter[str]]":
    """The tree of a file after `mend_voc`, and what that changed.

    Raises:
        ElementTree.ParseError: it is not XML.
    """
    tree = ElementTree.parse(xml)
    return tree, mend_voc(tree.getroot())


def mend_voc(root: Element) -> Counter[str]:
    """Change the element of one image in place; what cannot be mended stays as it is.

    - a size with fractions is cut to whole pixels, one that is not positive is removed, so that
      that of the image is taken;
    - objects whose boxes have no width or height inside their image are removed.
    """
    counts: Counter[str] = Counter()
    size = root.find("size")
    limits = (math.inf, math.inf)
    if size is not None:
        sides = [_number(size.findtext(side)) for side in ("width", "height")]
        if any(side is None or side < 1 for side in sides):
            root.remove(size)
            counts["images have no size: it is that of the file"] += 1
        else:
            limits = (int(sides[0] or 0), int(sides[1] or 0))
            for side, value in zip(("width", "height"), limits, strict=True):
                node = size.find(side)
                assert node is not None, "it has a number"
                node.text = str(value)
    for item in root.findall("object"):
        box = voc_box(item)
        if box is not None and not _has_inside(box, limits):
            root.remove(item)
            counts[UNUSABLE_BOXES] += 1
    return counts


def voc_box(item: Element) -> tuple[int, ...] | None:
    """The box of an object as mmdet reads it, from 0; None if it is not four finite numbers."""
    box = item.find("bndbox")
    sides = [None if box is None else _number(box.findtext(side)) for side in SIDES]
    if any(side is None for side in sides):
        return None
    return tuple(int(side) - 1 for side in sides if side is not None)


def _has_inside(box: tuple[int, ...], limits: tuple[float, float]) -> bool:
    left, top, right, bottom = box
    width = min(right, limits[0]) - max(left, 0)
    return width > 0 and min(bottom, limits[1]) - max(top, 0) > 0


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
