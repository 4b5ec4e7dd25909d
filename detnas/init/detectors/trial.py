"""One training step and one prediction of a detector's file, before an experiment relies on it."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, init_default_scope

import detnas.models  # noqa: F401 - registers the backbone and mmdet's models
from detnas.config import load_config
from detnas.errors import UnsupportedError, UserError, explained

CLASSES = 3
SIDE = 128
"""Of an image, in pixels."""
MOST = 32
"""Boxes and queries of an image, which are most of the time, and must fit into a small image."""
COUNTED = ("max_per_img", "num", "num_queries", "num_proposals")
TRIAL = f"""
_base_ = ["./detector.py"]
space = "tiny"
num_classes = {CLASSES}
mean, std, rgb = [0.0] * 3, [255.0] * 3, True
backbone = dict(type="DetNASSupernet", space="tiny", out_indices="{{out_indices}}")
"""


def try_training(text: str, with_mask: bool, detector: str) -> None:
    """Train the detector of a file for one step on two images of noise, and predict with it.

    Args:
        text: as `DetectorFile.text`.
        with_mask: whether it trains on masks.
        detector: what the user called it, for the message.
    Raises:
        UserError: it cannot be built, trained or run here, such as a detector with deformable
            convolutions where mmcv has no compiled operators.
    """
    from mmdet.testing import demo_mm_inputs

    where = f"--detector {detector} cannot be adapted"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "detector.py").write_text(text, encoding="utf-8")
        Path(folder, "trial.py").write_text(TRIAL, encoding="utf-8")
        with explained(where):
            config = load_config(Path(folder, "trial.py"))
            _lighten(config.model)
    init_default_scope("mmdet")
    try:
        with explained(where), torch.random.fork_rng(), _without_log():
            model = revert_sync_batchnorm(MODELS.build(config.model)).to(get_device())
            model.init_weights()
            batch = demo_mm_inputs(
                2, (3, SIDE, SIDE), num_items=[2, 1], num_classes=CLASSES, with_mask=with_mask
            )
            losses, _ = model.parse_losses(
                model(**model.data_preprocessor(batch, True), mode="loss")
            )
            losses.backward()
            model.eval()
            with torch.no_grad():
                model(**model.data_preprocessor(batch, False), mode="predict")
    except UnsupportedError as error:
        raise UserError(f"--detector {detector} cannot be trained here: {error}") from error


@contextmanager
def _without_log() -> Iterator[None]:
    """Without mmengine's line for every weight that is initialised."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)


def _lighten(section: Any) -> None:
    """At any depth, remove the names of checkpoints, and take few boxes and queries of an image."""
    if isinstance(section, dict):
        initial = section.get("init_cfg")
        if isinstance(initial, dict) and initial.get("type") == "Pretrained":
            section.pop("init_cfg")
        for key in COUNTED:
            if type(section.get(key)) is int:
                section[key] = min(section[key], MOST)
    if isinstance(section, dict | list | tuple):
        for item in section.values() if isinstance(section, dict) else section:
            _lighten(item)
