"""Scoring: batch-norm recalibration, the candidate evaluator, latency, and `detnas test`."""

import detnas.models  # noqa: F401 - before mmdet, which imports mmcv's operators
