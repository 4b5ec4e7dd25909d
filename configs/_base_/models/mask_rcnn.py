# Mask R-CNN: the Faster R-CNN beside it and a mask head of four convolutions, with batch norm as in
# the box head. On top of this and of a data set in COCO's format set
#   annotations = dict(with_mask=True)
# and, to score the masks too, `metric=["bbox", "segm"]` in `test_evaluator`.
_base_ = ["./faster_rcnn.py"]
model = dict(
    type="MaskRCNN",
    data_preprocessor=dict(pad_mask=True),
    roi_head=dict(
        mask_roi_extractor=dict(
            type="SingleRoIExtractor",
            roi_layer=dict(type="RoIAlign", output_size=14, sampling_ratio=0),
            out_channels="{fpn_channels}",
            featmap_strides=[4, 8, 16, 32],
        ),
        mask_head=dict(
            type="FCNMaskHead",
            num_convs=4,
            in_channels="{fpn_channels}",
            conv_out_channels="{fpn_channels}",
            num_classes="{num_classes}",
            norm_cfg="{norm_cfg}",
            loss_mask=dict(type="CrossEntropyLoss", use_mask=True, loss_weight=1.0),
        ),
    ),
    train_cfg=dict(rcnn=dict(mask_size=28)),
    test_cfg=dict(rcnn=dict(mask_thr_binary=0.5)),
)
