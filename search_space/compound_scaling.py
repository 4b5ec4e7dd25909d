"""EfficientDet's compound scaling: one coefficient sets resolution, BiFPN, head and backbone.

Tan, Pang, Le: "EfficientDet: Scalable and Efficient Object Detection", CVPR 2020. The published
models do not follow the paper's formula everywhere (`departures`), so named models come from a
table, and the formula serves every other coefficient.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct
from msgspec.structs import asdict

from search_space.errors import SpaceError
from search_space.feature_graphs import Fusion
from search_space.validation import convert, did_you_mean

DIVISOR = 8
"""Of channels."""

# Width and depth of the EfficientNets, and channels of B0 at strides 4 to 32 (Tan, Le:
# "EfficientNet", ICML 2019). mmdet's backbone has the same numbers and does not tell them.
_EFFICIENTNETS = {
    "b0": (1.0, 1.0),
    "b1": (1.0, 1.1),
    "b2": (1.1, 1.2),
    "b3": (1.2, 1.4),
    "b4": (1.4, 1.8),
    "b5": (1.6, 2.2),
    "b6": (1.8, 2.6),
    "b7": (2.0, 3.1),
}
_B0_CHANNELS = (24, 40, 112, 320)

_DEPENDENT = ("pyramid_strides", "efficientnet_channels")
"""Settings that follow from others."""


class BackboneScaling(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Factors of a backbone's channels, and of the blocks of each of its stages."""

    width: float
    depth: float


Count = Annotated[int, Meta(ge=1, le=10_000)]


class DetectorScaling(Struct, frozen=True, kw_only=True):
    """What compound scaling sets.

    Attributes:
        image_side: height and width of the input in pixels.
        efficientnet: backbone of that family, such as "b0".
        bifpn_channels: of the BiFPN and the heads.
        bifpn_cells: repetitions of the BiFPN.
        bifpn_fusion: as `detnas.models.efficientdet.bifpn.BiFPN` takes it.
        head_convs: separable convolutions of a head before the one that predicts.
        pyramid_levels: from stride 8 on.
        anchor_scale: side of the smallest anchor, in strides.

    Raises:
        SpaceError: an unknown EfficientNet.
    """

    image_side: Count
    efficientnet: str
    bifpn_channels: Count
    bifpn_cells: Count
    bifpn_fusion: Fusion = "fast"
    head_convs: Count
    pyramid_levels: Annotated[int, Meta(ge=1, le=16)] = 5
    anchor_scale: Annotated[float, Meta(gt=0, le=1_000)] = 4.0

    def __post_init__(self) -> None:
        if self.efficientnet not in _EFFICIENTNETS:
            hint = did_you_mean(self.efficientnet, _EFFICIENTNETS, list_all=True)
            raise SpaceError(f"unknown efficientnet {self.efficientnet!r}; {hint}")

    @property
    def pyramid_strides(self) -> list[int]:
        """Of the levels, in pixels."""
        return [8 * 2**level for level in range(self.pyramid_levels)]

    @property
    def efficientnet_channels(self) -> list[int]:
        """Of the backbone's maps at strides 4, 8, 16, 32."""
        width = self.backbone.width
        return [_divisible(channels * width) for channels in _B0_CHANNELS]

    @property
    def backbone(self) -> BackboneScaling:
        """How the EfficientNet is scaled from B0, and any other backbone from its smallest."""
        width, depth = _EFFICIENTNETS[self.efficientnet]
        return BackboneScaling(width=width, depth=depth)

    def settings(self) -> dict[str, Any]:
        """All of these by name, as a config has them."""
        return asdict(self) | {name: getattr(self, name) for name in _DEPENDENT}


