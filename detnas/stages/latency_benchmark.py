"""`detnas benchmark-latency`: the found backbone beside others, in torch and ONNX Runtime.

All networks have random weights, give feature maps of several strides, and get the same batch.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet50
from torchvision.models._utils import IntermediateLayerGetter

from detnas.config import load_config
from detnas.errors import MissingFileError, MissingPackageError, UserError
from detnas.evaluation.complexity import Size, as_padded, image_size
from detnas.evaluation.detector_costs import parameters
from detnas.evaluation.interleaved import interleaved_latencies
from detnas.evaluation.latency import device_name, require_device
from detnas.export.onnx_file import open_session, require_onnx, write_static_onnx
from detnas.models.backbones import DetNASNet
from detnas.search.results import BEST_FILE, CONFIG_FILE
from detnas.stages.compare.plan import FIRST_CHOICES
from search_space.architecture import Architecture, parse_architecture
from search_space.errors import SpaceError

ENGINES = ("torch", "onnxruntime")
OTHERS = (FIRST_CHOICES, "resnet50")
FOUND = "found"
DEFAULT_SIZE = (224, 224)
"""Height and width where no experiment says another."""
BYTES_PER_PIXEL = 512
"""Of an image, about: the feature maps of a first stage that exist at once, in float32."""
ProgressCallback = Callable[[int, int], None]


@dataclass(frozen=True)
class Timing:
    """Of one network in one engine.

    Attributes:
        network, engine: their names.
        macs, params: multiply-adds of one image, parameters.
        median, lower, upper: of the times of a batch in milliseconds, and their quartiles.
    """

    network: str
    engine: str
    macs: int
    params: int
    median: float
    lower: float
    upper: float

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name."""
        return asdict(self)


@dataclass(frozen=True)
class Benchmark:
    """A timing of each network in each engine.

    Attributes:
        timings: they.
        device: the model of the processor or GPU.
        size: height and width of the images in pixels.
        size_of: what says this size.
    """

    timings: list[Timing]
    device: str
    size: Size
    size_of: str


def benchmark(
    found: str,
    others: Sequence[str] = OTHERS,
    engines: Sequence[str] = ENGINES,
    input_size: Size | None = None,
    batch_size: int = 1,
    rounds: int = 50,
    threads: int = 1,
    device: str = "cpu",
    progress: ProgressCallback | None = None,
) -> Benchmark:
    """Time backbones side by side.

    Args:
        found: an architecture (a JSON file, a published name or "small:2,1,..."), or the work
            directory of a search or an experiment.
        others: "3x3" (every block the first choice of the found network's space), architectures,
            "resnet50", or names of timm's models.
        engines: "torch", "onnxruntime" or both.
        input_size: height and width of the images in pixels; None takes what the detector tests on,
            padded, where `found` is a work directory, and else 224x224.
        threads: on the CPU, of both engines.
        device: "cpu", "cuda" or "cuda:1".
        progress: as in `interleaved_latencies`.
    Raises:
        UserError: an unknown network or device, a missing package, or too little memory.
    """
    chosen = require_device(device)
    if "onnxruntime" in engines:
        require_onnx()
    source = _architecture_file(found)
    architecture = parse_architecture(str(source))
    size, of_what = (input_size, "--input-size") if input_size else _own_size(found)
    _require_memory(batch_size, size)
    networks = {FOUND: _of_architecture(architecture)}
    for name in dict.fromkeys(others):
        networks[name] = _network(name, architecture)
    images = torch.randn(batch_size, 3, *size, generator=torch.Generator().manual_seed(0))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with tempfile.TemporaryDirectory() as folder:
            columns: list[tuple[str, str, int, int]] = []
            runs: list[Callable[[], object]] = []
            for name, network in networks.items():
                network.eval().requires_grad_(False)
                macs = _macs(network, images[:1], name)
                for engine in engines:
                    columns.append((name, engine, macs, parameters(network)))
                    if engine == "torch":
                        continue
                    file = Path(folder) / f"{len(runs)}.onnx"
                    write_static_onnx(network, images, file)
                    runs.append(_onnx_run(file, images, device, threads))
                network.to(chosen)
            on_device = images.to(chosen)
            torch_runs = [_torch_run(net, on_device) for net in networks.values()]
            in_order = _in_order(columns, torch_runs, runs)
            with torch.inference_mode():
                times = interleaved_latencies(in_order, chosen, rounds, progress=progress)
    finally:
        torch.set_num_threads(before)
    quartiles = np.quantile(times, (0.5, 0.25, 0.75), axis=0).T
    timings = [
        Timing(*column, *map(float, row)) for column, row in zip(columns, quartiles, strict=True)
    ]
    return Benchmark(timings, device_name(chosen), size, of_what)


