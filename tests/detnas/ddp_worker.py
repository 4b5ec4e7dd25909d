"""The program that `test_distributed.py` runs under torchrun; it saves gradients and weights.

Usage: ddp_worker.py DATA OUTPUT CHECKPOINT
"""

import sys
import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_rank, is_distributed
from torch import Tensor

from detnas.config import load_config
from detnas.distributed import process_group
from detnas.models.checkpoints import unwrapped
from detnas.training.paths import PathSamplingHook
from detnas.training.runner import DetNASRunner
from detnas.training.seeding import seed_everything

MINIATURE = Path(__file__).parents[1] / "miniature"
PATH = (0, 1, 2, 3, 0, 1, 2, 3, 0, 1)
SKIPPING = (0, 4, 2, 3, 0, 4, 4, 3, 0, 4)
FROZEN = {  # without batch statistics and dropout, a classifier does not depend on the batch
    "model.backbone.norm_eval": True,
    "model.neck": {"_delete_": True, "type": "mmpretrain.GlobalAveragePooling"},
    "model.head.in_channels": 256,
    "path_warmup_iters": 0,
    "max_iters": 3,
    "lr": 0.03,  # at 0.1, three steps make the differences of rounding a thousand times larger
}


def classifier(data: Path, checkpoint: Path, work_dir: Path, **options: Any) -> DetNASRunner:
    """The runner of the miniature pretraining with frozen batch norm, from a checkpoint."""
    options = {
        "pretrain_root": str(data / "classification"),
        "pretrained": str(checkpoint),
        "console_level": "ERROR",
        **FROZEN,
        **options,
    }
    config = load_config(MINIATURE / "retinanet/pretrain.py", options, work_dir)
    config.launcher = "pytorch" if is_distributed() else "none"
    return DetNASRunner.from_cfg(config)


def gradients(model: torch.nn.Module) -> dict[str, Tensor | None]:
    """Take the gradients by name, and clear them."""
    taken = {
        name: None if p.grad is None else p.grad.clone()
        for name, p in unwrapped(model).named_parameters()
    }
    model.zero_grad()
    return taken


def _detector_gradients(
    data: Path, output: Path, detector: str, space: str = "tiny", path: tuple[int, ...] = PATH
) -> dict[str, Any]:
    """The gradients of one batch on one path, before and after synchronisation."""
    options = {"data_root": str(data / "detection"), "pretrained": None, "console_level": "ERROR"}
    options["space"] = space
    config = load_config(MINIATURE / detector / "finetune.py", options, output / space / detector)
    config.launcher = "pytorch"
    runner = DetNASRunner.from_cfg(config)
    model, inner = runner.model, unwrapped(runner.model)
    inner.init_weights()
    inner.backbone.set_path(path)
    batch = next(iter(runner.build_train_loop(config.train_cfg).dataloader))
    taken = {}
    for name, through in (("own", deepcopy(inner)), ("synchronised", model)):
        seed_everything(0)  # RoI sampling
        samples = inner.data_preprocessor(batch, True)
        inner.parse_losses(through(**samples, mode="loss"))[0].backward()
        taken[name] = gradients(through)
    layers = {type(m).__name__ for m in inner.modules() if "Norm" in type(m).__name__}
    return {**taken, "norm_layers": layers}


def _fair_gradients(data: Path, output: Path, checkpoint: Path) -> dict[str, Any]:
    """The gradients of the four paths of a strictly fair step, before and after synchronisation."""
    runner = classifier(data, checkpoint, output / "fair", path_policy={"type": "strictly_fair"})
    model, inner = runner.model, unwrapped(runner.model)
    inner.init_weights()
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    hook = next(h for h in runner.hooks if isinstance(h, PathSamplingHook))
    batch = next(iter(runner.build_train_loop(runner.cfg.train_cfg).dataloader))
    hook.before_train(runner)
    paths = hook._policy(0)
    alone = deepcopy(inner)
    for path in paths:
        alone.backbone.set_path(path)
        samples = inner.data_preprocessor(batch, True)
        alone.parse_losses(alone(**samples, mode="loss"))[0].backward()
    own = gradients(alone)
    hook.before_train_iter(runner, 0, batch)
    samples = inner.data_preprocessor(batch, True)
    inner.parse_losses(model(**samples, mode="loss"))[0].backward()
    return {"own": own, "synchronised": gradients(model), "paths": paths}


def main() -> None:
    """Write the results of rank R to OUTPUT/R.pth."""
    data, output, checkpoint = map(Path, sys.argv[1:])
    with process_group("pytorch"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found: dict[str, Any] = {
            detector: _detector_gradients(data, output, detector)
            for detector in ("retinanet", "faster_rcnn")
        }
        found["skip"] = _detector_gradients(data, output, "retinanet", "tiny-skip", SKIPPING)
        found["fair"] = _fair_gradients(data, output, checkpoint)
        runner = classifier(data, checkpoint, output / "weights")
        runner.train()
        found["weights"] = unwrapped(runner.model).state_dict()
        found["path"] = unwrapped(runner.model).backbone.path
        found["warnings"] = [str(warning.message) for warning in caught]
        torch.save(found, output / f"{get_rank()}.pth")


if __name__ == "__main__":
    main()
