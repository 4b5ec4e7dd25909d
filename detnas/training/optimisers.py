"""Optimiser wrappers: bf16 and fp16 on any device, and weight decay in two parameter groups."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn

from detnas.errors import UserError
from detnas.models.checkpoints import unwrapped
from detnas.models.precision import keep_boxes_in_fp32

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(AmpOptimWrapper):
    """mmengine's AmpOptimWrapper for any device; it scales the loss for fp16 alone.

    The config's key `amp` selects it instead of OptimWrapper. AmpOptimWrapper needs CUDA, and also
    scales the loss of bf16, which has the range of fp32. A step whose gradients overflow in fp16 is
    skipped. Weights, boxes and losses stay in fp32: see `keep_boxes_in_fp32`.

    Args:
        precision: "bf16" or "fp16".
        kwargs: OptimWrapper's arguments.
    """

    def __init__(self, precision: str, **kwargs: Any) -> None:
        OptimWrapper.__init__(self, **kwargs)  # that of AmpOptimWrapper fails without CUDA
        self._device = get_device()
        self.cast_dtype = PRECISIONS[precision]
        self.loss_scaler = torch.amp.GradScaler(self._device, enabled=precision == "fp16")
        self._scale_update_param = None  # the scale is dynamic
        self._hooked = False

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """The context of the forward pass, under autocast."""
        if not self._hooked:
            keep_boxes_in_fp32(model)
            self._hooked = True
        autocast = torch.autocast(self._device, self.cast_dtype)
        with OptimWrapper.optim_context(self, model), autocast:
            yield

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state from `state_dict`; that of another precision has no loss scale."""
        if not state_dict.get("loss_scaler"):
            state_dict.pop("loss_scaler", None)
        super().load_state_dict(state_dict)


def with_precision(optim_wrapper: dict[str, Any], amp: str | None) -> dict[str, Any]:
    """The config of an optimiser wrapper for the precision in the config's key `amp`.

    Raises:
        UserError: the precision is not in `PRECISIONS`, or the wrapper is not an OptimWrapper.
    """
    if amp is None:
        return optim_wrapper
    if amp not in tuple(PRECISIONS):  # a tuple, as `amp` may be an unhashable list
        raise UserError(f"amp is {amp!r}; it may be {', '.join(PRECISIONS)} or None")
    kind = optim_wrapper.get("type", "OptimWrapper")
    if kind != "OptimWrapper":
        raise UserError(
            f"amp is {amp!r}, but optim_wrapper.type is {kind!r}: reset one of them to its default"
        )
    return {**optim_wrapper, "type": "AutocastOptimWrapper", "precision": amp}


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class TwoGroups:
    """Builds an optimiser with two parameter groups: one-dimensional parameters do not decay.

    The result equals mmengine's `paramwise_cfg=dict(flat_decay_mult=0.0)`. That one makes a group
    of every parameter, and steps and schedulers loop over the thousands of groups of a supernet.

    Args:
        optim_wrapper_cfg: the config's `optim_wrapper`, without `constructor`.
        paramwise_cfg: must be empty; part of mmengine's interface.
    """

    def __init__(
        self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None
    ) -> None:
        if paramwise_cfg:
            raise UserError(
                "constructor 'TwoGroups' does not take paramwise_cfg: remove one of them from "
                "optim_wrapper"
            )
        self._config = dict(optim_wrapper_cfg)

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """The wrapper around an optimiser of the model's parameters."""
        config = dict(self._config)
        optimiser = dict(config.pop("optimizer"))
        parameters = list(unwrapped(model).parameters())
        groups: list[dict[str, Any]] = [
            {"params": [p for p in parameters if p.ndim != 1]},
            {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
        ]
        optimiser["params"] = [group for group in groups if group["params"]]
        config.setdefault("type", "OptimWrapper")
        built = OPTIMIZERS.build(optimiser)
        return OPTIM_WRAPPERS.build(config, default_args={"optimizer": built})
