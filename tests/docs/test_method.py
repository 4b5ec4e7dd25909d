"""The numbers of the example in docs/method.md are those that DetNAS computes."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from detnas.evaluation.batch_norm import recalibrate
from detnas.fidelity.correlation import tau
from detnas.fidelity.regret import regret_of
from search_space.architecture import macs, parse_architecture
from search_space.budget import parse_budget
from search_space.cost import macs_table
from search_space.sampling import BudgetSampler
from search_space.spaces import get_space

PAGE = (Path(__file__).parents[2] / "docs" / "method.md").read_text(encoding="utf-8")
EXAMPLE = PAGE.split("\n## An example with numbers\n")[1].split("\n## ")[0]


def test_one_block_and_one_path() -> None:
    space = get_space("tiny")
    three, five = macs_table(space).table[1][:2]
    assert f"656 * 3,136 = {three:,} multiply-adds" in EXAMPLE
    assert f"912 * 3,136 = {five:,}\n" in EXAMPLE
    paths = re.findall(r"`(tiny:[\d,]+)`", EXAMPLE)
    costs = [macs(parse_architecture(path)) for path in paths]
    assert f"has {costs[0]:,} multiply-adds" in EXAMPLE
    assert f"{five:,} - {three:,} = {costs[1] - costs[0]:,}\nmore, {costs[1]:,}" in EXAMPLE
    assert f"{space.size:,} architectures" in EXAMPLE


def test_the_budget() -> None:
    budget = re.search(r"--budget (\S+)`", EXAMPLE)
    assert budget is not None
    sampler = BudgetSampler(get_space("tiny"), [parse_budget(budget[1])])
    assert f"says that {sampler.count} of the" in EXAMPLE
    assert round(1 / sampler.share, -3) == 35_000


class _OneChannel(nn.Module):
    """A batch norm with what recalibration asks of a model of OpenMMLab."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def data_preprocessor(self, batch: dict[str, Any], training: bool) -> dict[str, Any]:
        return batch

    def forward(self, inputs: Tensor, mode: str) -> Tensor:
        return self.norm(inputs)


def test_one_recalibration() -> None:
    rows = re.findall(r"batch \d:  ([\d, ]+?)  ", EXAMPLE)
    batches = [torch.tensor([float(each) for each in row.split(",")]) for row in rows]
    assert [len(batch) for batch in batches] == [4, 2]
    model = _OneChannel()
    assert recalibrate(model, [{"inputs": batch.view(-1, 1, 1, 1)} for batch in batches]) == 1
    assert model.norm.running_mean is not None
    assert model.norm.running_var is not None
    assert model.norm.running_mean.item() == pytest.approx(2)
    assert model.norm.running_var.item() == pytest.approx(1.111, abs=1e-3)
    normalised = [model.norm(torch.full((1, 1, 1, 1), each)).item() for each in (4.0, 0.0)]
    assert normalised == pytest.approx([1.90, -1.90], abs=0.005)


def test_one_comparison() -> None:
    proxy, truth = (
        np.array(re.findall(r"0\.\d+", line[0]), dtype=float)
        for line in re.finditer(r"^    (?:supernet|trained) .*$", EXAMPLE, re.M)
    )
    assert f"(4 - 2) / 6 = {tau(proxy, truth):.2f}." in EXAMPLE
    assert f"the regret is {regret_of(proxy, truth, truth).first:.2f}." in EXAMPLE
