"""Optimiser wrappers: training in bf16 or fp16 on any device, weight decay in two groups."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch import Tensor, nn

from detnas.errors import UserError
from detnas.models.checkpoints import unwrapped
from detnas.models.precision import keep_boxes_in_fp32

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """An optimiser whose model computes under autocast; fp16 with a dynamic loss scale.

    The config's key `amp` puts it in the place of OptimWrapper. mmengine's AmpOptimWrapper is for
    CUDA alone, and scales the loss of bf16 too, which has fp32's range and needs none. Weights,
    boxes and losses stay in fp32: see `keep_boxes_in_fp32`.

    Args:
        precision: "bf16" or "fp16".
        kwargs: OptimWrapper's arguments.
    """

    def __init__(self, precision: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._device = get_device()
        self._dtype = PRECISIONS[precision]
        self._scaler = torch.amp.GradScaler(self._device, enabled=precision == "fp16")
        self._hooked = False

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast around the forward pass."""
        if not self._hooked:
            keep_boxes_in_fp32(model)
            self._hooked = True
        with super().optim_context(model), torch.autocast(self._device, self._dtype):
            yield

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Backward of the scaled loss."""
        self._scaler.scale(loss).backward(**kwargs)
        self._inner_count += 1

    def step(self, **kwargs: Any) -> None:
        """A step on the unscaled, clipped gradients; none where fp16 overflowed."""
        if self.clip_grad_kwargs:
            self._scaler.unscale_(self.optimizer)
            self._clip_grad()
        self._scaler.step(self.optimizer, **kwargs)
        self._scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """The optimiser's state and the loss scale's."""
        return super().state_dict() | {"loss_scaler": self._scaler.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What `state_dict` gave; a state without loss scale too."""
        scale = state_dict.pop("loss_scaler", None)
        if scale:
            self._scaler.load_state_dict(scale)
        super().load_state_dict(state_dict)


def with_precision(optim_wrapper: dict[str, Any], amp: str | None) -> dict[str, Any]:
    """The config of an optimiser wrapper for the precision that the config's key `amp` names.

    ValueError for another precision than `PRECISIONS`, or a wrapper that brings its own.
    """
    if amp is None:
        return optim_wrapper
    if amp not in tuple(PRECISIONS):  # a list, which has no hash, is refused too
        raise UserError(f"amp is {amp!r}; it may be {', '.join(PRECISIONS)} or None")
    kind = optim_wrapper.get("type", "OptimWrapper")
    if kind != "OptimWrapper":
        raise UserError(
            f"amp is {amp!r}, and optim_wrapper.type is {kind!r}: set one of them to its default"
        )
    return {**optim_wrapper, "type": "AutocastOptimWrapper", "precision": amp}


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class TwoGroups:
    """Builds the optimiser with no weight decay on one-dimensional parameters, in two groups.

    As mmengine's `paramwise_cfg=dict(flat_decay_mult=0.0)`, which makes a group of every parameter:
    a supernet has thousands, and every step and every scheduler goes through all groups.

    Args:
        optim_wrapper_cfg: the config's `optim_wrapper`, without `constructor`.
        paramwise_cfg: must be empty; mmengine's interface has it.
    """

    def __init__(
        self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None
    ) -> None:
        if paramwise_cfg:
            raise UserError(
                "constructor 'TwoGroups' takes no paramwise_cfg: remove one of the two from "
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
