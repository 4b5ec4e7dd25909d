# ShuffleNetV2-20 (every block 3x3), trained on PASCAL VOC under Faster R-CNN with FPN.
_base_ = ["../detnas_small_voc_fpn/retrain.py"]
architecture = "shufflenetv2-20"
pretrained = "{experiment}/../shufflenetv2_20/pretrain_subnet/final.pth"
