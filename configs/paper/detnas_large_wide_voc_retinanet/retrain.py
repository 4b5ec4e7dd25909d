# The wide network, retrained on PASCAL VOC under RetinaNet.
_base_ = ["./network.py", "../../_base_/paper/voc_retinanet.py"]
pretrained = "{experiment}/pretrain_subnet/final.pth"
