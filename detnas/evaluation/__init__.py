"""Scoring: batch-norm recalibration, the candidate evaluator, and the test of a finished network."""
