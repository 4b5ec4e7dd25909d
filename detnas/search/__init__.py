"""The search: strategies that propose (ask/tell), the history, executors, the loop that joins them.

Imports neither torch nor OpenMMLab; whoever starts a search supplies the evaluator as a callable.
"""
