"""Data: the embedded demo sets and the checks made before any work.

- `digits` writes the demo data, drawn from scikit-learn's handwritten digits.
- `coco` and `voc` read and check annotation files.
- `split` divides annotated images into a train and a search split.
- `archives` reads images from a zip or tar without unpacking it.
- `checks` reports missing images, unknown classes and overlapping splits.

Importing this package imports none of these modules, and neither torch nor OpenMMLab.
"""
