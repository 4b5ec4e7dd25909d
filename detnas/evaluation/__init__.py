"""Scoring: batch-norm recalibration, the candidate evaluator, the test of a finished network."""
