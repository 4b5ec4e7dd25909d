# Random search with as many evaluations, on the fine-tuned supernet of detnas_small_voc_retinanet.
_base_ = ["../detnas_small_voc_retinanet/finetune.py", "../../_base_/paper/random_search.py"]
search = dict(supernet="{experiment}/../detnas_small_voc_retinanet/finetune/final.pth")
