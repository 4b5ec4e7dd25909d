# EfficientDet over any backbone with maps at strides 8, 16 and 32: BiFPN and its head. `compound`,
# a published model ("d0" to "d7x") or a coefficient from 0 to 7, sets what is in braces here and
# has no value of its own: search_space/compound_scaling.py.
compound = "d0"
norm_cfg = dict(type="SyncBN", momentum=0.01, eps=1e-3)
out_indices = (1, 2, 3)
graph = "bifpn"
model = dict(
    type="RetinaNet",  # mmdet's name of a detector of one stage: backbone, neck, head
    data_preprocessor=dict(
        type="DetDataPreprocessor",
        mean="{mean}",
        std="{std}",
        bgr_to_rgb="{rgb}",
        pad_size_divisor="{pyramid_strides[-1]}",
    ),
    backbone="{backbone}",
    neck=dict(
        type="BiFPN",
        in_channels="{stage_channels[1:]}",
        out_channels="{bifpn_channels}",
        num_outs="{pyramid_levels}",
        num_cells="{bifpn_cells}",
        graph="{graph}",
        fusion="{bifpn_fusion}",
        norm_cfg="{norm_cfg}",
    ),
    bbox_head=dict(
        type="EfficientDetHead",
        num_classes="{num_classes}",
        in_channels="{bifpn_channels}",
        num_ins="{pyramid_levels}",
        stacked_convs="{head_convs}",
        norm_cfg="{norm_cfg}",
        anchor_generator=dict(
            type="AspectAnchorGenerator",
            aspects=[(1.0, 1.0), (1.4, 0.7), (0.7, 1.4)],
            octave_base_scale="{anchor_scale}",
            scales_per_octave=3,
            strides="{pyramid_strides}",
            center_offset=0.5,
        ),
        # mmdet limits how much an anchor may grow or shrink; the authors do not.
        bbox_coder=dict(type="DeltaXYWHBBoxCoder", wh_ratio_clip=1e-8),
        loss_cls=dict(type="FocalLoss", use_sigmoid=True, alpha=0.25, gamma=1.5),
        # The authors' Huber loss of delta 0.1, weight 50, mean over four coordinates: 50 * 0.1 / 4.
        loss_bbox=dict(type="SmoothL1Loss", beta=0.1, loss_weight=1.25),
    ),
    train_cfg=dict(
        # IoU of 0.5, and for each object its best anchor, whatever its IoU.
        assigner=dict(
            type="MaxIoUAssigner",
            pos_iou_thr=0.5,
            neg_iou_thr=0.5,
            min_pos_iou=0.0,
            gt_max_assign_all=False,
            ignore_iof_thr=-1,
        ),
        sampler=dict(type="PseudoSampler"),
        allowed_border=-1,
        pos_weight=-1,
        debug=False,
    ),
    test_cfg=dict(
        nms_pre=5000,
        min_bbox_size=0,
        score_thr=0.01,
        nms=dict(type="nms", iou_threshold=0.5),
        max_per_img=100,
    ),
)
