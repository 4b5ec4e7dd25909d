"""What the recipes of `supernet_variants.py` cost: time of each kind of step, times their number.

    python scripts/benchmark/supernet_costs.py --data work_dirs/variants/data \\
        --variants base pretrain-half bn-pretrain bn-both small-images [--clock processor]

A step is one of training on real data: loading, forward, backward, optimiser. Its kind is what a
recipe changes of it: the warm-up's path or a random one, images of a share of their size, batch
norm alone. All kinds take turns in every round; those of one stage take the same random path and
the same images. On a machine with other work, `--clock processor` is disturbed less. Ratios are to
the stage's plain step on a random path, in the same round; minutes are of mean times.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from measured import Row, add_common_options, interleaved, row_text, rows_of, start, write_json
from mmengine.config import Config
from mmengine.runner import Runner
from supernet_variants import CONFIGS, VARIANTS, overrides_of
from training_steps import Step

from detnas.stages.experiment import Experiment
from detnas.training.batch_norm_only import fix_all_but_batch_norm
from detnas.training.paths import uniform_paths
from detnas.training.seeding import seeded_dataloader
from detnas.training.small_images import SmallImagesHook

STAGES = ("pretrain", "finetune")


@dataclass(frozen=True)
class Kind:
    """Steps of a stage that cost alike.

    Attributes:
        stage: "pretrain" or "finetune".
        warmup: whether the warm-up's path trains, not a random one.
        share: of the images' height and width.
        norms: whether only batch norm of the backbone trains.
    """

    stage: str
    warmup: bool = False
    share: float = 1.0
    norms: bool = False

    def __str__(self) -> str:
        path = "warm-up" if self.warmup else "random path"
        images = "" if self.share == 1 else f", images of {self.share:g}"
        return f"{self.stage}, {path}{images}{', batch norm' if self.norms else ''}"


def kinds_of(config: Config, stage: str) -> Counter[Kind]:
    """How many steps of each kind a stage's config takes."""
    (hook,) = (each for each in config.custom_hooks if each["type"] == "PathSamplingHook")
    small, norms = config.get("small_images") or {}, config.get("batch_norm_only") or {}
    steps = config.train_cfg.max_iters
    return Counter(
        Kind(
            stage,
            warmup=step < hook["warmup_iters"],
            share=small.get("share", 0.5) if step < small.get("until", 0) else 1.0,
            norms=step >= norms.get("begin", steps),
        )
        for step in range(steps)
    )


class KindOfStep:
    """Takes training steps of one kind, each on the next batch of the stage's training data."""

    def __init__(self, kind: Kind, config: Config, device: torch.device, seed: int) -> None:
        self.kind = kind
        self._step = Step(config, {}, device)
        self.backbone = self._step.model.backbone
        if kind.norms:
            fix_all_but_batch_norm(self.backbone)
        small = kind.share < 1
        self._resizing = SmallImagesHook(until=1, share=kind.share) if small else None
        loader = seeded_dataloader(config.train_dataloader, by_epoch=False, seed=0)
        self._batches: Iterator[Any] = iter(Runner.build_dataloader(loader))
        self._policy = uniform_paths(self.backbone.space, seed)
        self._taken = 0

    def __call__(self) -> None:
        """One step: on the warm-up's path, or on the random path of its number."""
        first = self.backbone.space.first_choices
        self.backbone.set_path(first if self.kind.warmup else self._policy(self._taken)[0])
        self._taken += 1
        batch = next(self._batches)
        if self._resizing is not None:
            self._resizing.before_train_iter(SimpleNamespace(iter=0), 0, batch)
        self._step.model.train_step(batch, self._step.wrapper)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="written by supernet_variants.py")
    parser.add_argument("--variants", nargs="+", default=["base"], choices=VARIANTS)
    add_common_options(parser, rounds=15)
    options = parser.parse_args()
    if options.rounds < 1:
        raise SystemExit("--rounds must be at least 1")
    device = start(options)
    counts = {name: Counter[Kind]() for name in dict.fromkeys(["base", *options.variants])}
    configs: dict[str, Config] = {}
    with TemporaryDirectory() as folder:
        for name, count in counts.items():
            for stage in STAGES:
                overrides = overrides_of(options.data, getattr(VARIANTS[name], stage))
                config = Experiment(CONFIGS, Path(folder), overrides, 0).stage(stage).config
                config.model.backbone.pop("init_cfg", None)
                configs.setdefault(stage, config)  # that of "base"
                count.update(kinds_of(config, stage))
    plain = {stage: Kind(stage) for stage in STAGES}
    kinds = list(dict.fromkeys([*plain.values(), *(kind for c in counts.values() for kind in c)]))
    steps = {
        str(kind): KindOfStep(kind, deepcopy(configs[kind.stage]), device, options.seed)
        for kind in kinds
    }
    times = interleaved(steps, device, options.rounds, options.clock)
    rows = [row for stage in STAGES for row in _rows_of_stage(stage, kinds, times)]
    print(f"{options.clock} time of a step, and its ratio to the plain step: medians (ranges)")
    for row in rows:
        print(row_text(row))
    minutes = _minutes(counts, dict(zip(kinds, times.mean(0), strict=True)))
    print(
        f"\n{'minutes of a supernet':<24}{'pretrain':>10}{'finetune':>10}{'both':>10}{'saved':>8}"
    )
    for name, (pretraining, finetuning) in minutes.items():
        both = pretraining + finetuning
        saved = 1 - both / sum(minutes["base"])
        print(f"{name:<24}{pretraining:>10.1f}{finetuning:>10.1f}{both:>10.1f}{saved:>8.1%}")
    write_json(options, {"steps": rows, "minutes": minutes})


def _rows_of_stage(stage: str, kinds: Sequence[Kind], times: np.ndarray) -> list[Row]:
    own = [index for index, kind in enumerate(kinds) if kind.stage == stage]
    reference = [kinds[index] for index in own].index(Kind(stage))
    return rows_of([str(kinds[index]) for index in own], times[:, own], reference)


def _minutes(
    counts: Mapping[str, Counter[Kind]], milliseconds: Mapping[Kind, float]
) -> dict[str, tuple[float, float]]:
    """Minutes of pretraining and fine-tuning of each variant, by mean times of the steps."""
    totals = {}
    for name, count in counts.items():
        sums = dict.fromkeys(STAGES, 0.0)
        for kind, number in count.items():
            sums[kind.stage] += number * milliseconds[kind] / 60e3
        totals[name] = (sums["pretrain"], sums["finetune"])
    return totals


if __name__ == "__main__":
    main()