def _in_order(columns: list[Any], torch_runs: list[Any], onnx_runs: list[Any]) -> list[Any]:
    """The functions in the order of the columns."""
    of_torch, of_onnx = iter(torch_runs), iter(onnx_runs)
    return [next(of_torch if engine == "torch" else of_onnx) for _, engine, *_ in columns]


def _architecture_file(found: str) -> Path | str:
    folder = Path(found)
    if not folder.is_dir():
        return found
    for file in (folder / BEST_FILE, folder / "search" / BEST_FILE, folder / "architecture.json"):
        if file.is_file():
            return file
    raise MissingFileError(
        f"{folder} has no {BEST_FILE}: name the work directory of a finished search, or an "
        "architecture"
    )


def _own_size(found: str) -> tuple[Size, str]:
    """The size of an experiment's test images, padded as its detector pads them."""
    folder = Path(found)
    files = ("retrain/retrain.py", f"search/{CONFIG_FILE}", CONFIG_FILE)
    for file in (folder / name for name in files):
        if not folder.is_dir() or not file.is_file():
            continue
        config = load_config(file)
        return as_padded(config, image_size(config)), f"test images of {file}"
    return DEFAULT_SIZE, "default"


def _require_memory(batch_size: int, size: Size) -> None:
    height, width = size
    needed = batch_size * height * width * BYTES_PER_PIXEL
    existing = psutil.virtual_memory().total
    if needed > existing:
        raise UserError(
            f"a batch of {batch_size:,} images of {height}x{width} (height x width) needs "
            f"about {needed / 1e9:,.0f} GB, and this machine has {existing / 1e9:,.0f} GB: "
            "choose a smaller --batch-size or --input-size"
        )


def _of_architecture(architecture: Architecture) -> nn.Module:
    network = DetNASNet(architecture)
    network.init_weights()
    return network


def _network(name: str, found: Architecture) -> nn.Module:
    if name == FIRST_CHOICES:
        return _of_architecture(replace(found, choices=found.space.first_choices))
    if name in ("resnet50", "resnet-50"):
        layers = {f"layer{number}": str(number) for number in range(1, 5)}
        return _Maps(IntermediateLayerGetter(resnet50(weights=None), layers))
    try:
        return _of_architecture(parse_architecture(name))
    except SpaceError:
        if Path(name).exists() or ":" in name:
            raise
    return _of_timm(name)


def _of_timm(name: str) -> nn.Module:
    try:
        import timm
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"--beside {name} is no architecture of DetNAS's, and timm, which may know it, is not "
            "installed: run `pip install 'detnas[timm]'`, or name another"
        ) from error
    try:
        network: nn.Module = timm.create_model(name, pretrained=False, features_only=True)
    except Exception as error:  # timm's errors have no common type
        reason = " ".join(str(error).split())
        raise UserError(
            f"--beside {name}: neither an architecture of DetNAS's nor one of timm's models that "
            f"gives feature maps ({reason[:120]}); see `timm.list_models()`"
        ) from error
    return network


class _Maps(nn.Module):
    """A network that gives a dictionary, giving a list."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> list[Tensor]:
        """The feature maps, the finest first."""
        return list(self.network(images).values())


@torch.no_grad()
def _macs(network: nn.Module, image: Tensor, name: str) -> int:
    try:
        with FlopCounterMode(display=False) as counter:
            network(image)
    except (RuntimeError, AssertionError) as error:  # a transformer of another image size
        height, width = image.shape[2:]
        reason = " ".join(str(error).split()) or "it asserts another size"
        raise UserError(
            f"{name} does not run at {height}x{width} (height x width): {reason[:120]}"
        ) from error
    return int(counter.get_total_flops() // 2)


def _torch_run(network: nn.Module, images: Tensor) -> Callable[[], object]:
    return lambda: network(images)


def _onnx_run(file: Path, images: Tensor, device: str, threads: int) -> Callable[[], object]:
    """Run a file on inputs and outputs that stay on the device."""
    session = open_session(file, device, threads)
    from onnxruntime import OrtValue

    kind, _, number = device.partition(":")
    binding = session.io_binding()
    value = OrtValue.ortvalue_from_numpy(images.numpy(), kind, int(number or 0))
    binding.bind_ortvalue_input(session.get_inputs()[0].name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name, kind, int(number or 0))
    return lambda: session.run_with_iobinding(binding)
