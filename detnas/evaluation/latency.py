"""Measures latency on this machine: tables of blocks, and whole backbones.

Blocks are timed within the network. A block that runs repeatedly on its own has its weights and its
input in the cache, and sums of such times are 10 % too low. Each round times every choice of every
block, on as many random paths as there are choices. A block with fewer choices repeats its first
ones; the last of equal ones in a round is recorded. A path runs three times in a row; the first
pass is not counted, as it loads the weights into the cache.

On the CPU the C library is set to keep freed memory, for the rest of the process. Otherwise it may,
depending on earlier allocations, return feature maps to the system and request them again in every
pass. That causes about 800 page faults and makes small networks irregularly slower, by up to 10 %.

CUDA is timed by events on the current stream. That path was never run.
"""

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from detnas.errors import UserError
from detnas.models.backbones import DetNASNet, DetNASSupernet
from detnas.models.base import Backbone
from detnas.networks.freed_memory import keep_freed_memory
from search_space.architecture import Architecture
from search_space.latency import Device, LatencySettings, LatencyTable
from search_space.spaces import SearchSpace

TIMED_PASSES = 2
ProgressCallback = Callable[[int, int], None]


class Clock:
    """Waits until a device is idle, and records time stamps on it from then on.

    Time stamps on a GPU are CUDA events, as its work is asynchronous.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._marks: list[Any] = []
        if self._on_gpu:
            torch.cuda.synchronize()
        self.mark()

    def mark(self) -> None:
        """Record a time stamp."""
        if self._on_gpu:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self._marks.append(event)
        else:
            self._marks.append(time.perf_counter())

    def milliseconds(self) -> list[float]:
        """The time from each time stamp to the next."""
        if self._on_gpu:
            torch.cuda.synchronize()
        return [
            a.elapsed_time(b) if self._on_gpu else 1e3 * (b - a) for a, b in pairwise(self._marks)
        ]


def measure_latency(
    space: SearchSpace,
    settings: LatencySettings,
    device: str = "cpu",
    progress: ProgressCallback | None = None,
) -> LatencyTable:
    """Time the stem and every choice of every block of `space`.

    It needs memory for the supernet's backbone and the feature maps of one path.

    Args:
        device: "cpu", "cuda" or "cuda:N".
        progress: called after every round with the number of finished rounds and of all rounds.

    Raises:
        UserError: there is no such device, or it does not support the dtype.
    """
    chosen = require_device(device)
    rng = np.random.default_rng(settings.seed)
    blocks, most = np.arange(space.num_blocks), max(map(len, space.numbers))
    choices = np.stack([np.resize(numbers, most) for numbers in space.numbers])
    stem = np.empty((settings.rounds, TIMED_PASSES, most))
    times = np.full((settings.rounds, TIMED_PASSES, len(blocks), space.num_choices), np.nan)
    with _images(settings, chosen) as images:
        net = DetNASSupernet(space, settings.channel_shuffle, **_options(space, settings))
        _prepare(net, settings, images)
        for round_ in range(settings.rounds):
            # Each block has a permutation of its choices, so the paths cover every choice.
            paths = rng.permuted(choices, axis=1).T
            for number, path in enumerate(paths):
                net.set_path(path.tolist())
                net(images)
                for timed in range(TIMED_PASSES):
                    first, *others = _times_of_parts(net, images)
                    stem[round_, timed, number] = first
                    times[round_, timed, blocks, path] = others
            if progress is not None:
                progress(round_ + 1, settings.rounds)
    quantiles = np.quantile(times, settings.quantile, axis=(0, 1)).tolist()
    return LatencyTable(
        space=space,
        base=float(np.quantile(stem, settings.quantile)),
        table=tuple(
            tuple(value if choice in numbers else None for choice, value in enumerate(row))
            for row, numbers in zip(quantiles, space.numbers, strict=True)
        ),
        settings=settings,
        device=Device(chosen.type, device_name(chosen)),
        torch=str(torch.__version__),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def measure_backbones(
    architectures: Sequence[Architecture],
    settings: LatencySettings,
    device: str = "cpu",
    progress: ProgressCallback | None = None,
) -> np.ndarray:
    """Time whole backbones of one architecture each: milliseconds per batch, (architectures,).

    Each round times all architectures in a random order, like the paths of `measure_latency`. All
    networks are in memory at once. Networks use the channel shuffle of their architecture, not that
    of the settings. Arguments and errors are those of `measure_latency`.
    """
    chosen = require_device(device)
    rng = np.random.default_rng(settings.seed)
    times = np.empty((settings.rounds, TIMED_PASSES, len(architectures)))
    with _images(settings, chosen) as images:
        nets = [DetNASNet(one, **_options(one.space, settings)) for one in architectures]
        for net in nets:
            _prepare(net, settings, images)
        for round_ in range(settings.rounds):
            for index in rng.permutation(len(nets)):
                nets[index](images)
                for timed in range(TIMED_PASSES):
                    clock = Clock(chosen)
                    nets[index](images)
                    clock.mark()
                    times[round_, timed, index] = clock.milliseconds()[0]
            if progress is not None:
                progress(round_ + 1, settings.rounds)
    return np.asarray(np.quantile(times, settings.quantile, axis=(0, 1)))


def require_device(name: str) -> torch.device:
    """The device called `name`: "cpu", "cuda" or "cuda:N".

    Raises:
        UserError: the name is invalid, or torch does not see this GPU.
    """
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (":" in name and not (kind == "cuda" and number.isdecimal())):
        raise UserError(f"unknown device {name!r}: choose cpu, cuda or cuda:N")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        seen = torch.cuda.device_count()
        raise UserError(f"device {name!r}: torch sees {seen} GPUs here; choose cpu or another GPU")
    return torch.device(name)


def _times_of_parts(net: DetNASSupernet, images: Tensor) -> list[float]:
    """Milliseconds of the stem and of each block on the path, run as in `forward`."""
    outputs: dict[int, Tensor] = {}
    parts = list(zip(net.space.block_specs(), net.active_blocks(), strict=True))
    clock = Clock(images.device)
    x = net.stem(images.contiguous(memory_format=net.memory_format))
    clock.mark()
    for spec, block in parts:
        x = block(x)
        outputs[spec.stage] = x  # kept until the end, like real feature maps
        clock.mark()
    return clock.milliseconds()


@contextmanager
def _images(settings: LatencySettings, device: torch.device) -> Iterator[Tensor]:
    """Yield a batch of images on the device, in inference mode with the number of threads set."""
    keep_freed_memory()
    threads = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    on_device = torch.cuda.device(device) if device.type == "cuda" else nullcontext()
    try:
        with torch.inference_mode(), torch.random.fork_rng(devices=[]), on_device:
            torch.manual_seed(settings.seed)
            images = torch.randn(settings.batch_size, *settings.input_size)
            yield images.to(device, getattr(torch, settings.dtype))
    finally:
        torch.set_num_threads(threads)


def _options(space: SearchSpace, settings: LatencySettings) -> dict[str, Any]:
    return {
        "out_indices": range(len(space.stages)),
        "memory_format": settings.memory_format,
    }


def _prepare(net: Backbone, settings: LatencySettings, images: Tensor) -> None:
    """Initialise weights, set device and dtype, and run one pass to see that it works."""
    net.init_weights()
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            # Activations of untrained networks underflow in float16; this keeps them near 0.1.
            nn.init.constant_(module.bias, 0.1)
    net.to(images.device, images.dtype).eval()
    try:
        net(images)
    except (RuntimeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        height, width = settings.input_size[1:]
        raise UserError(
            f"{settings.dtype} with a batch of {settings.batch_size} at {height}x{width} does not "
            f"run on {images.device}: {reason}"
        ) from error


def device_name(device: torch.device) -> str:
    """The model of a GPU, or of this machine's processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), platform.processor() or platform.machine())
