"""How well a supernet's scores predict those of networks trained on their own.

`statistics` compares the scores, with `correlation` and `regret`. `table` holds them, `table_file`
reads and writes them. `simulation` runs search strategies on a `surrogate` of the table, which is a
`ridge` regression.
"""