def _divisible(channels: float) -> int:
    """The nearest multiple of 8, but not more than a tenth below."""
    nearest = max(DIVISOR, int(channels + DIVISOR / 2) // DIVISOR * DIVISOR)
    return nearest if nearest >= 0.9 * channels else nearest + DIVISOR


def _model(
    side: int, channels: int, cells: int, convs: int, backbone: str, **others: Any
) -> DetectorScaling:
    return DetectorScaling(
        image_side=side,
        efficientnet=backbone,
        bifpn_channels=channels,
        bifpn_cells=cells,
        head_convs=convs,
        **others,
    )


MODELS: Mapping[str, DetectorScaling] = {
    "d0": _model(512, 64, 3, 3, "b0"),
    "d1": _model(640, 88, 4, 3, "b1"),
    "d2": _model(768, 112, 5, 3, "b2"),
    "d3": _model(896, 160, 6, 4, "b3"),
    "d4": _model(1024, 224, 7, 4, "b4"),
    "d5": _model(1280, 288, 7, 4, "b5"),
    "d6": _model(1280, 384, 8, 5, "b6", bifpn_fusion="sum"),
    "d7": _model(1536, 384, 8, 5, "b6", bifpn_fusion="sum", anchor_scale=5.0),
    "d7x": _model(1536, 384, 8, 5, "b7", bifpn_fusion="sum", pyramid_levels=6),
}
"""The published models (the authors' `hparams_config.py`)."""


def scaling_of(what: str | float) -> DetectorScaling:
    """The scaling of a named model, or of a coefficient phi.

    Raises:
        SpaceError: an unknown name; phi that is negative, not finite, or above 7.
    """
    if isinstance(what, str):
        if what not in MODELS:
            known = did_you_mean(what, MODELS, list_all=True)
            raise SpaceError(f"unknown EfficientDet model {what!r}; {known}; or a number phi")
        return MODELS[what]
    if type(what) not in (int, float) or not 0 <= what <= 7:
        raise SpaceError(f"phi is {what!r}, must be a number from 0 to 7")
    return formula(what)


def overridden(what: str | float, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a model or coefficient, some of which are set otherwise.

    What depends on those follows them: strides on the levels, the backbone's channels on the
    EfficientNet.

    Args:
        what: as `scaling_of` takes it.
        settings: by name; other names are ignored.
    Raises:
        SpaceError: as `scaling_of`; a value that a setting cannot have; strides that are not as
            many as the levels.
    """
    fields = asdict(scaling_of(what))
    own = {name: value for name, value in settings.items() if name in fields}
    found = convert(fields | own, DetectorScaling).settings()
    found |= {name: settings[name] for name in _DEPENDENT if name in settings}
    strides, levels = found["pyramid_strides"], found["pyramid_levels"]
    if not isinstance(strides, list | tuple) or len(strides) != levels:
        raise SpaceError(f"pyramid_strides is {strides!r}, it must be {levels} (pyramid_levels)")
    if not all(type(stride) is int and stride > 0 for stride in strides):
        raise SpaceError(f"pyramid_strides is {strides!r}, it must have integers of at least 1")
    return found


SETTINGS = tuple(MODELS["d0"].settings())
"""The names of what compound scaling sets."""


def formula(phi: float) -> DetectorScaling:
    """The paper's equations 1 to 3, rounded: width 64 * 1.35^phi, cells 3 + phi, repeats
    3 + phi / 3, resolution 512 + 128 phi, backbone B_phi.

    Channels are rounded to a multiple of 8, the resolution to a multiple of the largest stride,
    128; counts are rounded down.
    """
    return _model(
        128 * math.floor(4.5 + phi),
        math.floor(64 * 1.35**phi / DIVISOR + 0.5) * DIVISOR,
        3 + math.floor(phi),
        3 + math.floor(phi / 3),
        f"b{math.floor(phi)}",
    )


def departures() -> Iterator[tuple[str, str, object, object]]:
    """Where a published model differs from the formula: model, key, published value, formula's.

    D7x has no coefficient; it is compared with phi = 7.
    """
    for name, model in MODELS.items():
        computed = asdict(formula(int(name[1])))
        for key, value in asdict(model).items():
            if value != computed[key]:
                yield name, key, value, computed[key]
