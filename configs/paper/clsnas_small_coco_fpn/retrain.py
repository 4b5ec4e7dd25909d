# The network that clsnas_small found, retrained on COCO under Faster R-CNN with FPN.
_base_ = ["../detnas_small_coco_fpn/retrain.py"]
architecture = "{experiment}/../clsnas_small/search/best_architecture.json"
pretrained = "{experiment}/../clsnas_small/pretrain_subnet/final.pth"
