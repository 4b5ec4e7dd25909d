# Pixels as OpenMMLab's models take them: RGB, normalised by ImageNet's mean and deviation.
mean = [123.675, 116.28, 103.53]
std = [58.395, 57.12, 57.375]
rgb = True
