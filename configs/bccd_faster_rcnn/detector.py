# Faster R-CNN with FPN for blood cells: what fine-tuning, search and retraining share. On a CPU it
# is several times slower than RetinaNet: these schedules are shortened to show that everything
# runs, not to rank well.
_base_ = [
    "../_base_/models/faster_rcnn_narrow.py",
    "../_base_/spaces/small.py",
    "../_base_/preprocessing/imagenet.py",
    "../_base_/datasets/bccd.py",
    "../_base_/schedules/detection.py",
    "../_base_/runtime.py",
]
warmup_iters = 30
