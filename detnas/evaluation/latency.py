"""Latency measured on the device at hand: tables of blocks, and whole backbones.

Blocks are timed inside the network, not one by one: a block that runs alone, again and again, finds
its weights and its input in the cache, and sums of such times come out a tenth too low. In a round
every choice of every block is timed, on as many random paths as there are choices. A path runs
three times in a row; the first pass brings its weights back into the cache and does not count.

On the CPU the C library is told to keep freed memory, for the rest of the process. Otherwise,
depending on what was allocated before, it returns feature maps to the system and fetches them again
in every pass: some 800 page faults, which make the small networks a tenth slower, unevenly.

CUDA is timed by events on the current stream. That was never run.
"""

import ctypes
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from detnas.errors import UserError
from detnas.models.backbones import DetNASNet, DetNASSupernet
from search_space.architecture import Architecture
from search_space.latency import LatencySettings, LatencyTable, latency_costs
from search_space.spaces import SearchSpace

TIMED_PASSES = 2
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of malloc.h
ProgressCallback = Callable[[int, int], None]


class Clock:
    """Marks moments of the work on a device; `milliseconds` between them are read at the end.

    On a GPU, where work is only queued, moments are events.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._marks: list[Any] = []

    def start(self) -> None:
        """Forget earlier moments; wait until the device is idle; mark the first one."""
        self._marks = []
        if self._on_gpu:
            torch.cuda.synchronize()
        self.mark()

    def mark(self) -> None:
        """Mark a moment."""
        if self._on_gpu:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self._marks.append(event)
        else:
            self._marks.append(time.perf_counter())

    def milliseconds(self) -> list[float]:
        """From each moment to the next."""
        if self._on_gpu:
            torch.cuda.synchronize()
        pairs = zip(self._marks, self._marks[1:], strict=False)
        return [a.elapsed_time(b) if self._on_gpu else 1e3 * (b - a) for a, b in pairs]


def measure_latency(
    space: SearchSpace,
    settings: LatencySettings | None = None,
    device: str = "cpu",
    progress: ProgressCallback | None = None,
) -> LatencyTable:
    """Time the stem and every choice of every block of `space`.

    Memory is that of the supernet's backbone and one path's feature maps.

    Args:
        device: "cpu", "cuda" or "cuda:N".
        progress: called after every round with the rounds done and their number.

    Raises:
        ValueError: no such device, or one that cannot compute in this dtype.
    """
    settings = settings or LatencySettings()
    chosen = require_device(device)
    blocks, choices = np.arange(space.num_blocks), space.num_choices
    rng = np.random.default_rng(settings.seed)
    times = np.empty((settings.rounds, TIMED_PASSES, space.num_blocks, choices))
    stem = np.empty((settings.rounds, TIMED_PASSES, choices))
    with _ready(settings, chosen):
        net = DetNASSupernet(
            space,
            settings.channel_shuffle,
            out_indices=range(len(space.stages)),
            memory_format=settings.memory_format,
        )
        images = _images(settings, chosen)
        _prepare(net, settings, chosen, images)
        clock = Clock(chosen)
        for round_ in range(settings.rounds):
            # Column by column a permutation: together the paths take every choice of every block.
            paths = rng.permuted(np.tile(np.arange(choices), (len(blocks), 1)), axis=1).T
            for number, path in enumerate(paths):
                net.set_path(path.tolist())
                net(images)
                for timed in range(TIMED_PASSES):
                    first, *others = _times_of_parts(net, images, clock)
                    stem[round_, timed, number] = first
                    times[round_, timed, blocks, path] = others
            if progress is not None:
                progress(round_ + 1, settings.rounds)
    table = np.quantile(times, settings.quantile, axis=(0, 1)).tolist()
    return LatencyTable(
        space,
        latency_costs(float(np.quantile(stem, settings.quantile)), table, settings.input_size),
        settings,
        chosen.type,
        _device_name(chosen),
        torch.__version__,
        datetime.now(UTC).isoformat(timespec="seconds"),
    )


def measure_backbones(
    architectures: Sequence[Architecture],
    settings: LatencySettings | None = None,
    device: str = "cpu",
    progress: ProgressCallback | None = None,
) -> np.ndarray:
    """Time whole one-architecture backbones: milliseconds for a batch, float64 [architectures].

    Rounds are interleaved: each times every architecture, in an order of its own, as the paths of
    `measure_latency` are. All the networks are held in memory. The architectures' own channel
    shuffle is used, not that of the settings. Arguments and errors as in `measure_latency`.
    """
    settings = settings or LatencySettings()
    chosen = require_device(device)
    rng = np.random.default_rng(settings.seed)
    times = np.empty((settings.rounds, TIMED_PASSES, len(architectures)))
    with _ready(settings, chosen):
        images, clock = _images(settings, chosen), Clock(chosen)
        nets = [
            DetNASNet(
                architecture,
                out_indices=range(len(architecture.space.stages)),
                memory_format=settings.memory_format,
            )
            for architecture in architectures
        ]
        for net in nets:
            _prepare(net, settings, chosen, images)
        for round_ in range(settings.rounds):
            for index in rng.permutation(len(nets)):
                nets[index](images)
                for timed in range(TIMED_PASSES):
                    clock.start()
                    nets[index](images)
                    clock.mark()
                    times[round_, timed, index] = clock.milliseconds()[0]
            if progress is not None:
                progress(round_ + 1, settings.rounds)
    return np.asarray(np.quantile(times, settings.quantile, axis=(0, 1)))


def require_device(name: str) -> torch.device:
    """The device called `name`: "cpu", "cuda" or "cuda:N".

    Raises:
        ValueError: another name, or a GPU that torch does not see.
    """
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (":" in name and not (kind == "cuda" and number.isdecimal())):
        raise UserError(f"unknown device {name!r}: give cpu, cuda or cuda:0")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        seen = torch.cuda.device_count()
        raise UserError(f"device {name!r}: torch sees {seen} GPUs here; give cpu or another")
    return torch.device(name)


def _times_of_parts(net: DetNASSupernet, images: Tensor, clock: Clock) -> list[float]:
    """Milliseconds of the stem and of each block on the path, as `forward` runs them."""
    outputs: dict[int, Tensor] = {}
    parts = list(zip(net.space.block_specs(), net.active_blocks(), strict=True))
    clock.start()
    x = net.stem(images.contiguous(memory_format=net.memory_format))
    clock.mark()
    for spec, block in parts:
        x = block(x)
        outputs[spec.stage] = x  # held till the end, as the real feature maps are
        clock.mark()
    return clock.milliseconds()


@contextmanager
def _ready(settings: LatencySettings, device: torch.device) -> Iterator[None]:
    """Inference with the settings' threads on this device; the threads are restored afterwards."""
    _keep_freed_memory()
    threads = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    try:
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            if device.type == "cuda":
                with torch.cuda.device(device):
                    yield
            else:
                yield
    finally:
        torch.set_num_threads(threads)


def _keep_freed_memory() -> None:
    """Tell glibc neither to map large blocks on their own nor to shrink the heap."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:  # other C libraries have none
            mallopt(_M_MMAP_MAX, 0)
            mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def _images(settings: LatencySettings, device: torch.device) -> Tensor:
    images = torch.randn(settings.batch_size, *settings.input_size)
    return images.to(device, getattr(torch, settings.dtype))


def _prepare(
    net: DetNASSupernet | DetNASNet, settings: LatencySettings, device: torch.device, images: Tensor
) -> None:
    """Weights, device and dtype as in use, and one pass to see that it runs."""
    net.init_weights()
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            # Untrained signals fade towards numbers that float16 does not hold: keep them near 0.1.
            nn.init.constant_(module.bias, 0.1)
    net.to(device, getattr(torch, settings.dtype)).eval()
    try:
        net(images)
    except (RuntimeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{settings.dtype} with a batch of {settings.batch_size} at "
            f"{settings.input_size[1]}x{settings.input_size[2]} does not run on {device}: {reason}"
        ) from error


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names and names[0] else platform.processor() or platform.machine()
