"""Scoring: batch-norm recalibration, the candidate evaluator, the test of a finished network."""

import detnas.models  # noqa: F401 - before anything of mmdet, which looks for mmcv's operators
