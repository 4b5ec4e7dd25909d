# The supernet under a classifier, as DetNAS pretrains it: 1x1 convolution, dropout, pooling,
# linear.
model = dict(
    type="mmpretrain.ImageClassifier",
    backbone=dict(type="DetNASSupernet", space="small", out_indices=(3,)),
    neck=dict(type="LastConvPool", in_channels=640, out_channels=1024, dropout=0.2),
    head=dict(
        type="mmpretrain.LinearClsHead",
        num_classes="{num_classes}",
        in_channels=1024,
        loss=dict(type="mmpretrain.LabelSmoothLoss", label_smooth_val=0.1, mode="original"),
        topk=(1,),
    ),
)
custom_hooks = [dict(type="PathSamplingHook")]
