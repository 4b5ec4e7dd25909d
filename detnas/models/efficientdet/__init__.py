"""EfficientDet's parts for mmdet: BiFPN, its head, EfficientNet as its authors initialise it."""
