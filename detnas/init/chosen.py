"""What `detnas init` has chosen: all that the config files of an experiment say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from detnas.init.detectors import DetectorFile
from detnas.init.schedule import Schedule
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
