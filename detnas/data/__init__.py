"""Data: the embedded demo sets and the checks made before any work.

- `digits` writes the demo data, drawn from scikit-learn's handwritten digits.
- `coco` reads an annotation file and refuses an unusable one.
- `checks` refuses missing images, unknown classes and overlapping splits.

Importing this package imports none of them, nor torch, nor OpenMMLab.
"""
