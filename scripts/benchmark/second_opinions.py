"""Other ways to rank the paths of a supernet than its mAP: the loss, and weights alone.

    python scripts/benchmark/second_opinions.py --table benchmarks/digits.csv \\
        --work-dir work_dirs/variants --variant base --seeds 0 1 2

Reads the supernets that `supernet_variants.py` trained in the same folder, and prints for each
indicator its rank correlation with the networks trained on their own:

- mAP: the table's own column, for comparison;
- loss: negative mean loss on the search split after recalibration, without NMS and matching;
- angle: between the weights of a path before and after fine-tuning, as in angle-based search
  (https://arxiv.org/abs/2004.13431);
- gamma: the mean absolute scale of the last batch norm of every block of a path, as in BN-NAS
  (https://arxiv.org/abs/2108.07375).

Angle and gamma need no image. The last lines average the ranks of two indicators.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from supernet_variants import CONFIGS, overrides_of, pretrained_by
from torch import nn

from detnas.evaluation.batch_norm import recalibrate
from detnas.evaluation.evaluator import CandidateEvaluator
from detnas.fidelity.comparison import TRAINED, estimate_text
from detnas.fidelity.statistics import measure_fidelity
from detnas.fidelity.table_file import read_table
from detnas.models.checkpoints import load_backbone_weights
from detnas.stages.candidate_worker import MakeCandidateEvaluator
from detnas.stages.experiment import Experiment
from detnas.stages.plan import plan_search


def main() -> None:
    """Compute, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, required=True, help="of `detnas fidelity`")
    parser.add_argument("--work-dir", type=Path, required=True, help="of the supernets")
    parser.add_argument("--variant", default="base", help="which of the supernets")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = read_table(options.table)
    found: dict[str, list[np.ndarray]] = {"mAP": [], "loss": [], "angle": [], "gamma": []}
    for seed in options.seeds:
        folder = options.work_dir / options.variant / f"seed{seed}"
        data = overrides_of(options.work_dir / "data", {"search.evaluator.threads": 1})
        plan = plan_search(Experiment(CONFIGS, folder, data, 0).stage("search").config)
        evaluator = MakeCandidateEvaluator.of_plan(plan)()
        found["mAP"].append(table.column(f"supernet/{options.variant}/seed{seed}"))
        rows = table.architectures
        found["loss"].append(np.array([-mean_loss(evaluator, choices) for choices in rows]))
        model = evaluator._model
        found["gamma"].append(np.array([gamma(model.backbone, choices) for choices in rows]))
        after = [weights(model.backbone, choices) for choices in rows]
        source = options.work_dir / pretrained_by(options.variant) / f"seed{seed}"
        load_backbone_weights(model.backbone, source / "pretrain" / "final.pth")
        before = [weights(model.backbone, choices) for choices in rows]
        found["angle"].append(
            np.array([angle(old, new) for old, new in zip(before, after, strict=True)])
        )
        print(f"seed {seed} done", flush=True)
    columns = {name: np.array(each).T for name, each in found.items()}
    for other in ("loss", "angle", "gamma"):
        columns[f"mAP and {other}"] = rankdata(columns["mAP"], axis=0) + rankdata(
            columns[other], axis=0
        )
    print(f"{'indicator':<16}{'between seeds':<24}{'tau with trained':<24}of the mean of the seeds")
    trained = table.columns(TRAINED)
    for name, scores in columns.items():
        each = measure_fidelity(scores, trained, table.costs)
        ranks = rankdata(scores, axis=0).mean(axis=1, keepdims=True)
        mean = measure_fidelity(ranks, trained, table.costs)
        agreement = "" if each.agreement is None else estimate_text(each.agreement.tau)
        print(
            f"{name:<16}{agreement:<24}{estimate_text(each.proxy.tau):<24}"
            f"{estimate_text(mean.proxy.tau)}"
        )


@torch.no_grad()
def mean_loss(evaluator: CandidateEvaluator, choices: Sequence[int]) -> float:
    """The mean loss of a path over the scored split, weighted by images, after recalibration."""
    model: Any = evaluator._model
    model.backbone.set_path(choices)
    recalibrate(model, evaluator._calibration)
    total, images = 0.0, 0
    for batch in evaluator._scored:
        data = model.data_preprocessor(batch, False)
        loss, _ = model.parse_losses(model.loss(**data))
        total += float(loss) * len(data["data_samples"])
        images += len(data["data_samples"])
    return total / images


def weights(backbone: Any, choices: Sequence[int]) -> torch.Tensor:
    """All weights of the convolutions of a path, as one vector in double precision."""
    backbone.set_path(choices)
    parts = [
        module.weight.detach().flatten()
        for block in backbone.active_blocks()
        for module in block.modules()
        if isinstance(module, nn.Conv2d)
    ]
    return torch.cat(parts).double()


def angle(before: torch.Tensor, after: torch.Tensor) -> float:
    """The angle between two vectors, in radians."""
    cosine = torch.dot(before, after) / (before.norm() * after.norm())
    return float(torch.arccos(cosine.clamp(-1, 1)))


def gamma(backbone: Any, choices: Sequence[int]) -> float:
    """The sum over blocks of the mean absolute scale of the last batch norm."""
    backbone.set_path(choices)
    total = 0.0
    for block in backbone.active_blocks():
        norms = [m for m in block.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        if norms:
            total += float(norms[-1].weight.abs().mean())
    return total


if __name__ == "__main__":
    main()
