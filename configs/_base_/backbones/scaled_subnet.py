# The network of one architecture, made wider and deeper as the EfficientNet of `compound` is.
_base_ = ["./subnet.py"]
scaling = "{compound}"  # or dict(_delete_=True, width=1.2, depth=1.4)
backbone = dict(scaling="{scaling}")
