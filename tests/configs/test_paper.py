"""Every config of the paper's experiments: all its parts build, and its numbers are the paper's.

The numbers stand here a second time on purpose, by stage and data set, as the facts have them.
"""

import json
import re
import runpy
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import Compose
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import (
    DATASETS,
    HOOKS,
    METRICS,
    MODELS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
    init_default_scope,
)

import detnas.evaluation.metrics
import detnas.training  # noqa: F401 - registers
from detnas.config import load_config, unwrap_dataset
from detnas.stages.experiment import Experiment
from detnas.stages.settings import SearchSettings
from search_space.architecture import PUBLISHED
from search_space.cost import params_table
from search_space.sampling import BudgetSampler
from search_space.spaces import get_space

ROOT = Path(__file__).parents[2]
PAPER = ROOT / "configs" / "paper"
GENERATOR = ROOT / "scripts" / "paper_configs.py"
GPUS = 8
STAGES = ("pretrain", "finetune", "search", "pretrain_subnet", "retrain")
CONFIGS = sorted(p for p in PAPER.rglob("*.py") if p.stem in STAGES)
FOUND = "shufflenetv2-{}"  # in the place of an architecture that is yet to be found


@dataclass(frozen=True)
class Facts:
    """What a training stage must be: the learning rate at some iterations (from 0) among it."""

    iterations: int
    images: int
    weight_decay: float
    rates: dict[int, float]
    exempt: bool  # one-dimensional parameters do not decay


def _detection(iterations: int, steps: tuple[int, int], rate: float) -> Facts:
    first, second = steps
    rates = {0: rate / 3, 499: rate, 500: rate, first - 1: rate, first: rate / 10}
    rates |= {second - 1: rate / 10, second: rate / 100, iterations - 1: rate / 100}
    return Facts(iterations, 16, 1e-4, rates, False)


IMAGENET = Facts(300_000, 1024, 4e-5, {0: 0.5, 150_000: 0.25, 299_999: 0.0}, True)
DETECTION = {
    ("coco", 1): (90_000, (60_000, 80_000)),
    ("coco", 3): (270_000, (180_000, 240_000)),
    ("voc", 1): (22_500, (15_000, 20_000)),
    ("voc", 3): (67_500, (45_000, 60_000)),
}


def _classifies(config: Path) -> bool:
    return config.stem in ("pretrain", "pretrain_subnet") or config.parent.name == "clsnas_small"


def _facts(config: Path) -> Facts:
    if _classifies(config):
        return IMAGENET
    dataset, detector = config.parent.name.split("_")[-2:]
    from_scratch = config.parent.name.startswith("scratch")
    iterations, steps = DETECTION[dataset, 3 if from_scratch else 1]
    return _detection(iterations, steps, {"fpn": 0.02, "retinanet": 0.01}[detector])


@cache  # mmdet's own configs take a tenth of a second to find
def _load(path: Path) -> Config:
    config = load_config(path)
    architecture = config.model.backbone.get("architecture", "")
    if architecture.endswith(".json"):
        blocks = get_space(config.model.backbone.space).num_blocks
        config.model.backbone.architecture = FOUND.format(blocks)
    return config


@lru_cache(maxsize=32)
def _model(text: str) -> Any:
    init_default_scope("mmdet")
    with torch.device("meta"):
        return MODELS.build(ConfigDict(json.loads(text)))


def _build_model(config: Config) -> Any:
    model = config.model.to_dict()
    if "data_preprocessor" in config:
        model["data_preprocessor"] = config.data_preprocessor.to_dict()
    return _model(json.dumps(model, sort_keys=True))


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def _each(configs: list[Path]) -> Any:
    return pytest.mark.parametrize("path", configs, ids=_name)


SEARCHES = [path for path in CONFIGS if path.stem == "search"]
TRAININGS = [path for path in CONFIGS if path.stem != "search"]


