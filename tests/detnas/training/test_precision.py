"""Training in bf16 and fp16, in the classifier and in every detector; weight decay in two groups.

Networks have four blocks and inputs 96 pixels, so that the tests take seconds even in fp16, which
is slow on many CPUs.
"""

import math
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from torch import Tensor, nn

from detnas.cli import main
from detnas.config import load_config
from detnas.data.digits import DigitCounts, write_digits
from detnas.evaluation.batches import Batches, scored_loader
from detnas.evaluation.evaluator import CandidateEvaluator, EvaluatorSettings, build_metrics, score
from detnas.models.checkpoints import read_checkpoint
from detnas.models.precision import keep_boxes_in_fp32
from detnas.stages.train import train
from detnas.training.optimisers import PRECISIONS, TwoGroups, with_precision
from detnas.training.runner import DetNASRunner
from search_space.spaces import PAPER_CHOICES

MINIATURE = Path(__file__).parents[2] / "miniature"
COUNTS = DigitCounts(train_crops=40, val_crops=10, train_scenes=8, search_scenes=4, val_scenes=4)
STAGES = [16, 24, 32, 48]
SPACE = {
    "name": "four",
    "stem": 8,
    "stages": [[c, 1] for c in STAGES],
    "choices": list(PAPER_CHOICES),
}
NETWORK = {"type": "DetNASNet", "architecture": {"space": SPACE, "choices": [0, 1, 2, 3]}}
CONFIGS = {
    "classifier": "retinanet/pretrain.py",
    "retinanet": "retinanet/finetune.py",
    "retinanet_sep_bn": "retinanet/finetune.py",
    "faster_rcnn": "faster_rcnn/finetune.py",
    "mask_rcnn": "mask_rcnn/finetune.py",
}
HEADS = {
    "classifier": {"head"},
    "retinanet": {"bbox_head"},
    "retinanet_sep_bn": {"bbox_head"},
    "faster_rcnn": {"rpn_head", "roi_head.bbox_head"},
    "mask_rcnn": {"rpn_head", "roi_head.bbox_head", "roi_head.mask_head"},
}
ITERATIONS = {"bf16": 3, "fp16": 5}  # the first ones of fp16 may overflow
# Relative, of each loss of the first iteration compared with fp32. Measured: at most 0.16 % and
# 0.07 %; on another CPU rounding may change which proposals match an object.
TOLERANCE = {"bf16": 0.05, "fp16": 0.02}


class Watcher(Hook):
    """Records all losses, the first ones also in fp32, and the initial weights."""

    def __init__(self) -> None:
        self.losses: list[dict[str, float]] = []
        self.reference: dict[str, float] = {}
        self.initial: dict[str, Tensor] = {}

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if self.initial:
            return
        model = deepcopy(runner.model)
        self.initial = dict(model.state_dict())
        with torch.random.fork_rng():  # dropout, and which RoIs are sampled
            data = model.data_preprocessor(deepcopy(data_batch), True)
            losses = deepcopy(model)(**data, mode="loss")
        self.reference = _numbers(model.parse_losses(losses)[1])

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.losses.append(_numbers(outputs))


