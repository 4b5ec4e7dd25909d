"""Steps MMRazor 1.0.0's SPOS supernet of ShuffleNetV2 in an environment of its own.

`supernet_steps.py` starts it with the Python of that environment, which has MMRazor and what DetNAS
takes of OpenMMLab, but not DetNAS. A line of JSON on standard input, {"path": [...]}, is one
training step on that path, or {"count": [...]} a count; the answer, with milliseconds by both
clocks, is a line on standard output.

MMRazor 1.0.0 does not import beside torch 2.11 and onedl-mmcv 2.3.6. Here
- the version that `mmcv` states is 2.1.0, the last one that MMRazor accepts;
- `mmcls` is mmpretrain, its successor, as far as MMRazor's backbone and blocks need it;
- `mmcv._ext`, MMRazor's quantisation (structures, algorithms, fake quants, observers, quantizers)
  and its predictors of scores are empty modules; its `register_all_modules` does nothing, as its
  models are registered by then.
What makes a step, SPOS, NasMutator, OneShotMutableOP, SearchableShuffleNetV2 and its blocks, is
MMRazor's own.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

STUBS = (
    "mmcv._ext",
    "mmcls",
    "mmcls.models",
    "mmcls.models.backbones",
    "mmrazor.structures.quantization",
    "mmrazor.models.algorithms.quantization",
    "mmrazor.models.fake_quants",
    "mmrazor.models.observers",
    "mmrazor.models.quantizers",
    "mmrazor.models.task_modules.predictor",
)
CANDIDATES = {
    "shuffle_3x3": {"type": "ShuffleBlock", "kernel_size": 3},
    "shuffle_5x5": {"type": "ShuffleBlock", "kernel_size": 5},
    "shuffle_7x7": {"type": "ShuffleBlock", "kernel_size": 7},
    "shuffle_xception": {"type": "ShuffleXception"},
}


class _Stub(ModuleType):
    """A module that has a class of any name."""

    __path__: ClassVar[list[str]] = []
    __all__: ClassVar[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def import_razor() -> None:
    """Import and register MMRazor's models."""
    import mmcv

    mmcv.__version__ = "2.1.0"
    for name in STUBS:
        sys.modules[name] = _Stub(name)
        sys.modules[name].__spec__ = ModuleSpec(name, loader=None)
    import mmpretrain.models.backbones.base_backbone as base
    import mmpretrain.models.utils as utils

    sys.modules["mmcls.models.backbones.base_backbone"] = base
    sys.modules["mmcls.models.utils"] = utils
    import mmrazor.models
    import mmrazor.utils

    mmrazor.utils.register_all_modules = lambda *_: None  # it would import the quantisation


def supernet(stages: Sequence[tuple[int, int]], stem: int, precision: str) -> Any:
    """SPOS over the classifier of configs/nas/mmdet/detnas, on pixels that are not normalised."""
    from mmengine.registry import init_default_scope
    from mmrazor.registry import MODELS

    init_default_scope("mmrazor")
    mutable = {"type": "OneShotMutableOP", "candidates": CANDIDATES}
    backbone = {
        "type": "mmrazor.SearchableShuffleNetV2",
        "stem_multiplier": stem // 16,
        "arch_setting": [[channels, blocks, mutable] for channels, blocks in stages],
    }
    classifier = {
        "type": "mmpretrain.ImageClassifier",
        "data_preprocessor": {
            "type": "mmpretrain.ClsDataPreprocessor",
            "num_classes": 1000,
            "mean": [0.0, 0.0, 0.0],
            "std": [1.0, 1.0, 1.0],
        },
        "backbone": backbone,
        "neck": {"type": "mmpretrain.GlobalAveragePooling"},
        "head": {
            "type": "mmpretrain.LinearClsHead",
            "num_classes": 1000,
            "in_channels": 1024,
            "loss": {
                "type": "mmpretrain.LabelSmoothLoss",
                "num_classes": 1000,
                "label_smooth_val": 0.1,
                "mode": "original",
            },
        },
    }
    algorithm = {"type": "SPOS", "architecture": classifier, "mutator": {"type": "NasMutator"}}
    model = MODELS.build(algorithm)
    model.init_weights()
    return model


def multiply_adds(model: nn.Module, run: Callable[[], Any]) -> int:
    """Multiply-adds of the convolutions and linear layers that `run` passes, of all images."""
    total = 0

    def count(layer: Any, _: Any, output: Tensor) -> None:
        nonlocal total
        total += output.numel() * layer.weight[0].numel()

    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    run()
    for handle in handles:
        handle.remove()
    return total


def main() -> None:
    """Build, then answer lines until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("settings", help="JSON: stages, stem, batch file, lr, threads, device")
    settings = json.loads(parser.parse_args().settings)
    answers, sys.stdout = sys.stdout, sys.stderr  # the libraries print
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(0)
    import_razor()
    from mmengine.logging import MMLogger
    from mmengine.optim import OptimWrapper
    from mmpretrain.structures import DataSample

    MMLogger.get_instance("razor", log_level="ERROR")  # it lists how each weight begins
    model = supernet(settings["stages"], settings["stem"], settings["precision"])
    model.to(settings["device"]).train()
    saved = torch.load(settings["batch"], weights_only=True)
    pixels = saved["pixels"].to(settings["device"])
    samples = [DataSample().set_gt_label(label) for label in saved["labels"].tolist()]
    parameters = list(model.parameters())
    flat = {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0}
    groups = [{"params": [p for p in parameters if p.ndim != 1]}, flat]
    optimiser = torch.optim.SGD(groups, lr=settings["lr"], momentum=0.9, weight_decay=4e-5)
    wrapper = OptimWrapper(optimiser)
    names = list(CANDIDATES)
    groups_of_blocks = list(model.mutator.search_groups)
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(settings["precision"])
    scaler = torch.amp.GradScaler(enabled=settings["precision"] == "fp16")
    wrapper.backward = lambda loss: scaler.scale(loss).backward()
    wrapper.step = lambda: (scaler.step(optimiser), scaler.update())

    def step(path: Sequence[int]) -> dict[str, float]:
        begun = time.perf_counter(), time.process_time()
        chosen = dict(zip(groups_of_blocks, (names[choice] for choice in path), strict=True))
        model.mutator.sample_choices = lambda: chosen  # SPOS.loss draws it
        kind = torch.device(settings["device"]).type
        with torch.autocast(kind, dtype) if dtype else nullcontext():
            losses = model.train_step({"inputs": pixels, "data_samples": samples}, wrapper)
        if pixels.is_cuda:
            torch.cuda.synchronize()
        wall, processor = time.perf_counter() - begun[0], time.process_time() - begun[1]
        loss = losses["loss"].item()
        return {"loss": loss, "wall": 1e3 * wall, "processor": 1e3 * processor}

    print(json.dumps({"parameters": sum(p.numel() for p in parameters)}), file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if "path" in asked:
            answer = step(asked["path"])
        else:
            path = asked["count"]
            answer = {"macs": multiply_adds(model, lambda path=path: step(path)) / len(pixels)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
