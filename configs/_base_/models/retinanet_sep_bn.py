# RetinaNet with batch norm in FPN and head too, in the head a separate one for every level: for
# short schedules and for training from scratch.
_base_ = ["./retinanet.py"]
num_levels = 5
model = dict(
    neck=dict(add_extra_convs="on_output", num_outs="{num_levels}", norm_cfg="{norm_cfg}"),
    bbox_head=dict(type="RetinaSepBNHead", num_ins="{num_levels}", norm_cfg="{norm_cfg}"),
)
