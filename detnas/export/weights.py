"""The weights of one architecture, sliced from a supernet's checkpoint."""

from pathlib import Path

import torch

from detnas.errors import UserError
from detnas.files import file_sha256, replacing
from detnas.models.backbones import DetNASNet
from detnas.models.checkpoints import fit_backbone, read_checkpoint
from search_space.architecture import Architecture


def export_weights(
    supernet: Path | str,
    architecture: Architecture,
    output: Path | str,
    sha256: str | None = None,
) -> None:
    """Write a checkpoint of the subnet alone; neck and head, where there are any, come along.

    Batch-norm statistics are the supernet's, of all paths together: retraining replaces them, and
    `detnas test` on the supernet recalibrates them for a score without retraining.

    Args:
        supernet: a checkpoint of a supernet under a detector or a classifier.
        architecture: which path.
        output: the checkpoint to write; a `DetNASNet` of the architecture takes it.
        sha256: the supernet's, where it must be a certain one.
    Raises:
        FileNotFoundError, ValueError: the checkpoint is absent, or of another space or shuffle.
    """
    checkpoint = read_checkpoint(supernet)
    if sha256 is not None and file_sha256(supernet) != sha256:
        raise UserError(f"{supernet} is not the supernet that was searched: its content differs")
    backbone = DetNASNet(architecture)
    state_dict = fit_backbone(backbone, checkpoint, supernet, "backbone.")
    meta = {"detnas": backbone.identity(), "sliced_from": str(supernet)}
    with replacing(output) as temporary:
        torch.save({"meta": meta, "state_dict": state_dict}, temporary)
