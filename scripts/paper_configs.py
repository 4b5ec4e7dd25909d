"""Write configs/paper, the experiments of the paper's tables, from the table in this file.

    python scripts/paper_configs.py            # write the files
    python scripts/paper_configs.py --check    # list the files that differ; exit status 1 if any do

TABLE gives, for each kind of experiment, the name of its folder, its variants, and its files.
<setting> and the like in a text stand for the values of the variant.
"""

import argparse
import sys
import textwrap
from dataclasses import dataclass
from itertools import product
from pathlib import Path

PAPER = Path(__file__).parents[1] / "configs" / "paper"
WIDTH = 100

Variant = dict[str, str]


@dataclass(frozen=True)
class File:
    """A config file.

    Args:
        title: its first line, a comment.
        bases: what it inherits, divided by spaces and without ".py": "paper/imagenet" is in
            configs/_base_, "./finetune" in the same folder, "../supernet_small/pretrain" in the
            folder of another experiment.
        values: the lines that follow.
    """

    title: str
    bases: str
    values: str = ""


SETTINGS = {
    "coco_fpn": "COCO, Faster R-CNN with FPN",
    "coco_retinanet": "COCO, RetinaNet",
    "voc_fpn": "VOC, Faster R-CNN with FPN",
    "voc_retinanet": "VOC, RetinaNet",
}
SCRATCH_MODELS = {"fpn": "faster_rcnn", "retinanet": "retinanet_sep_bn"}  # batch norm everywhere


def _each(**choices: list[str]) -> list[Variant]:
    """A variant for every combination of the choices."""
    return [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]


def _given(space: str, architecture: str, folder: str) -> Variant:
    """A network that no search here finds."""
    setting = next(setting for setting in SETTINGS if folder.endswith(setting))
    return {"space": space, "architecture": architecture, "folder": folder, "setting": setting}


EACH_SETTING = _each(setting=[*SETTINGS])
GIVEN_NETWORKS = [
    _given("small", "detnasnet-300m-coco-fpn", "detnasnet_300m_coco_fpn"),
    _given("small", "detnasnet-300m-coco-retinanet", "detnasnet_300m_coco_retinanet"),
    _given("small", "detnasnet-300m-voc-fpn", "detnasnet_300m_voc_fpn"),
    _given("small", "detnasnet-300m-voc-retinanet", "detnasnet_300m_voc_retinanet"),
    _given("large", "detnasnet-1.3g-coco-fpn", "detnasnet_1_3g_coco_fpn"),
    _given("large_wide", "detnasnet-3.8g-coco-fpn", "detnasnet_3_8g_coco_fpn"),
    _given("large", "shufflenetv2-40", "shufflenetv2_40_coco_fpn"),
    _given("large_wide", "shufflenetv2-40", "shufflenetv2_40_wide_coco_fpn"),
]

SUPERNET = File(
    "The <space> supernet, pretrained on ImageNet, paths drawn uniformly",
    "paper/imagenet backbones/supernet spaces/<space>",
)
SUPERNET_BINS = File(
    "The small supernet, pretrained with the path policy of the authors' code",
    "../supernet_small/pretrain",
    """\
# Uniform over seven bins of 10M, whose edges, 290M to 360M, count the classifier too.
classifier_macs = 33136640
path_policy = dict(
    type="uniform_bins",
    lower=290e6 - classifier_macs,
    upper=360e6 - classifier_macs,
    bins=7,
)""",
)
FINETUNE = File(
    "The <space> supernet, fine-tuned on <on>", "paper/<setting> paper/supernet spaces/<space>"
)
SEARCH = File("Evolutionary search on the search split of <data>", "./finetune paper/search")
RANDOM_SEARCH = File(
    "Random search on the supernet of detnas_small_<setting>",
    "../detnas_small_<setting>/finetune paper/random_search",
    'search = dict(supernet="{experiment}/../detnas_small_<setting>/finetune/final.pth")',
)
CLASSIFICATION_SEARCH = File(
    "ClsNASNet: search by top-1 accuracy on ImageNet",
    "../supernet_small/pretrain paper/search",
    """\
# Scored on ImageNet's validation images, none of which is in the detection sets of the results.
test_dataloader = None
test_evaluator = None
test_cfg = None
search = dict(supernet="{experiment}/../supernet_small/pretrain/final.pth")""",
)
FOUND_NETWORK = File("The network that the search found", "backbones/subnet spaces/<space>")
WIDE_NETWORK = File(
    "The network of detnas_large_<setting> in wider channels",
    "backbones/subnet spaces/large_wide",
    'architecture = "{experiment}/../detnas_large_<setting>/search/best_architecture.json"',
)
GIVEN_NETWORK = File(
    "<architecture> in the channels of the space <space>",
    "backbones/subnet spaces/<space>",
    'architecture = "<architecture>"',
)
TRAINING = {
    "pretrain_subnet": File("The network, trained on ImageNet", "./network paper/imagenet"),
    "retrain": File(
        "The network, retrained on <on>",
        "./network paper/<setting>",
        'pretrained = "{experiment}/pretrain_subnet/final.pth"',
    ),
}
TRAINING_AS_DETNAS = {
    name: File(file.title, f"../detnas_small_<setting>/{name}") for name, file in TRAINING.items()
}
CLASSIFIER = File(
    "The network, trained on ImageNet", "paper/imagenet backbones/subnet spaces/small"
)
CLASSIFIER_RETRAINED = File(
    "ClsNASNet, retrained on <on>",
    "../detnas_small_<setting>/retrain",
    """\
architecture = "{experiment}/../clsnas_small/search/best_architecture.json"
pretrained = "{experiment}/../clsnas_small/pretrain_subnet/final.pth\"""",
)
SHUFFLENET = File(
    "ShuffleNetV2-20 (all blocks 3x3), trained on ImageNet",
    CLASSIFIER.bases,
    'architecture = "shufflenetv2-20"',
)
SHUFFLENET_RETRAINED = File(
    "ShuffleNetV2-20, trained on <on>",
    "../detnas_small_<setting>/retrain",
    """\
architecture = "shufflenetv2-20"
pretrained = "{experiment}/../shufflenetv2_20/pretrain_subnet/final.pth\"""",
)
RESNET = File(
    "ResNet-<depth> with torchvision's weights, trained on COCO",
    "models/faster_rcnn backbones/resnet<depth> preprocessing/imagenet datasets/coco "
    "schedules/coco_1x runtime",
)
SCRATCH = {
    "detector": File(
        "No ImageNet, three times as long, on <on>",
        "models/<scratch_model> spaces/small datasets/<dataset> preprocessing/authors "
        "schedules/<dataset>_3x runtime",
        "<scratch_rate>",
    ),
    "finetune": File("The small supernet, from random weights", "./detector backbones/supernet"),
    "search": SEARCH,
    "retrain": File("The network, from random weights", "./detector backbones/subnet"),
}

