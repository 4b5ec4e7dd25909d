# A small EfficientDet for scenes of digits of 6 to 100 pixels: three levels, two cells, one layer a
# head.
_base_ = [
    "../_base_/models/efficientdet.py",
    "../_base_/spaces/tiny_skip.py",
    "../_base_/preprocessing/imagenet.py",
    "../_base_/datasets/digits.py",
    "../_base_/schedules/detection.py",
    "../_base_/runtime.py",
]
bifpn_channels = 48
bifpn_cells = 2
head_convs = 1
pyramid_levels = 3
anchor_scale = 2.0
model = dict(
    bbox_head=dict(anchor_generator=dict(aspects=[(0.8, 1.2)])),  # digits are tall
    # With all boxes, NMS takes most of the time of a weak network.
    test_cfg=dict(nms_pre=1000, score_thr=0.05, max_per_img=30),
)
batch_size = 8
warmup_iters = 30
