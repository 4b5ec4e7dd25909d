"""Measures latency on this machine: tables of blocks, and whole backbones.

Blocks are timed within the network. A block that runs repeatedly on its own has its weights and its
input in the cache, and sums of such times are 10 % too low. Each round times every choice of every
block, on as many random paths as there are choices. A path runs three times in a row; the first
pass is not counted, as it loads the weights into the cache.

On the CPU the C library is set to keep freed memory, for the rest of the process. Otherwise it may,
depending on earlier allocations, return feature maps to the system and request them again in every
pass. That causes about 800 page faults and makes small networks irregularly slower, by up to 10 %.

CUDA is timed by events on the current stream. That path was never run.
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
from search_space.latency import Device, LatencySettings, LatencyTable
from search_space.spaces import SearchSpace

TIMED_PASSES = 2
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # from malloc.h
ProgressCallback = Callable[[int, int], None]


class Clock:
    """Records time stamps on a device; `milliseconds` returns the times between them.

    Time stamps on a GPU are CUDA events, as its work is asynchronous.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._marks: list[Any] = []

    def start(self) -> None:
        """Drop all time stamps, wait until the device is idle, and record the first one."""
        self._marks = []
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
        pairs = zip(self._marks, self._marks[1:], strict=False)
        return [a.elapsed_time(b) if self._on_gpu else 1e3 * (b - a) for a, b in pairs]


def measure_latency(
    space: SearchSpace,
    settings: LatencySettings | None = None,
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
    settings = settings or LatencySettings()
    chosen = require_device(device)
    blocks, choices = np.arange(space.num_blocks), space.num_choices
    rng = np.random.default_rng(settings.seed)
    times = np.empty((settings.rounds, TIMED_PASSES, space.num_blocks, choices))
    stem = np.empty((settings.rounds, TIMED_PASSES, choices))
    with _inference(settings, chosen):
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
            # Each block has a permutation of its choices, so the paths cover every choice once.
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
        space=space,
        base=float(np.quantile(stem, settings.quantile)),
        table=tuple(map(tuple, table)),
        settings=settings,
        device=Device(chosen.type, _device_name(chosen)),
        torch=str(torch.__version__),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def measure_backbones(
    architectures: Sequence[Architecture],
    settings: LatencySettings | None = None,
    device: str = "cpu",
    progress: ProgressCallback | None = None,
) -> np.ndarray:
    """Time whole backbones of one architecture each: milliseconds per batch, (architectures,).

    Each round times all architectures in a random order, like the paths of `measure_latency`. All
    networks are in memory at once. Networks use the channel shuffle of their architecture, not that
    of the settings. Arguments and errors are those of `measure_latency`.
    """
    settings = settings or LatencySettings()
    chosen = require_device(device)
    rng = np.random.default_rng(settings.seed)
    times = np.empty((settings.rounds, TIMED_PASSES, len(architectures)))
    with _inference(settings, chosen):
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
        UserError: the name is invalid, or torch does not see this GPU.
    """
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (":" in name and not (kind == "cuda" and number.isdecimal())):
        raise UserError(f"unknown device {name!r}: choose cpu, cuda or cuda:N")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        seen = torch.cuda.device_count()
        raise UserError(f"device {name!r}: torch sees {seen} GPUs here; choose cpu or another GPU")
    return torch.device(name)


def _times_of_parts(net: DetNASSupernet, images: Tensor, clock: Clock) -> list[float]:
    """Milliseconds of the stem and of each block on the path, run as in `forward`."""
    outputs: dict[int, Tensor] = {}
    parts = list(zip(net.space.block_specs(), net.active_blocks(), strict=True))
    clock.start()
    x = net.stem(images.contiguous(memory_format=net.memory_format))
    clock.mark()
    for spec, block in parts:
        x = block(x)
        outputs[spec.stage] = x  # kept until the end, like real feature maps
        clock.mark()
    return clock.milliseconds()


@contextmanager
def _inference(settings: LatencySettings, device: torch.device) -> Iterator[None]:
    """Inference mode on this device, with the settings' number of threads inside the block."""
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
    """Set glibc neither to map large blocks separately nor to shrink the heap."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:  # glibc alone has it
            mallopt(_M_MMAP_MAX, 0)
            mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def _images(settings: LatencySettings, device: torch.device) -> Tensor:
    images = torch.randn(settings.batch_size, *settings.input_size)
    return images.to(device, getattr(torch, settings.dtype))


def _prepare(
    net: DetNASSupernet | DetNASNet, settings: LatencySettings, device: torch.device, images: Tensor
) -> None:
    """Initialise weights, set device and dtype, and run one pass to see that it works."""
    net.init_weights()
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            # Activations of untrained networks underflow in float16; this keeps them near 0.1.
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
