# Path-wise fine-tuning.
_base_ = ["../retinanet/finetune.py"]
