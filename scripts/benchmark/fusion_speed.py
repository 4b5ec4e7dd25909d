"""Time of BiFPN by its kinds of fusion, forward and backward.

    python scripts/benchmark/fusion_speed.py [--model d0] [--batch 2] [--device cpu] [--rounds 9]

The BiFPN of a model of EfficientDet over random maps of a backbone at the model's input size. The
kinds take turns in every round. Prints the median time of a forward pass in inference mode, of a
forward and backward pass in training, and the ratio to `fast` of the same round: median, and the
range over rounds. The paper (section 3.3) says that fast fusion is up to 30 % faster than softmax
on a GPU.
"""

import argparse
import statistics
from collections.abc import Callable

import torch
from torch import Tensor

from detnas.evaluation.latency import Clock, device_name, require_device
from detnas.models.efficientdet.bifpn import FUSIONS, BiFPN
from search_space.compound_scaling import MODELS


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="d0", choices=MODELS)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = require_device(options.device)
    scaling = MODELS[options.model]
    channels = scaling.efficientnet_channels[1:]
    side = scaling.image_side
    maps = [
        torch.randn(options.batch, c, side // stride, side // stride, device=device)
        for c, stride in zip(channels, (8, 16, 32), strict=True)
    ]
    necks = {
        fusion: BiFPN(
            channels,
            scaling.bifpn_channels,
            scaling.pyramid_levels,
            scaling.bifpn_cells,
            fusion=fusion,
        ).to(device)
        for fusion in FUSIONS
    }
    passes: dict[str, Callable[[BiFPN, list[Tensor]], None]] = {
        "forward": forward,
        "forward and backward": forward_and_backward,
    }
    print(
        f"BiFPN of {options.model.upper()}, {side}x{side}, batch of {options.batch}, "
        f"{device_name(device)}, {options.threads} thread(s), torch {torch.__version__}"
    )
    for name, run in passes.items():
        times: dict[str, list[float]] = {fusion: [] for fusion in FUSIONS}
        for round_ in range(-1, options.rounds):  # the first one warms up
            for fusion, neck in necks.items():
                clock = Clock(device)
                run(neck, maps)
                clock.mark()
                if round_ >= 0:
                    times[fusion].append(clock.milliseconds()[0])
        for fusion, found in times.items():
            ratios = [a / b for a, b in zip(found, times["fast"], strict=True)]
            print(
                f"{name:<22}{fusion:<11}{statistics.median(found):>9.1f} ms  "
                f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
            )


@torch.inference_mode()
def forward(neck: BiFPN, maps: list[Tensor]) -> None:
    """One pass, with batch norm as in a test."""
    neck.eval()(maps)


def forward_and_backward(neck: BiFPN, maps: list[Tensor]) -> None:
    """One pass and its gradients."""
    neck.train()
    neck.zero_grad()
    sum(out.mean() for out in neck(maps)).backward()  # type: ignore[union-attr]


if __name__ == "__main__":
    main()
