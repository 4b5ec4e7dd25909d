# Evolutionary search in the small space, scored on the search split of PASCAL VOC.
_base_ = ["./finetune.py", "../../_base_/paper/search.py"]
