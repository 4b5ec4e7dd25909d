"""Where the time of each stage of an experiment goes: a table per stage.

    python scripts/benchmark/where_time_goes.py --experiment configs/bccd_retinanet \\
        [--stages pretrain finetune retrain score] [--steps 12] [--images 60]

Training stages run by the stage's own config, runner, hooks and data for a few steps, with random
weights: waiting for data, moving and normalising it, forward with losses, backward, optimiser,
hooks, and the rest of the loop. Also printed is what the loader takes for an image in one process,
and how many steps' images one worker can prepare while the model makes a step.
"score" evaluates random candidates of the search's config, on `--images` of the scored split and as
many to recalibrate on: loading, recalibration, forward, decoding with NMS, and matching. The first
candidate loads the images, which later ones find in memory.

Times are exclusive: what is done inside another part does not count to that one. On CUDA the device
is waited for at each border, so that parts do not overlap as they do in a real run. With
`--clock processor`, on a machine that other programs share, give `--workers 0`: that clock does not
have the time of loader workers, nor of waiting.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from measured import add_common_options, start, write_json
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.runner.loops import _InfiniteDataloaderIterator

import detnas.evaluation.evaluator as evaluating
from detnas.config import load_config
from detnas.evaluation.batches import Batches
from detnas.evaluation.evaluator import (
    CandidateEvaluator,
    build_random_model,
    quiet_logger,
    quiet_stdout,
)
from detnas.evaluation.settings import EvaluatorSettings
from detnas.networks.checkpoint_file import write_checkpoint
from detnas.stages.forecast.pace import give_architecture, random_path
from detnas.training.runner import DetNASRunner
from detnas.training.seeding import seeded_dataloader

STAGES = ("pretrain", "finetune", "retrain", "score")
WARM_UP = 2
REST = "rest of the loop"


class Stopwatch:
    """Seconds by part, exclusive of the parts inside."""

    def __init__(self, device: torch.device, clock: str) -> None:
        self._on_gpu = device.type == "cuda"
        self._now = time.process_time if clock == "processor" else time.perf_counter
        self._open: list[str] = [REST]
        self._last = self._now()
        self.seconds: dict[str, float] = defaultdict(float)

    def restart(self) -> None:
        """Forget what was measured."""
        self._mark()
        self.seconds.clear()

    def _mark(self) -> None:
        if self._on_gpu:
            torch.cuda.synchronize()
        now = self._now()
        self.seconds[self._open[-1]] += now - self._last
        self._last = now

    def finish(self) -> dict[str, float]:
        """Seconds of all parts until now."""
        self._mark()
        return dict(self.seconds)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the block to a part."""
        self._mark()
        self._open.append(name)
        try:
            yield
        finally:
            self._mark()
            self._open.pop()

    def timed(self, owner: Any, method: str, part: str) -> Any:
        """A patch that counts the calls of a method to a part."""
        original = getattr(owner, method)

        def run(*args: Any, **kwargs: Any) -> Any:
            with self.part(part):
                return original(*args, **kwargs)

        return mock.patch.object(owner, method, run)


class _Watch(Hook):
    """Watches the steps of a run after the first ones."""

    priority = "VERY_LOW"

    def __init__(self, watch: Stopwatch, stack: ExitStack) -> None:
        self._watch, self._stack = watch, stack
        self.seconds: dict[str, float] = {}

    def before_train(self, runner: Any) -> None:
        """Put the parts under the watch."""
        model, wrapper = runner.model, runner.optim_wrapper
        for owner, method, part in (
            (model.data_preprocessor, "forward", "moving and normalising"),
            (model, "_run_forward", "forward and losses"),
            (wrapper, "backward", "backward"),
            (wrapper, "step", "optimiser"),
            (wrapper, "zero_grad", "optimiser"),
            (runner, "call_hook", "hooks"),
        ):
            self._stack.enter_context(self._watch.timed(owner, method, part))

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Begin after the warm-up, and end before what follows the last step."""
        if runner.iter + 1 == WARM_UP:
            self._watch.restart()
        if runner.iter + 1 == runner.max_iters:
            self.seconds = self._watch.finish()


def main() -> None:
    """Measure the stages, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiment", type=Path, default=Path("configs/bccd_retinanet"))
    parser.add_argument("--stages", nargs="+", default=STAGES, choices=STAGES)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--images", type=int, default=60, help="scored, and to recalibrate on")
    parser.add_argument("--candidates", type=int, default=3)
    parser.add_argument("--workers", type=int, help="of the loader; None is the config's number")
    add_common_options(parser, rounds=1)
    options = parser.parse_args()
    device = start(options)
    figures: dict[str, Any] = {}
    for stage in options.stages:
        with tempfile.TemporaryDirectory() as folder:
            measure = score_stage if stage == "score" else train_stage
            figures[stage] = measure(stage, options, device, Path(folder))
    write_json(options, figures)


