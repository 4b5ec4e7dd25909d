"""mmdet's data sets and metrics read COCO files as the checks do: through `coco_mends.mend`.

Importing the module puts this in place, for `CocoDataset` and its subclasses, and `CocoMetric`.
"""

from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO
from mmdet.evaluation.metrics import coco_metric

from detnas.data.coco_mends import mend
from detnas.data.coco_records import load_content


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


_mmdet_load_data_list = CocoDataset.load_data_list
CocoDataset.load_data_list = _load_data_list
coco_metric.COCO = MendedCOCO
