"""Trains only the batch norm of the backbone from some iteration on (BN-NAS, arXiv 2108.07375)."""

from typing import Annotated, Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from msgspec import Meta, Struct
from torch import nn

from detnas.errors import UserError
from detnas.models.checkpoints import unwrapped


class BatchNormOnly(Struct, frozen=True, forbid_unknown_fields=True):
    """The section `batch_norm_only` of a config.

    Attributes:
        begin: the first iteration, from 0, in which all but batch norm is fixed. In pretraining
            with a warm-up, its `path_warmup_iters`.
    """

    begin: Annotated[int, Meta(ge=0)]


@HOOKS.register_module()
class BatchNormOnlyHook(Hook):
    """Fixes all of the backbone but the weights and biases of batch norm, from an iteration on.

    The backward pass then computes no gradients of convolutions, and the optimiser leaves them, and
    their momentum, as they are. Neck and head train as before. What is fixed is a function of the
    iteration alone, so a resumed run equals an uninterrupted one.

    Args:
        settings: those of the section `batch_norm_only`.
    """

    priority = "HIGHEST"  # before the path hook, which may compute gradients

    def __init__(self, **settings: Any) -> None:
        self._settings = BatchNormOnly(**settings)
        self._is_done = False

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Fixes the parameters when it is time."""
        if self._is_done or runner.iter < self._settings.begin:
            return
        self._is_done = True
        fixed = fix_all_but_batch_norm(unwrapped(runner.model).backbone)
        runner.logger.info(f"only batch norm of the backbone trains now: {fixed} numbers are fixed")


def fix_all_but_batch_norm(backbone: nn.Module) -> int:
    """Fix the parameters of a backbone that are not of batch norm.

    Returns:
        How many numbers they have that were trained before.
    Raises:
        UserError: the backbone has no batch norm that is trained.
    """
    norms = [m for m in backbone.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    kept = {id(p) for norm in norms for p in norm.parameters() if p.requires_grad}
    if not kept:
        raise UserError(
            "batch_norm_only trains only batch norm, but the backbone has none that is trained: "
            "remove it, or lower frozen_stages"
        )
    fixed = [p for p in backbone.parameters() if p.requires_grad and id(p) not in kept]
    for parameter in fixed:
        parameter.requires_grad_(False)
        parameter.grad = None  # so the optimiser leaves it
    return sum(p.numel() for p in fixed)