def test_every_combination_has_its_folder_and_no_other_is_there() -> None:
    settings = ["coco_fpn", "coco_retinanet", "voc_fpn", "voc_retinanet"]
    methods = ["detnas_small", "detnas_large", "detnas_large_wide", "random_small", "scratch_small"]
    methods += ["clsnas_small", "shufflenetv2_20"]
    expected = {f"{method}_{setting}" for method in methods for setting in settings}
    expected |= {"supernet_small", "supernet_small_bins", "supernet_large", "clsnas_small"}
    expected |= {"shufflenetv2_20", "shufflenetv2_40_coco_fpn", "shufflenetv2_40_wide_coco_fpn"}
    expected |= {"resnet50_coco_fpn", "resnet101_coco_fpn"}
    expected |= {re.sub("[-.]", "_", name) for name in PUBLISHED if name.startswith("detnasnet")}
    assert {folder.name for folder in PAPER.iterdir()} == expected


def test_files_are_those_of_the_table(tmp_path: Path) -> None:
    check = [sys.executable, str(GENERATOR), "--check"]
    result = subprocess.run(check, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "up to date\n")
    copy = shutil.copytree(PAPER, tmp_path / "paper")
    (copy / "supernet_small" / "pretrain.py").write_text("max_iters = 1\n")
    (copy / "resnet50_coco_fpn" / "retrain.py").unlink()
    (copy / "another.py").touch()
    changed = ["another.py", "resnet50_coco_fpn/retrain.py", "supernet_small/pretrain.py"]
    assert runpy.run_path(str(GENERATOR))["stale"](copy) == changed


@_each(CONFIGS)
def test_model_and_data_build(path: Path) -> None:
    config = _load(path)
    model = _build_model(config)
    for hook in config.get("custom_hooks", []):
        assert HOOKS.build(dict(hook)) is not None
    loaders = ["train_dataloader", "val_dataloader", "test_dataloader"]
    for loader in [config[key] for key in loaders if config.get(key) is not None]:
        for dataset in unwrap_dataset(loader["dataset"].to_dict()):
            built = DATASETS.build({**dataset, "lazy_init": True})
            assert len(built.pipeline.transforms) == len(dataset["pipeline"]) > 0
            classes = built.metainfo.get("classes")
            if classes is not None:
                assert len(classes) == config.num_classes
    for key in ("val_evaluator", "test_evaluator"):
        if config.get(key) is not None:
            METRICS.build({k: v for k, v in config[key].items() if k != "ann_file"})
    assert tuple(model.backbone.out_indices) == tuple(config.out_indices)


@_each(CONFIGS)
def test_normalisation_is_as_the_paper_trains(path: Path) -> None:
    """SyncBN in every part of a detector that has batch norm; each GPU's own in classification."""
    config = _load(path)
    model = _build_model(config)
    kinds: dict[str, set[str]] = {}
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            kinds.setdefault(name.split(".")[0], set()).add(type(module).__name__)
            assert all(p.requires_grad for p in module.parameters()), name  # BN weights do learn
    if _classifies(path):
        expected = {"backbone": {"BatchNorm2d"}, "neck": {"BatchNorm2d"}}
    else:
        parts = ["backbone"]
        if path.parent.name.endswith("fpn"):
            parts += ["neck", "roi_head"]
        elif path.parent.name.startswith("scratch"):
            parts += ["neck", "bbox_head"]
        expected = {part: {"SyncBatchNorm"} for part in parts}
    assert kinds == expected
    # The authors' weights take plain pixels, torchvision's ResNets normalised ones.
    resnet = path.parent.name.startswith("resnet")
    pixels = {**(config.get("data_preprocessor") or config.model.data_preprocessor)}
    assert pixels["mean"][0] == (123.675 if resnet else 0)
    assert pixels["std"][0] == (58.395 if resnet else 1)
    assert pixels.get("to_rgb", pixels.get("bgr_to_rgb")) is resnet


@_each(TRAININGS)
def test_training_has_the_papers_numbers(path: Path) -> None:
    config, facts = _load(path), _facts(path)
    assert config.train_cfg.max_iters == facts.iterations
    assert config.train_dataloader.batch_size * GPUS == facts.images
    assert config.auto_scale_lr.base_batch_size == facts.images
    wrapper = build_optim_wrapper(_build_model(config), config.optim_wrapper.to_dict())
    assert type(wrapper) is OptimWrapper
    groups = wrapper.optimizer.param_groups
    for group in groups:
        assert group["momentum"] == 0.9
        one_dimensional = {p.ndim <= 1 for p in group["params"]}
        if facts.exempt:
            assert len(one_dimensional) == 1
        decays = facts.weight_decay if not facts.exempt or one_dimensional == {False} else 0.0
        assert group["weight_decay"] == decays
    rates = _rates(
        json.dumps([config.optim_wrapper.optimizer.lr, config.param_scheduler, facts.iterations])
    )
    for iteration, rate in facts.rates.items():
        assert rates[iteration] == pytest.approx(rate, rel=1e-5, abs=1e-9), iteration


