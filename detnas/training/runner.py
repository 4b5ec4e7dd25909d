"""mmengine's Runner with safe loading, seeded steps and atomic checkpoints."""

import logging
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.model import (
    MMDistributedDataParallel,
    convert_sync_batchnorm,
    revert_sync_batchnorm,
)
from mmengine.runner import Runner
from mmengine.runner.checkpoint import _load_checkpoint_to_model
from mmengine.visualization import Visualizer
from torch import nn
from torch.utils.data import DataLoader

from detnas.files import replacing
from detnas.models.checkpoints import fit_backbone, own_backbone, read_checkpoint, unwrapped
from detnas.models.memory_format import memory_format_explained
from detnas.training.choice_losses import ChoiceLossHook
from detnas.training.finite_loss import FiniteLossHook
from detnas.training.hooks import CheckpointHooks
from detnas.training.interruption import InterruptionHook, initialise_worker
from detnas.training.optimisers import with_precision
from detnas.training.seeding import StepSeedHook, seeded_dataloader


class DetNASRunner(Runner):
    """A Runner for any OpenMMLab model.

    Checkpoints are read without unpickling and checked against the backbone. Data order,
    augmentation and all random numbers of a step are functions of (seed, step). Additional config
    keys: `amp` ("bf16" or "fp16") is the precision of training, and `console_level` is a log level
    for the console alone.
    """

    _train_dataloader: Any
    _interruption: InterruptionHook

    def load_checkpoint(
        self,
        filename: str,
        map_location: str | Callable[..., Any] = "cpu",
        strict: bool = False,
        revise_keys: list[tuple[str, str]] | None = None,
    ) -> dict[str, Any]:
        """Load through `read_checkpoint`; a subnet takes its slice of a supernet's weights.

        Raises:
            UserError: as `read_checkpoint` and `fit_backbone`.
        """
        checkpoint = read_checkpoint(filename)
        self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        backbone = own_backbone(self.model)
        if backbone is not None:
            checkpoint["state_dict"] = fit_backbone(backbone, checkpoint, filename)
        revise_keys = revise_keys or [(r"^module\.", "")]
        _load_checkpoint_to_model(unwrapped(self.model), checkpoint, strict, revise_keys)
        self._has_loaded = True
        self.logger.info(f"checkpoint loaded from {filename}")
        return checkpoint

    def save_checkpoint(self, out_dir: str, filename: str, *args: Any, **kwargs: Any) -> None:
        """Save under a temporary name and rename, so that a kill leaves no partial checkpoint."""
        if self.rank != 0:
            return
        with replacing(Path(out_dir) / filename) as temporary:
            super().save_checkpoint(out_dir, temporary.name, *args, **kwargs)

    def train(self) -> nn.Module:
        """Train; a signal to stop leaves a checkpoint.

        An error of the layout of feature maps names the key that helps.
        """
        with memory_format_explained(), self._interruption.catching():
            return super().train()

    def wrap_model(self, model_wrapper_cfg: Any, model: nn.Module) -> nn.Module:
        """Wrap also on CPUs, and allow unused parameters for supernets.

        SyncBN needs CUDA; on other devices it is replaced by plain batch norm.
        """
        on_cuda = get_device() == "cuda"
        if on_cuda and self.distributed and self.cfg.get("sync_bn") is not None:
            model = convert_sync_batchnorm(model, self.cfg.sync_bn)
        elif not on_cuda and any(isinstance(layer, nn.SyncBatchNorm) for layer in model.modules()):
            self.logger.info("SyncBN is replaced by plain batch norm: there is no CUDA device")
            model = revert_sync_batchnorm(model)
        if model_wrapper_cfg is not None:
            return super().wrap_model(model_wrapper_cfg, model)
        model = model.to(get_device())
        if not self.distributed:
            return model
        unused = hasattr(own_backbone(model), "set_path")
        return MMDistributedDataParallel(
            module=model,
            device_ids=[int(os.environ["LOCAL_RANK"])] if on_cuda else None,
            broadcast_buffers=False,
            find_unused_parameters=unused or self.cfg.get("find_unused_parameters", False),
        )

    def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
        """Build a wrapper for the precision in the config's key `amp`."""
        if isinstance(optim_wrapper, dict):
            optim_wrapper = with_precision(optim_wrapper, self.cfg.get("amp"))
        return super().build_optim_wrapper(optim_wrapper)

    def build_train_loop(self, loop: Any) -> Any:
        """Build a loop whose data order and augmentation are functions of (seed, step)."""
        if isinstance(loop, dict) and isinstance(self._train_dataloader, dict):
            by_epoch = loop.get("by_epoch", loop.get("type") != "IterBasedTrainLoop")
            self._train_dataloader = seeded_dataloader(self._train_dataloader, by_epoch, self.seed)
        return super().build_train_loop(loop)

    @staticmethod
    def build_dataloader(*args: Any, **kwargs: Any) -> DataLoader:
        """A dataloader whose workers outlive a signal to stop: see `InterruptionHook`."""
        loader = Runner.build_dataloader(*args, **kwargs)
        loader.worker_init_fn = partial(initialise_worker, loader.worker_init_fn)
        return loader

    def register_hooks(self, default_hooks: Any = None, custom_hooks: Any = None) -> None:
        """Register also the hooks of every DetNAS run."""
        super().register_hooks(default_hooks, custom_hooks)
        self.register_hook(StepSeedHook(self.seed))
        self.register_hook(FiniteLossHook())
        self.register_hook(CheckpointHooks())
        self.register_hook(ChoiceLossHook())
        self._interruption = InterruptionHook()
        self.register_hook(self._interruption)

    def build_visualizer(self, visualizer: Any = None) -> Visualizer:
        """Build a visualizer of this run's own.

        mmengine keeps one for each name, so a name in the config, such as mmdet's "visualizer",
        would give the next stage of this process the visualizer of the one before it.
        """
        if isinstance(visualizer, dict):
            visualizer = {**visualizer, "name": f"{self._log_dir} {time.time_ns()}"}
        return super().build_visualizer(visualizer)

    def build_logger(self, log_level: int | str = "INFO", **kwargs: Any) -> MMLogger:
        """Build a logger of this run's own, with the console at the config's `console_level`.

        mmengine keeps one for each name, which it makes of the config's name and the second.
        """
        name = f"{self._experiment_name} {time.time_ns()}"
        logger = super().build_logger(log_level=log_level, name=name, **kwargs)
        level = self.cfg.get("console_level")
        for handler in logger.handlers if level is not None else ():
            if not isinstance(handler, logging.FileHandler):
                handler.setLevel(level)
        return logger
