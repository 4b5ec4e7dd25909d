# Twelve classes of COCO, longer side 416 (see docs/data.md): ids that are not contiguous, images
# without boxes, crowd boxes.
_base_ = ["./coco_detection.py"]
data_root = "data/coco_subset"
classes = (
    "person",
    "bicycle",
    "car",
    "motorcycle",
    "bus",
    "train",
    "dog",
    "horse",
    "chair",
    "couch",
    "dining table",
    "tv",
)
num_classes = len(classes)
image_scale = (320, 320)
filter_cfg = dict(filter_empty_gt=True, min_size=8)