@lru_cache(maxsize=8)
def _rates(text: str) -> list[float]:
    """The learning rate of every iteration, from mmengine's schedulers themselves."""
    rate, configs, iterations = json.loads(text)
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    optimiser.step()
    schedulers = [
        PARAM_SCHEDULERS.build(config, default_args={"optimizer": optimiser}) for config in configs
    ]
    rates = []
    for _ in range(iterations):
        rates.append(optimiser.param_groups[0]["lr"])
        for scheduler in schedulers:
            scheduler.step()
    return rates


@_each(SEARCHES)
def test_searches_are_the_papers(path: Path) -> None:
    config = _load(path)
    settings = SearchSettings.from_section(config.search.to_dict())
    strategy = settings.strategy
    assert (strategy.generations, strategy.population) == (20, 50)
    if strategy.type == "evolution":
        assert (strategy.parents, strategy.mutations, strategy.crossovers) == (10, 20, 20)
        assert strategy.mutation_probability == 0.1
    assert (strategy.type == "random") == path.parent.name.startswith("random")
    assert settings.evaluator.calibration_images == 500
    space = get_space(config.model.backbone.space)
    (budget,) = settings.budgets
    assert (budget.cost, budget.upper) == ("macs", {"small": 300e6, "large": 1.3e9}[space.name])
    assert BudgetSampler(space, settings.budgets).count > 0
    scores = {"coco": "coco/bbox_mAP", "voc": "pascal_voc/mAP", "clsnas": "accuracy/top1"}
    name = path.parent.name
    data = name.split("_")[0] if name == "clsnas_small" else name.split("_")[-2]
    assert settings.score == scores[data]


@pytest.mark.parametrize(
    ("name", "space", "params"), [("small", "small", 6_808_256), ("large", "large", 28_642_008)]
)
def test_supernets_are_of_the_papers_size(name: str, space: str, params: int) -> None:
    model = _build_model(_load(PAPER / f"supernet_{name}" / "pretrain.py"))
    assert sum(p.numel() for p in model.backbone.parameters()) == params
    table = params_table(get_space(space))
    assert table.base + sum(map(sum, table.table)) == params


def test_published_networks_are_configured_by_name() -> None:
    for name in PUBLISHED:
        if name.startswith("detnasnet"):
            folder = PAPER / re.sub("[-.]", "_", name)
            for stage in ("pretrain_subnet", "retrain"):
                assert _load(folder / f"{stage}.py").model.backbone.architecture == name


@_each(CONFIGS)
def test_search_and_training_images_are_apart(path: Path) -> None:
    """A supernet under a detector trains without the search split, a single network with it."""
    config = _load(path)
    if not _classifies(path):
        files = [d["ann_file"] for d in unwrap_dataset(config.train_dataloader["dataset"])]
        split = "trainsearch" if path.stem == "retrain" else "train"
        assert all(re.search(rf"[_/]{split}\.", file) for file in files), files
        tested = [d["ann_file"] for d in unwrap_dataset(config.test_dataloader["dataset"])]
        assert all("val2017" in file or "test" in file for file in tested)


def test_images_are_prepared_as_in_the_paper() -> None:
    config = _load(PAPER / "supernet_small" / "pretrain.py")
    pipeline = Compose([TRANSFORMS.build(t) for t in config.train_pipeline])
    assert [type(t).__name__ for t in pipeline.transforms] == [
        "LoadImageFromFile",
        "RandomResizedCrop",
        "ColorJitter",
        "RandomFlip",
        "PackInputs",
    ]
    _, crop, jitter, *_ = config.train_dataloader.dataset.pipeline
    assert crop.scale == 224
    assert (jitter.brightness, jitter.contrast, jitter.saturation) == (0.4, 0.4, 0.4)
    assert config.model.head.loss.label_smooth_val == 0.1
    resizes = {
        data: next(
            t
            for t in _load(PAPER / f"detnas_small_{data}_fpn" / "finetune.py").train_pipeline
            if t["type"] == "Resize"
        )
        for data in ("coco", "voc")
    }
    assert resizes["coco"].scale == (1333, 800)
    assert resizes["voc"].scale == (1000, 600)
    assert all(resize.keep_ratio for resize in resizes.values())


