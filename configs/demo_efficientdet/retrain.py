# The found network, trained on train + search from its slice of the pretrained supernet, tested on
# val.
_base_ = ["./detector.py", "../_base_/backbones/subnet.py"]
pretrained = "{experiment}/pretrain/final.pth"
max_iters = 500
lr = 0.008
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="AdamW", lr="{lr}", weight_decay=0.05),
)
