"""A found backbone scaled to EfficientDet D0 to D7x: multiply-adds, parameters, latency.

    python scripts/benchmark/efficientdet_family.py [--architecture FILE_OR_NAME] [--models d0 d1]
        [--beside-efficientnet] [--device cpu] [--threads 1] [--rounds 5]

Prints a table. Each member is the whole detector of configs/coco_efficientdet/retrain.py with
random weights, for one image of its own size. Latency is that of backbone, neck and head in
inference mode, without decoding and NMS, whose time depends on what was learned: the median over
rounds, after one to warm up. `--beside-efficientnet` also measures the published model,
EfficientNet under the same neck and head; the two take turns, and their ratio is of the same round.
"""

import argparse
import statistics
from pathlib import Path

import torch
from mmengine.config import Config

from detnas.config import load_config
from detnas.evaluation.complexity import complexity, image_size
from detnas.evaluation.evaluator import build_random_model
from detnas.evaluation.latency import Clock, device_name, require_device
from search_space.architecture import parse_architecture, parse_scaling
from search_space.compound_scaling import MODELS

CONFIGS = Path(__file__).parents[2] / "configs"
FOUND = "detnasnet-300m-coco-retinanet"


def main() -> None:
    """Count, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architecture", default=FOUND, help="of the small space")
    parser.add_argument("--models", nargs="+", default=[*MODELS], choices=MODELS)
    parser.add_argument("--beside-efficientnet", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = require_device(options.device)
    architecture = parse_architecture(options.architecture)
    print(f"{architecture.key}; {device_name(device)}, {options.threads} thread(s), ", end="")
    print(f"torch {torch.__version__}")
    heads = ["", "width, depth", "image", "backbone", "detector", "parameters", "latency"]
    if options.beside_efficientnet:
        heads += ["EfficientDet", "its latency", "ratio"]
    print(f"| {' | '.join(heads)} |")
    print("|---" * len(heads) + "|")
    for model in options.models:
        overrides = {"compound": model, "architecture": options.architecture, "pretrained": None}
        configs = [load_config(CONFIGS / "coco_efficientdet/retrain.py", overrides)]
        if options.beside_efficientnet:
            configs.append(load_config(CONFIGS / f"efficientdet/efficientdet_{model}_coco.py"))
        counted = [complexity(config)[0] for config in configs]
        times = milliseconds(configs, device, options.rounds)
        scaling = parse_scaling(model)
        assert scaling is not None
        macs, params = (sum(part.values()) for part in (counted[0].macs, counted[0].params))
        cells = [
            model.upper(),
            f"{scaling.width:g}, {scaling.depth:g}",
            str(counted[0].size[0]),
            f"{counted[0].macs['backbone'] / 1e9:.2f} G",
            f"{macs / 1e9:.2f} G",
            f"{params / 1e6:.2f} M",
            f"{statistics.median(times[0]):.0f} ms",
        ]
        if options.beside_efficientnet:
            ratios = [ours / theirs for ours, theirs in zip(*times, strict=True)]
            cells += [
                f"{sum(counted[1].macs.values()) / 1e9:.2f} G",
                f"{statistics.median(times[1]):.0f} ms",
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            ]
        print(f"| {' | '.join(cells)} |", flush=True)


@torch.inference_mode()
def milliseconds(configs: list[Config], device: torch.device, rounds: int) -> list[list[float]]:
    """The time of a forward pass of each config's model, in every round."""
    models = [build_random_model(config).eval().to(device) for config in configs]
    images = [torch.randn(1, 3, *image_size(config), device=device) for config in configs]
    times: list[list[float]] = [[] for _ in configs]
    for round_ in range(-1, rounds):
        for model, image, found in zip(models, images, times, strict=True):
            clock = Clock(device)
            model(image)
            clock.mark()
            if round_ >= 0:
                found += clock.milliseconds()
    return times


if __name__ == "__main__":
    main()
