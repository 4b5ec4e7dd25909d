# A few iterations of retraining on train + search of the COCO subset, tested on val.
_base_ = ["./detector.py", "../_base_/backbones/subnet.py"]
load_from = "{experiment}/finetune/final.pth"
