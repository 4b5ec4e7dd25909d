# RetinaNet over ResNet-50, as long and on the same images as retraining: for compare.py.
_base_ = ["./detector.py", "../_base_/backbones/resnet50.py"]
max_iters = 900
