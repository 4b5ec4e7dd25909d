"""`detnas init`: from somebody's annotations and images to the folder of an experiment."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

import psutil
import torch
from mmengine.device import get_device

import detnas.models
import detnas.training  # noqa: F401 - registers what configs name
from detnas.data.checks import folder_split
from detnas.data.crops import write_crops
from detnas.data.folders import new_folder, refuse_existing
from detnas.data.yolo import yolo_splits
from detnas.errors import UserError, user_input
from detnas.evaluation.latency import measure_latency
from detnas.files import write_text
from detnas.init.chosen import CROPS, LATENCY_FILE, NARROW, NONE, RESNETS, Chosen
from detnas.init.data import ANNOTATIONS, PreparedData, prepare_data
from detnas.init.detectors import DetectorFile, detector_lines
from detnas.init.explanation import README, explanation
from detnas.init.folder import write_configs
from detnas.init.measure import measure_pace
from detnas.init.schedule import Counts, Schedule, choose_schedule, wanted_side
from detnas.init.space import LATENCY, SpaceChoice, choose_space
from detnas.search.costs import size_latency_budgets
from detnas.stages.outlook import write_forecast
from search_space.latency import LatencySettings
from search_space.sampling import BudgetSampler
from search_space.spaces import parse_space
from search_space.validation import did_you_mean

CROP_SIDE, CROPS_BATCH = 64, 64
BATCH = {"cpu": 8, "cuda": 16}
MOST_WORKERS = 8
LATENCY_ROUNDS = 30


@dataclass(frozen=True)
class Request:
    """What the user asks for.

    Attributes:
        folder: to be made.
        train: annotations in COCO, VOC or YOLO format; `images` the folder of their images.
        val: annotations of the images that results are reported on; None carves them out.
        budgets: texts, such as "macs=300e6"; empty takes the default of the space.
        pretrained: "crops", "none", an image folder, or a checkpoint of a supernet.
        seconds: for the whole run.
        stock: names of stock backbones, each with a checkpoint, None for torchvision's, or "none".
    """

    folder: Path
    train: Path
    images: Path | None = None
    val: Path | None = None
    val_images: Path | None = None
    detector: str = "retinanet"
    budgets: Sequence[str] = ()
    space: str | None = None
    pretrained: str = CROPS
    seconds: float = 3600.0
    stock: Mapping[str, str | None] = field(default_factory=dict)
    seed: int = 0


def create(request: Request, say: Callable[[str], None] = lambda _: None) -> str:
    """Inspect the data, choose, and write the experiment's folder.

    Args:
        request: what the user asks for.
        say: told what is done, one line each.
    Returns:
        What was found and chosen, and why, as `README.md` in the folder has it.
    Raises:
        UserError: anything invalid; then there is no folder.
    """
    _check(request)
    detector = detector_lines(request.detector)
    checkpoint = Path(request.pretrained) if request.pretrained.endswith(".pth") else None
    with user_input():
        space = choose_space(request.space, request.budgets, checkpoint)
    request = absolute(request)
    with new_folder(request.folder) as folder, _named_as_wanted(folder, request.folder):
        say("reading annotations and images")
        data = prepare_data(folder, *_given(request), request.seed, say)
        if detector.with_mask and not data.statistics.has_masks:
            raise UserError(
                f"{request.train} has no masks, which {request.detector} needs: add masks, or name "
                "a detector of boxes, such as faster-rcnn"
            )
        counts, classes, notes = _counts(request, data, folder, say)
        data = replace(data, notes=(*data.notes, *notes))
        say("measuring what a step of each stage takes on this machine")
        chosen = _choose(request, folder, data, detector, space, counts, classes)
        if any(each.cost == LATENCY for each in chosen.budgets):
            say("measuring the latency of every block of the space")
            space = replace(space, why=_measure_latency(folder, chosen))
        write_configs(folder, chosen)
        text = explanation(request, chosen, data, space)
        write_text(folder / README, text)
        write_forecast(folder, chosen.schedule.seconds)
    return text


Given = tuple[Path, Path | None]
"""Annotations and the folder of their images, or None for the usual places."""


def _given(request: Request) -> tuple[Given, Given | None]:
    """What is trained on, and what is reported on, if that is given: a data.yaml may name both."""
    train = (request.train, request.images)
    if request.val is not None:
        return train, (request.val, request.val_images or request.images)
    data = request.train / "data.yaml" if request.train.is_dir() else request.train
    if data.suffix in (".yaml", ".yml") and data.is_file() and "val" in yolo_splits(data):
        return (data, request.images), (data, request.images)
    return train, None


def absolute(request: Request) -> Request:
    """The request with the paths that configs will hold as absolute ones.

    Raises:
        UserError: a config would read one of them as something else.
    """
    named = [request.folder, request.images, request.val_images, request.train, request.val]
    pretrained = request.pretrained
    if pretrained not in (CROPS, NONE):
        pretrained = str(Path(pretrained).absolute())
        named.append(Path(pretrained))
    stock = {}
    for name, weights in request.stock.items():
        is_file = weights not in (None, NONE)
        stock[name] = str(Path(weights).absolute()) if is_file and weights else weights
        named += [Path(weights)] if is_file and weights else []
    for path in named:
        if path is not None and set(str(path.absolute())) & set("{}\"'\\\n"):
            raise UserError(
                f"{path.absolute()}: quotes, braces, backslashes and line breaks in paths cannot "
                "stand in a config: rename the folder"
            )
    return replace(request, pretrained=pretrained, stock=stock)


@contextmanager
def _named_as_wanted(folder: Path, wanted: Path) -> Iterator[None]:
    """Let messages name the folder to be made, not the temporary one."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace(str(folder), str(wanted))) from error


