"""Reports of a search as pictures and an HTML page, made from its history and files.

Nothing here imports torch or OpenMMLab. `architecture`, `curves` and `detections` draw pictures,
and `page` writes the page. Modules import matplotlib, so importers load them only when needed.
"""
