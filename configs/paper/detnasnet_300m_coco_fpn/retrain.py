# It, trained on COCO under Faster R-CNN with FPN.
_base_ = ["./network.py", "../../_base_/paper/coco_fpn.py"]
pretrained = "{experiment}/pretrain_subnet/final.pth"
