# Evolutionary search, scored on the search split's scenes.
_base_ = ["./finetune.py", "./evolution.py"]
