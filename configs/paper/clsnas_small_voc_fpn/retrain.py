# The network that clsnas_small found, retrained on PASCAL VOC under Faster R-CNN with FPN.
_base_ = ["../detnas_small_voc_fpn/retrain.py"]
architecture = "{experiment}/../clsnas_small/search/best_architecture.json"
pretrained = "{experiment}/../clsnas_small/pretrain_subnet/final.pth"
