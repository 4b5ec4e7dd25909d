"""What a search found, as pictures and one HTML page; reads histories and files, never models.

Imports neither torch nor OpenMMLab. Its modules import matplotlib, so they are imported where they
are needed: `architecture`, `curves` and `detections` draw one picture each, `page` writes the page.
"""
