# Two candidates scored by VOC's mAP.
_base_ = ["./finetune.py", "../../../configs/_base_/search.py"]
search = dict(
    strategy=dict(type="random", generations=1, population=2),
    evaluator=dict(calibration_images=4, calibration_batch_size=2, threads=2),
)
