# Blood cells under a microscope, 640x480 (see docs/data.md); half size is enough. Cells have no up.
_base_ = ["./coco_detection.py"]
data_root = "data/bccd"
classes = ("RBC", "WBC", "Platelets")
num_classes = len(classes)
image_scale = (320, 240)
flip = dict(prob=[0.25, 0.25, 0.25], direction=["horizontal", "vertical", "diagonal"])
