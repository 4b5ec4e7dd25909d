"""The weights of one architecture, sliced from a supernet's checkpoint."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from detnas.errors import UserError
from detnas.files import file_sha256
from detnas.models.backbones import DetNASNet
from detnas.models.checkpoints import fit_backbone, read_checkpoint
from detnas.networks.checkpoint_file import write_checkpoint
from search_space.architecture import Architecture


def export_weights(
    supernet: Path | str,
    architecture: Architecture,
    output: Path | str,
    sha256: str | None = None,
) -> None:
    """Write the checkpoint of a subnet, with neck and head if there are any.

    Batch-norm statistics are those of the supernet, over all paths. Retraining replaces them. For a
    score without retraining, run `detnas test` on the supernet, which recalibrates them.

    Args:
        supernet: the checkpoint of a detector or classifier with a supernet.
        architecture: the path.
        output: the checkpoint to write, for a `DetNASNet` of the architecture.
        sha256: the required SHA-256 of the supernet's checkpoint; None accepts any.
    Raises:
        UserError: the checkpoint is missing, or has another hash, space or channel shuffle.
    """
    checkpoint = read_checkpoint(supernet)
    if sha256 is not None and file_sha256(supernet) != sha256:
        raise UserError(
            f"{supernet} is not the supernet of the search: its content differs; name that one"
        )
    backbone = DetNASNet(architecture)
    state_dict = fit_backbone(backbone, checkpoint, supernet, "backbone.")
    origin = {"sliced_from": str(supernet)}
    write_network(state_dict, architecture, output, checkpoint["meta"].get("dataset_meta"), origin)


def write_network(
    state_dict: Mapping[str, Tensor],
    architecture: Architecture,
    output: Path | str,
    dataset_meta: Mapping[str, Any] | None,
    origin: Mapping[str, Any],
) -> None:
    """Write the weights of one architecture, with neck and head, as a checkpoint of DetNAS.

    Args:
        dataset_meta: class names and palette, which mmdet reads; None leaves them out.
        origin: what else its `meta` says, such as the supernet.
    """
    meta: dict[str, Any] = {"detnas": DetNASNet(architecture).identity(), **origin}
    if dataset_meta is not None:
        meta["dataset_meta"] = dataset_meta
    write_checkpoint({"meta": meta, "state_dict": dict(state_dict)}, output)
