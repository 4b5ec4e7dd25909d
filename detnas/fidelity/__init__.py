"""How well a supernet's scores predict those of networks trained on their own.

`statistics` compares the scores, with `correlation` and `regret`. `table` stores them in a file.
`simulation` runs search strategies on a model of the table. `reranking` learns from a few trained
networks.
"""
