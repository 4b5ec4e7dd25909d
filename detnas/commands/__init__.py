"""The commands: one module each, with `add_arguments` and `run`.

`detnas.cli` imports only the command that was called. Modules import torch and OpenMMLab, which
take seconds, inside `run`, so that `--help` stays fast.
"""

USER_ERROR, INTERRUPTED = 2, 130
"""Exit statuses."""
