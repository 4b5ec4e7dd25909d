"""Writes the config files of an experiment: short ones, to be read and changed by the user."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from detnas.files import write_text
from detnas.init.detectors import DetectorFile
from detnas.init.schedule import Schedule, as_values
from search_space.budget import Budget

RESNETS = {
    "resnet18": (18, [64, 128, 256, 512]),
    "resnet34": (34, [64, 128, 256, 512]),
    "resnet50": (50, [256, 512, 1024, 2048]),
    "resnet101": (101, [256, 512, 1024, 2048]),
}
"""Stock backbones by name: depth, channels of the stages."""
NARROW = {
    "retinanet": (
        "fpn_channels = 96  # for a CPU; mmdet has 256, and 4 convolutions in the head",
        "model = dict(bbox_head=dict(stacked_convs=2))",
    ),
    "faster-rcnn": ("fpn_channels = 96  # for a CPU; mmdet has 256",),
    "mask-rcnn": ("fpn_channels = 96  # for a CPU; mmdet has 256",),
}
"""Lines of `detector.py` by detector."""
CROPS, NONE = "crops", "none"
"""Values of `--pretrained`, besides a folder and a checkpoint."""
LATENCY_FILE = "latency.json"
BASES_OF_RUNTIME = ("detnas::_base_/runtime.py",)


@dataclass(frozen=True)
class Chosen:
    """What the files say.

    Attributes:
        classes: names, in the order of the annotation files.
        image_folders: of the images of train and search, and of val, absolute.
        size: width and height that images are scaled to fit into, in pixels.
        batch: images in a step, of each process.
        workers: processes that load images.
        space: of the search.
        macs: the budget on multiply-adds at 224x224; None without one.
        budgets: all budgets, where there are others than an upper bound on multiply-adds.
        detector: its part of the config.
        narrow: lines that make its neck and heads smaller, for a CPU.
        pretrained: "crops", "none", an image folder, or a supernet's checkpoint.
        pretrain_classes: classes of the pretraining.
        stock: stock backbones to compare with, each with a checkpoint, None for torchvision's, or
            "none".
        scalars: whether TensorBoard is installed.
        schedule: lengths of the stages.
    """

    classes: Sequence[str]
    image_folders: tuple[Path, Path]
    size: tuple[int, int]
    batch: int
    workers: int
    space: str
    macs: float | None
    budgets: Sequence[Budget]
    detector: DetectorFile
    narrow: Sequence[str]
    pretrained: str
    pretrain_classes: int
    stock: Mapping[str, str | None]
    scalars: bool
    schedule: Schedule

    @property
    def pretrains(self) -> bool:
        """Whether there is a stage of pretraining."""
        return self.pretrained == CROPS or Path(self.pretrained).is_dir()


def write_configs(folder: Path, chosen: Chosen) -> None:
    """Write the config files into an existing folder; earlier ones of the same names go."""
    for name, text in config_files(chosen).items():
        write_text(folder / name, text)


def config_files(chosen: Chosen) -> dict[str, str]:
    """The text of each config file by its name."""
    files = {
        "data.py": _DATA.substitute(
            classes=_listed(chosen.classes),
            folders=_image_folders(chosen.image_folders),
            size=repr(chosen.size),
            batch=chosen.batch,
            workers=chosen.workers,
            annotations=_annotations(chosen.detector),
        ),
        "space.py": _space(chosen),
        "model.py": chosen.detector.text,
        "detector.py": _detector(chosen),
        "finetune.py": _finetune(chosen),
        "search.py": _search(chosen),
        "retrain.py": _RETRAIN.substitute(as_values(chosen.schedule)),
        "compare.py": _compare(chosen),
    }
    if chosen.pretrains:
        files["pretrain.py"] = _pretrain(chosen)
    for name, weights in chosen.stock.items():
        files[f"{name}.py"] = _stock(name, weights, chosen.schedule)
    return files


def _listed(names: Sequence[str]) -> str:
    body = "".join(f"    {_text(name)},\n" for name in names)
    return f"(\n{body})"


def _text(value: str) -> str:
    """A text as code, in the quotes of the other configs."""
    return json.dumps(value, ensure_ascii=False)


def _image_folders(folders: tuple[Path, Path]) -> str:
    train, val = (_text(str(folder)) for folder in folders)
    if train == val:
        return f"train_folder = search_folder = test_folder = {train}"
    return f"train_folder = search_folder = {train}\ntest_folder = {val}"


def _annotations(detector: DetectorFile) -> str:
    if not detector.with_mask:
        return ""
    return 'annotations = dict(with_mask=True)\ntest_evaluator = dict(metric=["bbox", "segm"])\n'


_DATA = Template("""\
# The data: annotations of train, search, trainsearch (both) and val in annotations/.
_base_ = ["detnas::_base_/datasets/coco_detection.py"]
data_root = "{{ fileDirname }}"
$folders
classes = $classes
num_classes = len(classes)
image_scale = $size  # images are scaled to fit into this width and height
batch_size = $batch  # of each process
num_workers = $workers  # that load images, of each process
flip = dict(prob=0.5)  # left to right; 0.0 where right and left matter
$annotations""")


def _space(chosen: Chosen) -> str:
    lines = ["# What is searched, and within which budget. docs/configs.md lists the spaces."]
    lines.append(f"space = {_dict(chosen.space)}")
    if chosen.macs is not None:
        lines.append(f"macs_budget = {chosen.macs:.4g}  # multiply-adds of the backbone at 224x224")
    return "\n".join(lines) + "\n"


def _detector(chosen: Chosen) -> str:
    bases = [
        "./model.py",
        "./space.py",
        "./data.py",
        "detnas::_base_/preprocessing/imagenet.py",
        "detnas::_base_/schedules/detection.py",
        *_runtime(chosen),
    ]
    text = f"# What fine-tuning, search and retraining share.\n{_bases(bases)}"
    text += "".join(f"{line}\n" for line in chosen.narrow)
    return text + _optimizer(chosen)


def _optimizer(chosen: Chosen) -> str:
    """SGD's learning rate, or the optimiser that the detector's authors use."""
    wrapper = chosen.detector.optimizer
    if wrapper is None:
        return f"lr = {0.02 * chosen.batch / 8:.4g}  # of SGD, for {chosen.batch} images a step\n"
    base = chosen.detector.optimizer_batch
    optimizer = dict(wrapper["optimizer"])
    note = ""
    if optimizer.get("lr"):
        # Adam's steps have the same length for any gradient, so their noise decides: a root.
        optimizer["lr"] = float(f"{optimizer['lr'] * (chosen.batch / base) ** 0.5:.2g}")
        note = f"# As its authors train it; their lr is for {base} images.\n"
    return f"{note}optim_wrapper = {_dict({'_delete_': True, **wrapper, 'optimizer': optimizer})}\n"


def _dict(value: Any) -> str:
    """A value as code, with `dict(...)` for mappings."""
    if isinstance(value, Mapping):
        return "dict(" + ", ".join(f"{key}={_dict(each)}" for key, each in value.items()) + ")"
    return _text(value) if isinstance(value, str) else repr(value)


def _runtime(chosen: Chosen) -> list[str]:
    scalars = ["detnas::_base_/tensorboard.py"] if chosen.scalars else []
    return [*BASES_OF_RUNTIME, *scalars]


def _bases(names: Sequence[str]) -> str:
    body = "".join(f'    "{name}",\n' for name in names)
    return f"_base_ = [\n{body}]\n"


def _pretrain(chosen: Chosen) -> str:
    bases = [
        "detnas::_base_/models/classifier.py",
        "detnas::_base_/backbones/supernet.py",
        "./space.py",
        "detnas::_base_/preprocessing/imagenet.py",
        "detnas::_base_/datasets/image_folder.py",
        "detnas::_base_/schedules/classification.py",
        *_runtime(chosen),
    ]
    values = as_values(chosen.schedule)
    root = "{{ fileDirname }}/" + CROPS if chosen.pretrained == CROPS else chosen.pretrained
    what = "crops of your objects" if chosen.pretrained == CROPS else "the images of a folder"
    return _PRETRAIN.substitute(
        values,
        what=what,
        bases=_bases(bases),
        root=root,
        classes=chosen.pretrain_classes,
        workers=chosen.workers,
        interval=max(1, chosen.schedule.pretrain // 3),
    )


_PRETRAIN = Template("""\
# The supernet learns to classify $what, one random path a step. First it
# trains the path of 3x3 blocks alone (path_warmup_iters), whose function all choices then get.
${bases}\
pretrain_root = "$root"  # one folder a class, in train/ and val/
num_classes = $classes
num_workers = $workers
max_iters = $pretrain_iters
warmup_iters = $pretrain_warmup  # of the learning rate
path_warmup_iters = $path_warmup
path_validation = dict(interval=$interval, paths=2, per_choice=True, calibration_images=256)
train_pipeline = [
    dict(type="mmpretrain.LoadImageFromFile"),
    dict(type="mmpretrain.RandomResizedCrop", scale=64, crop_ratio_range=(0.35, 1.0)),
    dict(type="mmpretrain.RandomFlip", prob=0.5, direction="horizontal"),
    dict(type="mmpretrain.ColorJitter", brightness=0.3, contrast=0.3, saturation=0.3),
    dict(type="mmpretrain.PackInputs"),
]
test_pipeline = [
    dict(type="mmpretrain.LoadImageFromFile"),
    dict(type="mmpretrain.Resize", scale=(64, 64)),
    dict(type="mmpretrain.PackInputs"),
]
""")


def _finetune(chosen: Chosen) -> str:
    values = as_values(chosen.schedule)
    if chosen.pretrains:
        start = 'pretrained = "{experiment}/pretrain/final.pth"'
    elif chosen.pretrained == NONE:
        start = (
            f"path_warmup_iters = {round(0.5 * chosen.schedule.finetune)}"
            "  # the path of 3x3 blocks alone, for nothing was pretrained"
        )
    else:
        start = f"pretrained = {_text(chosen.pretrained)}"
    return _FINETUNE.substitute(values, start=start)


_FINETUNE = Template("""\
# The supernet is trained under the detector on the train split, one random path a step.
# path_validation scores two random paths, and the path of each choice, on the search split.
_base_ = ["./detector.py", "detnas::_base_/backbones/supernet.py"]
$start
max_iters = $finetune_iters
warmup_iters = $finetune_warmup  # of the learning rate
path_validation = dict(interval=$interval, paths=2, per_choice=True, calibration_images=64)
""")


def _search(chosen: Chosen) -> str:
    return _SEARCH.substitute(
        as_values(chosen.schedule), budgets=_budgets(chosen.budgets, chosen.macs)
    )


def _budgets(budgets: Sequence[Budget], macs: float | None) -> str:
    if macs is not None:
        return ""
    rows = []
    for each in budgets:
        bounds = {"cost": each.cost, "lower": each.lower, "upper": each.upper}
        if each.cost != "params":
            bounds["input_size"] = tuple(each.input_size)  # type: ignore[assignment]
        rows.append(_dict({key: value for key, value in bounds.items() if value is not None}))
    text = f"    budgets=[{', '.join(rows)}],\n"
    if any(each.cost == "latency_ms" for each in budgets):
        text += f'    cost_tables=["{{{{ fileDirname }}}}/{LATENCY_FILE}"],\n'
    return text


_SEARCH = Template("""\
# Evolution on the supernet: every candidate has its batch norm recalibrated on train images, and is
# scored on the search split. The first generation is a random draw. More generations go on from
# where a finished search ended.
_base_ = ["./finetune.py", "detnas::_base_/search.py"]
search = dict(
${budgets}\
    strategy=dict(
        type="evolution",
        generations=$generations,
        population=$population,
        parents=$parents,
        mutations=$bred,
        crossovers=$bred,
    ),
    evaluator=dict(calibration_images=$calibration, calibration_batch_size=8),
)
""")

_RETRAIN = Template("""\
# The found network, trained on train + search from its part of the supernet, tested on val.
_base_ = ["./detector.py", "detnas::_base_/backbones/subnet.py"]
load_from = "{experiment}/finetune/final.pth"
max_iters = $retrain_iters
warmup_iters = $retrain_warmup
""")


def _compare(chosen: Chosen) -> str:
    stock = ""
    if chosen.stock:
        each = ", ".join(f'{name}="{{{{ fileDirname }}}}/{name}.py"' for name in chosen.stock)
        stock = f", stock=dict({each})"
    return _COMPARE.substitute(stock=stock)


_COMPARE = Template("""\
# Other networks, trained by the same recipe, and shown beside the found one.
_base_ = ["./retrain.py"]
compare = dict(networks=["3x3", "random"]$stock)
""")


def _stock(name: str, weights: str | None, schedule: Schedule) -> str:
    depth, channels = RESNETS[name]
    checkpoint = f"torchvision://{name}" if weights is None else weights
    start = f'init_cfg=dict(type="Pretrained", checkpoint={_text(checkpoint)}),'
    if weights == NONE:
        start = "init_cfg=None,"
    return _STOCK.substitute(
        as_values(schedule), name=name, depth=depth, channels=repr(channels), start=start
    )


_STOCK = Template("""\
# A stock backbone, $name, for as many iterations on the same images.
_base_ = ["./detector.py"]
train_split = "trainsearch"
stage_channels = $channels
backbone = dict(
    type="ResNet",
    depth=$depth,
    out_indices="{out_indices}",
    norm_cfg="{norm_cfg}",
    norm_eval=False,
    $start
)
max_iters = $retrain_iters
warmup_iters = $retrain_warmup
""")
