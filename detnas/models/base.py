"""What both backbones share as OpenMMLab's modules: configs of norms and of initial weights."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from detnas.errors import UserError
from detnas.models.checkpoints import load_backbone_weights
from detnas.networks.base import MEMORY_FORMATS, Network
from detnas.networks.checkpoints import identity_of
from search_space.blocks import NormFactory, initialise
from search_space.choices import BlockSpec
from search_space.spaces import SearchSpace

__all__ = ["MEMORY_FORMATS", "Backbone"]


class Backbone(Network, BaseModule):
    """The common part of `DetNASSupernet` and `DetNASNet`.

    Args:
        space: the search space.
        channel_shuffle: "even_odd" or "interleave"; weights trained with one fail with the other.
        build_block: builds a block, with the given function for normalisation layers.
        out_indices: which of the four stages are returned: (0, 1, 2, 3) for FPN (strides 4, 8,
            16, 32), (1, 2, 3) for RetinaNet, (3,) for classification.
        frozen_stages: freeze the stem and this many stages; 0 freezes the stem, -1 nothing.
        norm_cfg: OpenMMLab's config of the normalisation layers; None means batch norm.
        norm_eval: keep the running statistics of batch norm fixed during training.
        memory_format: "channels_last" (faster) or "contiguous"; results differ by rounding.
        init_cfg: None initialises weights as the authors do. dict(type="Pretrained",
            checkpoint=FILE) loads a checkpoint of DetNAS; a `DetNASNet` also loads its slice of a
            supernet's checkpoint. A checkpoint of None equals no init_cfg.
    """

    def __init__(
        self,
        space: SearchSpace,
        channel_shuffle: str,
        build_block: Callable[[BlockSpec, NormFactory], nn.Module],
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        norm_cfg: dict[str, Any] | None = None,
        norm_eval: bool = False,
        memory_format: str = "channels_last",
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        if init_cfg is not None and (
            init_cfg.get("type") != "Pretrained" or "checkpoint" not in init_cfg
        ):
            raise UserError(
                "init_cfg of a DetNAS backbone may be None or dict(type='Pretrained', "
                f"checkpoint=...), not {init_cfg}"
            )

        def norm(channels: int) -> nn.Module:
            return build_norm_layer(dict(norm_cfg or {"type": "BN"}), channels)[1]

        super().__init__(
            space,
            channel_shuffle,
            build_block,
            out_indices,
            frozen_stages,
            norm,
            norm_eval,
            memory_format,
        )
        self.init_cfg = deepcopy(init_cfg) if init_cfg and init_cfg["checkpoint"] else None

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images (N, 3, H, W) to the feature maps of `out_indices`, at strides 4, 8, 16, 32."""
        return self.feature_maps(x)

    def identity(self) -> dict[str, Any]:
        """What checkpoints record of this backbone: kind, space, channel shuffle, choices."""
        return identity_of(self.space, self.channel_shuffle)

    def init_weights(self) -> None:
        """Initialise the weights, or load the checkpoint of `init_cfg`."""
        if self.init_cfg is None:
            initialise(self)
        else:
            load_backbone_weights(
                self, Path(self.init_cfg["checkpoint"]), self.init_cfg.get("prefix", "backbone.")
            )
        self._is_init = True
