"""The commands of the command line: each module is one, with `add_arguments` and `run`.

`detnas.cli` imports only the one that was called. A module imports torch and OpenMMLab, which take
seconds, inside `run`, so that its `--help` stays fast.
"""

USER_ERROR, INTERRUPTED = 2, 130
"""Exit statuses."""