def train_stage(
    stage: str, options: argparse.Namespace, device: torch.device, folder: Path
) -> dict[str, Any]:
    """The parts of a training stage, and what its loader takes."""
    config = short(load_config(options.experiment / f"{stage}.py", None, folder), options, folder)
    watch = Stopwatch(device, options.clock)
    with ExitStack() as stack, quiet_stdout():
        runner = DetNASRunner.from_cfg(config)
        hook = _Watch(watch, stack)
        runner.register_hook(hook)
        stack.enter_context(
            watch.timed(_InfiniteDataloaderIterator, "__next__", "waiting for data")
        )
        super(DetNASRunner, runner).train()
    batch = config.train_dataloader.batch_size
    per_step = {part: 1e3 * value / options.steps for part, value in hook.seconds.items()}
    show(f"{stage}: batch of {batch}, ms a step", per_step)
    image = loading_ms(config, options)
    work = (sum(per_step.values()) - per_step.get("waiting for data", 0.0)) / batch
    print(
        f"  the loader takes {image:.1f} ms for an image, the model {work:.1f}: one worker can "
        f"feed {work / image:.1f} such models",
        flush=True,
    )
    return {"ms a step": per_step, "batch": batch, "loader ms an image": image}


def short(config: Config, options: argparse.Namespace, folder: Path) -> Config:
    """A few steps of the stage's config, from random weights; its hooks stay."""
    config = deepcopy(config)
    config.work_dir = str(folder)
    config.console_level = "CRITICAL"
    config.load_from, config.resume = None, False
    config.train_cfg = {"type": "IterBasedTrainLoop", "max_iters": options.steps + WARM_UP}
    config.optim_wrapper.optimizer.lr = 1e-6  # weights stay finite
    config.default_hooks.checkpoint = None
    for split in ("val", "test"):
        for part in ("dataloader", "evaluator", "cfg"):
            config[f"{split}_{part}"] = None
    config.custom_hooks = [
        hook for hook in config.get("custom_hooks") or [] if hook["type"] == "PathSamplingHook"
    ]
    for hook in config.custom_hooks:
        hook["warmup_iters"] = 0
    give_architecture(config)
    config.model.backbone.pop("init_cfg", None)
    if options.workers is not None:
        config.train_dataloader.num_workers = options.workers
        config.train_dataloader.persistent_workers = options.workers > 0
    return config


def loading_ms(config: Config, options: argparse.Namespace) -> float:
    """Milliseconds that the loader takes for an image in this process."""
    settings = deepcopy(config.train_dataloader)
    settings.num_workers, settings.persistent_workers = 0, False
    batches = 3
    with quiet_stdout():
        loader = iter(Runner.build_dataloader(seeded_dataloader(settings, False, 0)))
    next(loader)
    now = time.process_time if options.clock == "processor" else time.perf_counter
    begun = now()
    for _ in range(batches):
        next(loader)
    return 1e3 * (now() - begun) / (batches * settings.batch_size)


def score_stage(
    stage: str, options: argparse.Namespace, device: torch.device, folder: Path
) -> dict[str, Any]:
    """The parts of scoring a candidate: the first one, and the mean of the others."""
    config = load_config(options.experiment / "search.py", None, folder)
    for loader in (config.train_dataloader, config.val_dataloader):
        loader.dataset["indices"] = options.images
    quiet_logger()
    with quiet_stdout():
        model = build_random_model(config)
        write_checkpoint(
            {"meta": {"detnas": model.backbone.identity()}, "state_dict": model.state_dict()},
            folder / "random.pth",
        )
        settings = EvaluatorSettings(
            calibration_images=options.images,
            calibration_batch_size=config.search.evaluator.calibration_batch_size,
            batch_shapes="equal",
            threads=options.threads,
        )
        watch = Stopwatch(device, options.clock)
        evaluator = CandidateEvaluator(config, folder / "random.pth", settings, 0)
        path = random_path(model.backbone.space)
        found = []
        with watched_scoring(watch, evaluator._model):
            for _ in range(options.candidates):
                watch.restart()
                evaluator(path)
                found.append(watch.finish())
    later = found[1:] or found
    parts = dict.fromkeys(part for each in found for part in each)
    mean = {p: 1e3 * sum(each.get(p, 0.0) for each in later) / len(later) for p in parts}
    first = {part: 1e3 * value for part, value in found[0].items()}
    size = f"{options.images} images scored, as many to recalibrate on"
    show(f"score, the first candidate, {size}, ms", first)
    show("score, each later candidate, ms", mean)
    return {"first": first, "later": mean}


@contextmanager
def watched_scoring(watch: Stopwatch, model: Any) -> Iterator[None]:
    """Put the parts of scoring under the watch."""
    every_next = Batches.__iter__

    def batches(self: Batches) -> Iterator[Any]:
        inner = iter(every_next(self))
        while True:
            with watch.part("loading"):
                try:
                    batch = next(inner)
                except StopIteration:
                    return
            yield batch

    patches: list[Callable[[], Any]] = [
        lambda: mock.patch.object(Batches, "__iter__", batches),
        lambda: watch.timed(evaluating, "recalibrate", "recalibration"),
        lambda: watch.timed(model.data_preprocessor, "forward", "moving and normalising"),
        lambda: watch.timed(model, "_run_forward", "forward"),
        lambda: watch.timed(Evaluator, "process", "matching"),
        lambda: watch.timed(Evaluator, "evaluate", "matching"),
    ]
    heads = [module for module in model.modules() if hasattr(module, "predict_by_feat")]
    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch())
        for head in heads:
            stack.enter_context(watch.timed(head, "predict_by_feat", "decoding and NMS"))
        yield


def show(title: str, parts: dict[str, float]) -> None:
    """Print parts by descending time, with their shares."""
    total = sum(parts.values())
    print(f"{title}: {total:.1f}")
    for part, value in sorted(parts.items(), key=lambda item: -item[1]):
        print(f"  {part:<26}{value:>10.1f}  {100 * value / total:5.1f} %", flush=True)


if __name__ == "__main__":
    main()
