"""Training steps of our models, built from the paper's configs, as functions of the path."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData
from mmpretrain.structures import DataSample
from torch import Tensor

import detnas.training  # noqa: F401 - registers hooks and optimiser wrappers
from detnas.config import load_config
from detnas.evaluation.evaluator import quiet_logger, quiet_stdout
from detnas.networks.checkpoints import slice_subnet
from detnas.training.optimisers import with_precision
from search_space.architecture import choices_to_text
from search_space.sampling import BudgetSampler
from search_space.spaces import SearchSpace

CONFIGS = Path(__file__).parents[2] / "configs" / "paper"
Path_ = tuple[int, ...]
Run = Callable[[Path_], float | None]


class Step:
    """A model with its optimiser and one batch, as mmengine's training loop steps it.

    Attributes:
        model: in training mode.
        wrapper: mmengine's around its optimiser.
    """

    def __init__(self, config: Config, batch: Mapping[str, Any], device: torch.device) -> None:
        init_default_scope(config.default_scope)
        quiet_logger()
        model = dict(config.model)
        if "data_preprocessor" not in model:
            model["data_preprocessor"] = config.data_preprocessor
        with quiet_stdout():
            self.model = MODELS.build(model)
            self.model.init_weights()
        self.model.to(device).train()
        self._batch = batch
        wrapper = with_precision(config.optim_wrapper.to_dict(), config.get("amp"))
        self.wrapper = build_optim_wrapper(self.model, wrapper)

    def set_path(self, path: Sequence[int]) -> None:
        """Activate a path of a supernet."""
        self.model.backbone.set_path(path)

    def __call__(self) -> dict[str, Tensor]:
        """One training step on the path; returns the losses."""
        return self.model.train_step(dict(self._batch), self.wrapper)

    def loss(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The loss of the path, with its graph; `dtype` is that of the model."""
        data = self.model.data_preprocessor(dict(self._batch), True)
        data["inputs"] = data["inputs"].to(dtype)
        return self.model.parse_losses(self.model(**data, mode="loss"))[0]


def classifier_config(space: str, options: Mapping[str, Any] | None = None) -> Config:
    """The config of pretraining the paper's supernet of a space, "small" or "large"."""
    given = {"lr": 0.01, **(options or {})}  # random weights diverge at the paper's rate
    return load_config(CONFIGS / f"supernet_{space}" / "pretrain.py", given)


def detector_config(kind: str, options: Mapping[str, Any] | None = None) -> Config:
    """The config of fine-tuning the small supernet on COCO under "fpn" or "retinanet"."""
    given = {"pretrained": None, "norm_cfg.type": "BN", "lr": 0.001, **(options or {})}
    return load_config(CONFIGS / f"detnas_small_coco_{kind}" / "finetune.py", given)


def fixed(config: Config, space: SearchSpace, path: Sequence[int]) -> Config:
    """The same config with the network of one path in the place of the supernet."""
    changed = deepcopy(config)
    backbone = dict(changed.model.backbone)
    shuffle = backbone.get("channel_shuffle", "even_odd")
    backbone |= {
        "type": "DetNASNet",
        "architecture": f"{space.name}:{choices_to_text(path)}",
        "channel_shuffle": shuffle,
        "space": None,
    }
    changed.model.backbone = backbone
    return changed


def take_weights(network: Step, supernet: Step, path: Sequence[int]) -> None:
    """Give the network of one path the supernet's weights on it."""
    network.model.load_state_dict(
        slice_subnet(supernet.model.state_dict(), path, prefix="backbone.")
    )


def random_paths(space: SearchSpace, count: int, seed: int) -> list[Path_]:
    """Uniform draws of paths."""
    drawn = BudgetSampler(space).sample(np.random.default_rng([seed, 1]), count)
    return [tuple(row) for row in drawn.tolist()]


def images(batch: int, height: int, width: int, seed: int, device: torch.device) -> Tensor:
    """Random pixels from 0 to 255, smooth as photographs are, (batch, 3, height, width)."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(batch, 3, max(1, height // 8), max(1, width // 8), generator=rng)
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (fine * 255).to(device)


def labelled(pixels: Tensor, classes: int, seed: int) -> tuple[dict[str, Any], Tensor]:
    """A batch of a classifier, and its labels as a tensor."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (len(pixels),), generator=rng).to(pixels.device)
    samples = [DataSample().set_gt_label(label) for label in labels.tolist()]
    return {"inputs": pixels, "data_samples": samples}, labels


def with_boxes(pixels: Tensor, classes: int, boxes: int, seed: int) -> dict[str, Any]:
    """A batch of a detector: each image has the same number of random boxes."""
    from mmdet.structures import DetDataSample

    rng = np.random.default_rng(seed)
    height, width = pixels.shape[2:]
    samples = []
    for _ in range(len(pixels)):
        size = np.array([width, height])
        low = rng.uniform(0, 0.7, (boxes, 2)) * size
        high = low + rng.uniform(0.05, 0.3, (boxes, 2)) * size
        sample = DetDataSample(
            metainfo={
                "img_shape": (height, width),
                "ori_shape": (height, width),
                "scale_factor": (1.0, 1.0),
                "pad_shape": (height, width),
                "batch_input_shape": (height, width),
            }
        )
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor(np.hstack([low, high]), dtype=torch.float32),
            labels=torch.tensor(rng.integers(classes, size=boxes)),
        ).to(pixels.device)
        samples.append(sample)
    return {"inputs": list(pixels), "data_samples": samples}


def turn_off_dropout(model: torch.nn.Module) -> None:
    """Put all dropout layers in eval mode, so that two networks can be compared."""
    for module in model.modules():
        if isinstance(module, torch.nn.modules.dropout._DropoutNd):
            module.eval()


def of_supernet(step: Step) -> Run:
    """Our step on a path."""

    def run(path: Path_) -> None:
        step.set_path(path)
        step()

    return run


def against_fixed(
    config: Config,
    supernet: Step,
    space: SearchSpace,
    paths: Sequence[Path_],
    batch: dict[str, Any],
) -> tuple[Run, float]:
    """The step of the network of each path, and by how much losses differ on the first: nothing.

    The networks are built here, with the supernet's weights of this moment.
    """
    device = next(supernet.model.parameters()).device
    networks: dict[Path_, Step] = {}
    for path in paths:
        networks[path] = Step(fixed(config, space, path), batch, device)
        take_weights(networks[path], supernet, path)
    supernet.set_path(paths[0])
    losses = []
    for step in (supernet, networks[paths[0]]):
        turn_off_dropout(step.model)
        torch.manual_seed(0)  # draws of RoIs
        with torch.no_grad():
            losses.append(step.loss().item())
        step.model.train()
    if device.type == "cpu" and losses[0] != losses[1]:
        raise SystemExit(f"the fixed network's loss is {losses[1]}, the supernet's {losses[0]}")

    def of_network(path: Path_) -> None:
        networks[path]()

    return of_network, abs(losses[0] - losses[1])


def on_paths(paths: Sequence[Path_], uncounted: int, run: Run) -> Callable[[], float | None]:
    """A function that runs the paths in turn, each as often as a round of the clock calls it.

    `measured.interleaved` calls each function `uncounted` + 1 times a round.
    """
    calls = (path for path in paths for _ in range(uncounted + 1))
    return lambda: run(next(calls))