def _check(request: Request) -> None:
    """Refuse what can be refused before the data are read."""
    refuse_existing(request.folder)
    if request.seed < 0:
        raise UserError(f"--seed is {request.seed}; it must be at least 0")
    for file in (request.train, request.val):
        if file is not None and not file.exists():
            raise UserError(f"{file} does not exist: name your annotations, or their folder")
    for name, weights in request.stock.items():
        if name not in RESNETS:
            raise UserError(f"--stock {name} is not known: {did_you_mean(name, list(RESNETS))}")
        if weights not in (None, NONE) and not Path(weights).is_file():
            raise UserError(f"--stock {name}={weights}: this file does not exist")
    if request.pretrained not in (CROPS, NONE):
        path = Path(request.pretrained)
        if path.suffix == ".pth" and path.is_file():
            return
        if not (path / "train").is_dir() or not (path / "val").is_dir():
            raise UserError(
                f"--pretrained {path}: it may be {CROPS}, {NONE}, a supernet's .pth file, or a "
                "folder with train/ and val/, one folder a class in each"
            )


def _counts(
    request: Request, data: PreparedData, folder: Path, say: Callable[[str], None]
) -> tuple[Counts, int, tuple[str, ...]]:
    """How much there is to train on, classes of the pretraining, notes. Writes the crops."""
    images, classes = 0, 0
    notes: tuple[str, ...] = ()
    if request.pretrained == CROPS:
        say("cutting out the objects for pretraining")
        report = write_crops(
            folder / ANNOTATIONS / "instances_train.json",
            data.train.image_root,
            folder / CROPS,
            CROP_SIDE,
            seed=request.seed,
        )
        images, classes, notes = sum(report.train), len(report.classes), report.notes
    elif (Path(request.pretrained) / "train").is_dir():
        root = Path(request.pretrained) / "train"
        files = folder_split("train", root).images
        images, classes = len(files), len({file.relative_to(root).parts[0] for file in files})
    sizes = data.images
    batch = min(BATCH[get_device()], max(1, sizes["train"] // 4))
    counts = Counts(sizes["train"], sizes["search"], sizes["val"], images, batch, CROPS_BATCH)
    return counts, classes, notes


def _choose(
    request: Request,
    folder: Path,
    data: PreparedData,
    detector: DetectorFile,
    space: SpaceChoice,
    counts: Counts,
    classes: int,
) -> Chosen:
    """Measure with a first choice of size and lengths, then choose."""
    statistics = data.statistics
    wanted = wanted_side(statistics.medians, statistics.longest)
    chosen = Chosen(
        classes=statistics.classes,
        image_folders=(data.train.image_root.resolve(), data.val_images.resolve()),
        size=image_size(wanted, statistics.sides),
        batch=counts.batch,
        workers=max(1, min(MOST_WORKERS, (psutil.cpu_count() or 2) // 2)),
        space=space.space,
        macs=space.macs,
        budgets=space.budgets,
        detector=detector,
        narrow=NARROW.get(request.detector, ()) if get_device() == "cpu" else (),
        pretrained=request.pretrained,
        pretrain_classes=classes,
        stock=request.stock,
        scalars=find_spec("tensorboard") is not None,
        schedule=Schedule.shortest(wanted),
    )
    write_configs(folder, replace(chosen, macs=None, budgets=()))
    width, height = chosen.size
    pace = measure_pace(folder, width * height, list(request.stock))
    area = width * height / wanted**2
    schedule = choose_schedule(pace, counts, request.seconds, statistics.longest, area, wanted)
    return replace(chosen, schedule=schedule, size=image_size(schedule.side, statistics.sides))


def image_size(side: int, sides: tuple[int, int]) -> tuple[int, int]:
    """Width and height whose longer one is `side`, in the proportion of `sides`."""
    width, height = (max(1, round(side * each / max(sides))) for each in sides)
    return width, height


def _measure_latency(folder: Path, chosen: Chosen) -> str:
    """Write the latency table of the space; return what the budget means there."""
    width, height = chosen.size
    threads = torch.get_num_threads()
    size = (3, height, width)
    settings = LatencySettings(input_size=size, threads=threads, rounds=LATENCY_ROUNDS)
    table = measure_latency(parse_space(chosen.space), settings, get_device())
    with user_input():
        budgets = size_latency_budgets(chosen.budgets, [table])
        BudgetSampler(parse_space(chosen.space), budgets, [table.costs])
    write_text(folder / LATENCY_FILE, json.dumps(table.to_dict(), indent=2) + "\n")
    return (
        f"the space's backbones take {table.costs.min:.3g} to {table.costs.max:.3g} ms for one "
        f"image of {width}x{height} on this machine, {threads} threads"
    )
