"""mmdet's data sets and metrics read annotations as the checks do: through the same mends.

Importing the module puts this in place: for `CocoDataset`, `XMLDataset`, their subclasses, and
`CocoMetric`.
"""

from collections import defaultdict
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mmdet.datasets import CocoDataset, xml_style
from mmdet.datasets.api_wrappers import COCO
from mmdet.evaluation.metrics import coco_metric
from mmengine.fileio import list_from_file

from detnas.data.coco_mends import mend
from detnas.data.coco_records import load_content
from detnas.data.voc_mends import mended_tree


class MendedCOCO(COCO):  # type: ignore[misc]
    """pycocotools' index of an annotation file, mended where that is possible.

    Args:
        annotation_file: None makes an empty index, which pycocotools fills with detections.
        image_root: of the images' file names; None leaves images without a size as they are.
    """

    def __init__(self, annotation_file: Any = None, image_root: str | None = None) -> None:
        super().__init__()
        if annotation_file is None:
            return
        self.dataset = load_content(Path(annotation_file))
        mend(self.dataset, None if image_root is None else Path(image_root))
        self.createIndex()
        self.img_ann_map: defaultdict[Any, Any] = self.imgToAnns
        self.cat_img_map: defaultdict[Any, Any] = self.catToImgs


def _load_data_list(dataset: Any) -> Any:
    if dataset.COCOAPI is COCO:  # not that of LVIS or of panoptic data
        dataset.COCOAPI = partial(MendedCOCO, image_root=dataset.data_prefix.get("img"))
    return _mmdet_load_data_list(dataset)


def _without_mark(file: Any, *arguments: Any, **options: Any) -> list[str]:
    lines = list_from_file(file, *arguments, **options)
    return [line.removeprefix(MARK) for line in lines]


MARK = "\ufeff"  # a byte order mark, which editors of Windows put first
_mmdet_load_data_list = CocoDataset.load_data_list
CocoDataset.load_data_list = _load_data_list
coco_metric.COCO = MendedCOCO
xml_style.ET = SimpleNamespace(parse=lambda xml: mended_tree(xml)[0])
xml_style.list_from_file = _without_mark