TABLE: list[tuple[str, list[Variant], dict[str, File]]] = [
    ("supernet_<space>", _each(space=["small", "large"]), {"pretrain": SUPERNET}),
    ("supernet_small_bins", [{}], {"pretrain": SUPERNET_BINS}),
    (
        "detnas_<space>_<setting>",
        _each(space=["small", "large"], setting=[*SETTINGS]),
        {"finetune": FINETUNE, "search": SEARCH, "network": FOUND_NETWORK, **TRAINING},
    ),
    ("detnas_large_wide_<setting>", EACH_SETTING, {"network": WIDE_NETWORK, **TRAINING}),
    ("random_small_<setting>", EACH_SETTING, {"search": RANDOM_SEARCH, **TRAINING_AS_DETNAS}),
    ("scratch_small_<setting>", EACH_SETTING, SCRATCH),
    ("clsnas_small", [{}], {"search": CLASSIFICATION_SEARCH, "pretrain_subnet": CLASSIFIER}),
    ("clsnas_small_<setting>", EACH_SETTING, {"retrain": CLASSIFIER_RETRAINED}),
    ("shufflenetv2_20", [{}], {"pretrain_subnet": SHUFFLENET}),
    ("shufflenetv2_20_<setting>", EACH_SETTING, {"retrain": SHUFFLENET_RETRAINED}),
    ("<folder>", GIVEN_NETWORKS, {"network": GIVEN_NETWORK, **TRAINING}),
    ("resnet<depth>_coco_fpn", _each(depth=["50", "101"]), {"retrain": RESNET}),
]


def configs() -> dict[str, str]:
    """The text of every file, by its path under configs/paper."""
    return {
        _fill(f"{folder}/{name}.py", variant): _text(file, variant)
        for folder, variants, files in TABLE
        for variant in variants
        for name, file in files.items()
    }


def _fill(text: str, variant: Variant) -> str:
    values = dict(variant)
    if setting := variant.get("setting"):
        dataset, detector = setting.split("_")
        values |= {"on": SETTINGS[setting], "dataset": dataset, "data": dataset.upper()}
        values["scratch_model"] = SCRATCH_MODELS[detector]
        values["scratch_rate"] = "lr = 0.01" if detector == "retinanet" else ""
    for key, value in values.items():
        text = text.replace(f"<{key}>", value)
    return text


def _text(file: File, variant: Variant) -> str:
    title = f"# {_fill(file.title, variant)} (generated by scripts/paper_configs.py)."
    bases = [_path(base) for base in _fill(file.bases, variant).split()]
    inherit = f"_base_ = [{', '.join(bases)}]"
    if len(inherit) > WIDTH:
        inherit = "\n".join(["_base_ = [", *(f"    {base}," for base in bases), "]"])
    values = _fill(file.values, variant)
    lines = [*textwrap.wrap(title, WIDTH, subsequent_indent="# "), inherit]
    return "\n".join(lines + [values] * bool(values)) + "\n"


def _path(base: str) -> str:
    return f'"{base}.py"' if base.startswith(".") else f'"../../_base_/{base}.py"'


def stale(folder: Path) -> list[str]:
    """The files of a folder that are missing, differ from the table's, or are not in it."""
    expected = configs()
    found = {
        file.relative_to(folder).as_posix(): file.read_text(encoding="utf-8")
        for file in folder.rglob("*.py")
    }
    return sorted(k for k in expected.keys() | found.keys() if expected.get(k) != found.get(k))


def main() -> int:
    """Write the files, or check them; return the exit status."""
    parser = argparse.ArgumentParser(description="Write configs/paper from the table.")
    parser.add_argument("--check", action="store_true", help="only list the files that differ")
    if parser.parse_args().check:
        differing = stale(PAPER)
        print("\n".join(f"stale: configs/paper/{name}" for name in differing) or "up to date")
        return 1 if differing else 0
    for name, text in configs().items():
        (PAPER / name).parent.mkdir(parents=True, exist_ok=True)
        (PAPER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