def test_the_authors_bins_are_their_own() -> None:
    (hook,) = _load(PAPER / "supernet_small_bins" / "pretrain.py").custom_hooks
    classifier = 33_136_640
    lower, upper = 290_000_000 - classifier, 360_000_000 - classifier
    policy = {"type": "uniform_bins", "lower": lower, "upper": upper, "bins": 7}
    assert hook.policy.to_dict() == policy
    HOOKS.build(dict(hook)).policy(get_space("small"), seed=0)  # no bin is empty


STAGE_INPUTS = {
    "detnas_small_coco_fpn": {
        "finetune": {"supernet_small/pretrain/final.pth"},
        "search": {"detnas_small_coco_fpn/finetune/final.pth"},
        "pretrain_subnet": {"detnas_small_coco_fpn/search/best_architecture.json"},
        "retrain": {
            "detnas_small_coco_fpn/search/best_architecture.json",
            "detnas_small_coco_fpn/pretrain_subnet/final.pth",
        },
    },
    "detnas_large_wide_voc_retinanet": {
        "pretrain_subnet": {"detnas_large_voc_retinanet/search/best_architecture.json"},
        "retrain": {
            "detnas_large_voc_retinanet/search/best_architecture.json",
            "detnas_large_wide_voc_retinanet/pretrain_subnet/final.pth",
        },
    },
    "random_small_voc_fpn": {
        "search": {"detnas_small_voc_fpn/finetune/final.pth"},
        "pretrain_subnet": {"random_small_voc_fpn/search/best_architecture.json"},
    },
    "clsnas_small": {
        "search": {"supernet_small/pretrain/final.pth"},
        "pretrain_subnet": {"clsnas_small/search/best_architecture.json"},
    },
    "clsnas_small_coco_fpn": {
        "retrain": {
            "clsnas_small/search/best_architecture.json",
            "clsnas_small/pretrain_subnet/final.pth",
        },
    },
    "scratch_small_coco_retinanet": {
        "finetune": set(),
        "search": {"scratch_small_coco_retinanet/finetune/final.pth"},
        "retrain": {"scratch_small_coco_retinanet/search/best_architecture.json"},
    },
    "detnasnet_3_8g_coco_fpn": {
        "pretrain_subnet": set(),
        "retrain": {"detnasnet_3_8g_coco_fpn/pretrain_subnet/final.pth"},
    },
    "shufflenetv2_20_voc_retinanet": {"retrain": {"shufflenetv2_20/pretrain_subnet/final.pth"}},
    "resnet50_coco_fpn": {"retrain": set()},
}


@pytest.mark.parametrize("name", STAGE_INPUTS)
def test_stages_begin_from_what_others_leave(name: str) -> None:
    experiment = Experiment(PAPER / name, Path("work_dirs") / name, {})
    for stage, expected in STAGE_INPUTS[name].items():
        files = experiment.stage(stage).inputs().values()
        assert {str(file.relative_to("work_dirs")) for file in files} == expected, stage


def test_the_papers_page_names_every_experiment_and_no_other() -> None:
    page = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.endswith("| not run |")]
    in_rows = {re.findall(r"`(\w+)`", row)[0] for row in rows}
    named = set(re.findall(r"`(?:configs/paper/)?((?:\w+_)*\w+)`", page))
    folders = {folder.name for folder in PAPER.iterdir()}
    assert in_rows <= folders <= named
    shared = {"supernet_small", "supernet_small_bins", "supernet_large", "clsnas_small"}
    shared |= {"shufflenetv2_20"}
    others = ("coco_retinanet", "voc_fpn", "voc_retinanet")
    beyond = {f"detnas_large{wide}_{o}" for wide in ("", "_wide") for o in others}
    assert folders - in_rows == shared | beyond
    for name in re.findall(r"configs/paper/([a-z]\S+?\.py)", page):
        assert (PAPER / name).is_file(), name
