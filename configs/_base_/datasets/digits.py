# The demo's scenes: handwritten digits over textured grounds, written by `detnas demo`.
_base_ = ["./coco_detection.py"]
data_root = "{experiment}/data/detection"
classes = tuple("0123456789")
num_classes = len(classes)
image_scale = (160, 160)
batch_size = 16
flip = dict(prob=0.0)  # a digit has a right way round
