# The backbone under a classifier, as DetNAS pretrains it: 1x1 convolution, dropout, pooling,
# linear; label smoothing. Batch norm is each process's own.
norm_cfg = dict(type="BN")
out_indices = (3,)
data_preprocessor = dict(
    type="mmpretrain.ClsDataPreprocessor",
    num_classes="{num_classes}",
    mean="{mean}",
    std="{std}",
    to_rgb="{rgb}",
)
model = dict(
    type="mmpretrain.ImageClassifier",
    backbone="{backbone}",
    neck=dict(
        type="LastConvPool",
        in_channels="{stage_channels[-1]}",
        out_channels="{last_channels}",
        dropout=0.2,
    ),
    head=dict(
        type="mmpretrain.LinearClsHead",
        num_classes="{num_classes}",
        in_channels="{last_channels}",
        loss=dict(type="mmpretrain.LabelSmoothLoss", label_smooth_val=0.1, mode="original"),
        topk=(1,),
    ),
)
