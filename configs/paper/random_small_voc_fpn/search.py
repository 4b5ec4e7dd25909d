# Random search with as many evaluations, on the fine-tuned supernet of detnas_small_voc_fpn.
_base_ = ["../detnas_small_voc_fpn/finetune.py", "../../_base_/paper/random_search.py"]
search = dict(supernet="{experiment}/../detnas_small_voc_fpn/finetune/final.pth")
