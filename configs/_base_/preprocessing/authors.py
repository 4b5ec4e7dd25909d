# Pixels as the DetNAS authors' weights take them: BGR from 0 to 255, not normalised.
mean = [0.0, 0.0, 0.0]
std = [1.0, 1.0, 1.0]
rgb = False
