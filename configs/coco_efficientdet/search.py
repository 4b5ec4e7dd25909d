# Evolutionary search on the search split of COCO.
_base_ = ["./finetune.py", "../_base_/paper/search.py"]
