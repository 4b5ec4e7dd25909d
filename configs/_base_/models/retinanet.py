# RetinaNet over any backbone of four stages: FPN levels at strides 8, 16, 32 and two more. As in
# the authors' configs the backbone alone has batch norm; retinanet_sep_bn.py gives it to the rest.
norm_cfg = dict(type="SyncBN")  # plain batch norm on a CPU
out_indices = (1, 2, 3)
fpn_channels = 256
model = dict(
    type="RetinaNet",
    data_preprocessor=dict(
        type="DetDataPreprocessor",
        mean="{mean}",
        std="{std}",
        bgr_to_rgb="{rgb}",
        pad_size_divisor=32,
    ),
    backbone="{backbone}",
    neck=dict(
        type="FPN",
        in_channels="{stage_channels[1:]}",
        out_channels="{fpn_channels}",
        num_outs=5,
        add_extra_convs="on_input",
    ),
    bbox_head=dict(
        type="RetinaHead",
        num_classes="{num_classes}",
        in_channels="{fpn_channels}",
        stacked_convs=4,
        feat_channels="{fpn_channels}",
        anchor_generator=dict(
            type="AnchorGenerator",
            octave_base_scale=4,
            scales_per_octave=3,
            ratios=[0.5, 1.0, 2.0],
            strides=[8, 16, 32, 64, 128],
        ),
        bbox_coder=dict(
            type="DeltaXYWHBBoxCoder",
            target_means=[0.0, 0.0, 0.0, 0.0],
            target_stds=[1.0, 1.0, 1.0, 1.0],
        ),
        loss_cls=dict(type="FocalLoss", use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
        loss_bbox=dict(type="L1Loss", loss_weight=1.0),
    ),
    train_cfg=dict(
        assigner=dict(
            type="MaxIoUAssigner",
            pos_iou_thr=0.5,
            neg_iou_thr=0.4,
            min_pos_iou=0,
            ignore_iof_thr=-1,
        ),
        sampler=dict(type="PseudoSampler"),
        allowed_border=-1,
        pos_weight=-1,
        debug=False,
    ),
    test_cfg=dict(
        nms_pre=1000,
        min_bbox_size=0,
        score_thr=0.05,
        nms=dict(type="nms", iou_threshold=0.5),
        max_per_img=100,
    ),
)
