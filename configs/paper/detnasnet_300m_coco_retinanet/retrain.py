# It, trained on COCO under RetinaNet.
_base_ = ["./network.py", "../../_base_/paper/coco_retinanet.py"]
pretrained = "{experiment}/pretrain_subnet/final.pth"
