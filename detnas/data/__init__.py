"""Data: the embedded demo sets and the checks made before any work.

- `digits` writes the demo data, drawn from scikit-learn's handwritten digits.
- `coco` and `voc` read annotation files and refuse unusable ones.
- `split` carves a search split out of them.
- `archives` reads images from a zip or tar without unpacking it.
- `checks` refuses missing images, unknown classes and overlapping splits.

Importing this package imports none of them, nor torch, nor OpenMMLab.
"""
