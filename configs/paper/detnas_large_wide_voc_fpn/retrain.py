# The wide network, retrained on PASCAL VOC under Faster R-CNN with FPN.
_base_ = ["./network.py", "../../_base_/paper/voc_fpn.py"]
pretrained = "{experiment}/pretrain_subnet/final.pth"
