"""Compound scaling: the published models, the formula, and where they differ."""

from typing import Any

import pytest

from search_space.compound_scaling import MODELS, departures, formula, overridden, scaling_of
from search_space.errors import SpaceError


def test_the_formula_gives_the_models_that_follow_it() -> None:
    for phi in (0, 1, 3):
        assert formula(phi) == MODELS[f"d{phi}"]
    between = scaling_of(2.5)
    assert (between.image_side, between.bifpn_channels, between.bifpn_cells) == (896, 136, 5)
    assert (between.head_convs, between.efficientnet) == (3, "b2")


def test_where_a_published_model_departs_is_listed() -> None:
    found = {(model, key): (value, computed) for model, key, value, computed in departures()}
    assert {model for model, _ in found} == {"d2", "d4", "d5", "d6", "d7", "d7x"}
    assert found["d2", "bifpn_channels"] == (112, 120)
    assert found["d5", "image_side"] == (1280, 1152)
    assert found["d5", "bifpn_cells"] == (7, 8)
    assert found["d6", "bifpn_cells"] == (8, 9)
    assert found["d7", "anchor_scale"] == (5.0, 4.0)
    assert found["d7x", "pyramid_levels"] == (6, 5)


def test_the_channels_of_the_backbones() -> None:
    assert MODELS["d0"].efficientnet_channels == [24, 40, 112, 320]
    assert MODELS["d3"].efficientnet_channels == [32, 48, 136, 384]
    assert MODELS["d7x"].efficientnet_channels == [48, 80, 224, 640]
    assert MODELS["d7x"].pyramid_strides == [8, 16, 32, 64, 128, 256]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("d8", "unknown EfficientDet model 'd8'.*d7x"),
        (-0.1, "phi is -0.1, must be a number from 0 to 7"),
        (7.5, "phi is 7.5"),
        (float("nan"), "phi is nan"),
        (True, "phi is True"),
        ([1], r"phi is \[1\]"),
        (None, "phi is None"),
    ],
)
def test_other_models_are_refused(what: str | float, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        scaling_of(what)


def test_what_depends_on_an_overridden_setting_follows_it() -> None:
    found = overridden("d0", {"pyramid_levels": 3, "efficientnet": "b3", "mean": 5})
    assert found["pyramid_strides"] == [8, 16, 32]
    assert found["efficientnet_channels"] == [32, 48, 136, 384]
    assert "mean" not in found
    strides = overridden("d0", {"pyramid_strides": [4, 8, 16, 32, 64]})
    assert strides["pyramid_strides"] == [4, 8, 16, 32, 64]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pyramid_levels": 4, "pyramid_strides": [8, 16]}, r"\[8, 16\], it must be 4"),
        ({"pyramid_strides": [8, 16, 0, 64, 128]}, "must have integers of at least 1"),
        ({"anchor_scale": 0}, "anchor_scale must be a number > 0, not 0"),
        ({"bifpn_cells": 1.5}, "bifpn_cells must be an integer, not 1.5"),
        ({"bifpn_fusion": "fastest"}, "bifpn_fusion"),
        ({"efficientnet": "b9"}, "unknown efficientnet 'b9'"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        overridden("d0", settings)
