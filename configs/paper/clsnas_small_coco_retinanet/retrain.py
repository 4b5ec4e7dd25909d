# The network that clsnas_small found, retrained on COCO under RetinaNet.
_base_ = ["../detnas_small_coco_retinanet/retrain.py"]
architecture = "{experiment}/../clsnas_small/search/best_architecture.json"
pretrained = "{experiment}/../clsnas_small/pretrain_subnet/final.pth"