def _numbers(losses: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value.detach()) for name, value in losses.items() if "loss" in name}


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    """Use one thread: networks this small gain nothing from more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("precision")
    write_digits(folder / "data", counts=COUNTS)
    return folder


def _config(folder: Path, what: str, work_dir: Path | None = None, **options: Any) -> Config:
    """The miniature of a classifier or a detector over the four-block supernet."""
    options = {
        "data_root": str(folder / "data/detection"),
        "pretrain_root": str(folder / "data/classification"),
        "pretrained": None,
        "console_level": "ERROR",
        "space": {"_delete_": True, **SPACE},
        "stage_channels": STAGES,
        "last_channels": 32,
        "fpn_channels": 16,
        "image_scale": (96, 96),
        "batch_size": 2,
        "max_iters": 3,
        "checkpoint_interval": 100,
        "path_warmup_iters": 0,
        **options,
    }
    config = load_config(
        MINIATURE / CONFIGS[what], options, work_dir or folder / "unused", strict=False
    )
    if what == "retinanet":
        config.model.bbox_head.type = "RetinaHead"
        del config.model.bbox_head["num_ins"]
    return config


def _network(**options: Any) -> dict[str, Any]:
    """Options that replace the supernet by a network of one architecture."""
    backbone = {"_delete_": True, "norm_cfg": "{norm_cfg}", "out_indices": "{out_indices}"}
    return {"backbone": {**backbone, **NETWORK}, "custom_hooks": [], **options}


def _run(config: Config) -> tuple[DetNASRunner, Watcher]:
    runner, watcher = DetNASRunner.from_cfg(config), Watcher()
    runner.register_hook(watcher, "LOWEST")  # after the path is set and the step is seeded
    runner.train()
    return runner, watcher


@pytest.mark.parametrize("amp", PRECISIONS)
@pytest.mark.parametrize("backbone", ["supernet", "network"])
@pytest.mark.parametrize("what", CONFIGS)
def test_losses_are_close_to_fp32_and_weights_stay_in_fp32(
    what: str, backbone: str, amp: str, folder: Path, tmp_path: Path
) -> None:
    options = _network() if backbone == "network" else {}
    config = _config(folder, what, tmp_path, amp=amp, max_iters=ITERATIONS[amp], **options)
    runner, watcher = _run(config)
    assert len(watcher.losses) == ITERATIONS[amp]
    for losses in watcher.losses:
        assert all(math.isfinite(value) for value in losses.values()), losses
    assert watcher.losses[0] == pytest.approx(watcher.reference, rel=TOLERANCE[amp], abs=1e-3)
    assert watcher.losses[0] != watcher.reference  # so the precision did differ
    state = runner.model.state_dict()
    floating = {k: v for k, v in state.items() if v.is_floating_point()}
    assert all(value.isfinite().all() for value in floating.values())
    momenta = [entry["momentum_buffer"] for entry in runner.optim_wrapper.optimizer.state.values()]
    assert {value.dtype for value in [*floating.values(), *momenta]} == {torch.float32}
    assert len(momenta) > 20
    learned = {k for k, p in runner.model.named_parameters() if not p.equal(watcher.initial[k])}
    for part in HEADS[what] | {"backbone.stem", "backbone.blocks.0", "backbone.blocks.3", "neck"}:
        assert any(name.startswith(f"{part}.") for name in learned), part


def test_strictly_fair_paths_learn_with_loss_scaling(folder: Path, tmp_path: Path) -> None:
    options = {"amp": "fp16", "path_policy": {"type": "strictly_fair"}, "max_iters": 5}
    runner, watcher = _run(_config(folder, "classifier", tmp_path, **options))
    learned = {k for k, p in runner.model.named_parameters() if not p.equal(watcher.initial[k])}
    choices = {".".join(name.split(".")[:4]) for name in learned if name.startswith("backbone.b")}
    assert choices == {
        f"backbone.blocks.{block}.{choice}" for block in range(4) for choice in range(4)
    }


def test_the_loss_scale_is_in_the_checkpoint_and_resuming_is_exact(
    folder: Path, tmp_path: Path
) -> None:
    options = {"amp": "fp16", "max_iters": 4, "checkpoint_interval": 2}
    final = train(_config(folder, "classifier", tmp_path, **options))
    whole, scale = read_checkpoint(final)["state_dict"], _loss_scale(tmp_path / "iter_4.pth")
    assert _loss_scale(tmp_path / "iter_2.pth")["_growth_tracker"] < scale["_growth_tracker"]
    for name in ("final.pth", "iter_4.pth"):
        (tmp_path / name).unlink()
    train(_config(folder, "classifier", tmp_path, **options), resume=True)
    assert _loss_scale(tmp_path / "iter_4.pth") == scale
    for name, value in read_checkpoint(final)["state_dict"].items():
        assert value.equal(whole[name]), name


def _loss_scale(checkpoint: Path) -> dict[str, Any]:
    return read_checkpoint(checkpoint)["optimizer"]["loss_scaler"]


def _step(folder: Path, work_dir: Path, **options: Any) -> tuple[Any, Any, Any]:
    """A classifier, its optimiser wrapper and a batch."""
    runner = DetNASRunner.from_cfg(_config(folder, "classifier", work_dir, **options))
    runner.model.init_weights()
    batch = next(iter(runner.build_train_loop(runner.cfg.train_cfg).dataloader))
    return runner.model, runner.build_optim_wrapper(runner.optim_wrapper), batch


@pytest.mark.parametrize("clip_grad", [None, {"max_norm": 10.0}])
def test_an_overflow_skips_the_step_and_halves_the_scale(
    clip_grad: dict[str, float] | None, folder: Path, tmp_path: Path
) -> None:
    options = {"amp": "fp16", "optim_wrapper.clip_grad": clip_grad}
    model, wrapper, batch = _step(folder, tmp_path, **options)
    initial = {name: p.detach().clone() for name, p in model.named_parameters()}
    for scale, halved in ((2.0**40, True), (2.0**8, False)):
        state = wrapper.state_dict()
        state["loss_scaler"]["scale"] = scale
        wrapper.load_state_dict(state)
        model.train_step(batch, wrapper)
        assert wrapper.state_dict()["loss_scaler"]["scale"] == (scale / 2 if halved else scale)
        assert all(p.equal(initial[name]) for name, p in model.named_parameters()) == halved
        assert (not wrapper.optimizer.state) == halved
        assert all(p.grad is None for p in model.parameters())


def test_a_run_can_resume_in_another_precision(folder: Path, tmp_path: Path) -> None:
    model, _, batch = _step(folder, tmp_path)
    config = _config(folder, "classifier").optim_wrapper.to_dict()
    builder = config.pop("constructor")
    assert builder == "TwoGroups"
    wrappers = {amp: TwoGroups(with_precision(config, amp))(model) for amp in (None, *PRECISIONS)}
    for one in wrappers.values():
        for other in wrappers.values():
            other.load_state_dict(deepcopy(one.state_dict()))
            model.train_step(batch, other)


@pytest.mark.parametrize("threshold", [0.0, 0.99])
@pytest.mark.parametrize("what", ["retinanet", "faster_rcnn", "mask_rcnn"])
def test_predictions_under_autocast_are_scored(
    what: str, threshold: float, folder: Path, tmp_path: Path
) -> None:
    """Predictions are fp32, with and without detections; numpy has no bf16."""
    part = "test_cfg" if what == "retinanet" else "test_cfg.rcnn"
    options = {f"model.{part}.score_thr": threshold}
    config = _config(folder, what, tmp_path, **options)
    model = DetNASRunner.from_cfg(config).model.eval()
    keep_boxes_in_fp32(model)
    loader = scored_loader(config.test_dataloader, 0)
    dataset: Any = loader.dataset
    metrics = build_metrics(config.test_evaluator, dataset.metainfo)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = model.val_step(next(iter(loader)))[0].pred_instances
        results = score(model, Batches(lambda: loader, 1 << 30, 32), metrics)
    assert found.bboxes.dtype == found.scores.dtype == torch.float32
    assert (len(found) > 0) == (threshold == 0)
    assert ("coco/segm_mAP" in results) == (what == "mask_rcnn") == ("masks" in found)
    assert results["coco/bbox_mAP"] >= 0


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("what", ["retinanet", "faster_rcnn", "mask_rcnn"])
def test_candidates_are_scored_in_lower_precision(
    what: str, dtype: str, folder: Path, tmp_path: Path
) -> None:
    config = _config(folder, what, tmp_path)
    model = DetNASRunner.from_cfg(config).model
    config.val_dataloader, config.val_evaluator = config.test_dataloader, config.test_evaluator
    weights = tmp_path / "supernet.pth"
    meta = {"detnas": model.backbone.identity()}
    torch.save({"state_dict": model.state_dict(), "meta": meta}, weights)
    settings = EvaluatorSettings(calibration_images=4, calibration_batch_size=2, dtype=dtype)
    metrics = CandidateEvaluator(config, weights, settings, seed=0)((0, 1, 2, 3))
    assert 0 <= metrics["coco/bbox_mAP"] <= 1


def test_rois_of_a_large_image_are_exact_in_bf16() -> None:
    """In bf16 coordinates near 1,000 would be multiples of 4."""
    from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

    strides = [4, 8, 16, 32]
    layer = {"type": "RoIAlign", "output_size": 7, "sampling_ratio": 0}
    extractor = SingleRoIExtractor(layer, out_channels=4, featmap_strides=strides)
    torch.manual_seed(0)
    levels = [torch.randn(1, 4, 800 // stride, 1344 // stride) for stride in strides]
    corners = torch.rand(200, 2) * torch.tensor([1300.0, 760.0])
    rois = torch.cat([torch.zeros(200, 1), corners, corners + 32], dim=1)
    reference, low = extractor(levels, rois), [level.bfloat16() for level in levels]

    def difference() -> float:
        return float((extractor(low, rois) - reference).norm() / reference.norm())

    assert difference() > 0.1
    keep_boxes_in_fp32(nn.ModuleList([extractor]))
    assert difference() < 0.01


def test_only_one_dimensional_weights_do_not_decay(folder: Path, tmp_path: Path) -> None:
    model, wrapper, _ = _step(folder, tmp_path, **{"optim_wrapper.optimizer.weight_decay": 0.25})
    decayed, spared = wrapper.optimizer.param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.25, 0.0)
    assert {p.ndim for p in spared["params"]} == {1}
    assert {p.ndim for p in decayed["params"]} == {2, 4}
    grouped = [id(p) for group in (decayed, spared) for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())


def test_two_groups_train_as_mmengines_flat_decay_does(folder: Path, tmp_path: Path) -> None:
    """Bit-identical unless gradients are clipped, as norms are summed in another order."""
    runners = []
    for name in ("two_groups", "flat_decay"):
        config = _config(folder, "classifier", tmp_path / name)
        config.optim_wrapper.optimizer.weight_decay = 0.25
        if name == "flat_decay":
            del config.optim_wrapper["constructor"]
            config.optim_wrapper.paramwise_cfg = {"flat_decay_mult": 0.0}
        runners.append(_run(config)[0])
    one, other = runners
    groups = [len(runner.optim_wrapper.optimizer.param_groups) for runner in runners]
    assert groups == [2, len(list(one.model.parameters()))]
    pairs = zip(one.model.named_parameters(), other.model.parameters(), strict=True)
    for (name, p), q in pairs:
        assert p.equal(q), name
        state, others = one.optim_wrapper.optimizer.state, other.optim_wrapper.optimizer.state
        assert (p in state) == (q in others)
        if p in state:
            assert state[p]["momentum_buffer"].equal(others[q]["momentum_buffer"]), name


def test_two_groups_take_no_paramwise_cfg(folder: Path, tmp_path: Path) -> None:
    options = {"optim_wrapper.paramwise_cfg": {"flat_decay_mult": 0.0}}
    with pytest.raises(ValueError, match="'TwoGroups' does not take paramwise_cfg: remove"):
        _step(folder, tmp_path, **options)


@pytest.mark.parametrize("amp", ["fp32", "bf16,fp16", "True", "bfloat16"])
def test_unknown_precisions_are_refused_before_any_work(
    amp: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, work_dir = str(MINIATURE / CONFIGS["classifier"]), tmp_path / "run"
    assert main(["train", config, "--work-dir", str(work_dir), "--cfg-options", f"amp={amp}"]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert all(line.startswith("detnas train: error: ") for line in lines)  # the data are not there
    assert lines[0].startswith("detnas train: error: amp is ")
    assert lines[0].endswith("it may be bf16, fp16 or None")
    assert not work_dir.exists()


def test_amp_with_another_optimiser_wrapper_is_refused() -> None:
    with pytest.raises(ValueError, match=r"amp is 'bf16', but optim_wrapper.type is 'AmpOptim"):
        with_precision({"type": "AmpOptimWrapper"}, "bf16")
    untouched = {"type": "AmpOptimWrapper"}
    assert with_precision(untouched, None) is untouched
