"""Networks of architectures as plain torch modules, and their checkpoints; no OpenMMLab.

`detnas.models` builds the backbones that mmdet knows on what is here.
"""
