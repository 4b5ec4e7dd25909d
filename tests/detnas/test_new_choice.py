"""A new choice is one entry in `CHOICES`: all that uses choices follows from its layers."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from detnas.models import DetNASNet, DetNASSupernet
from detnas.models.checkpoints import slice_subnet
from detnas.report.architecture import draw_architecture
from detnas.report.page import write_report
from detnas.search.history.writer import History
from search_space.architecture import Architecture, costs, macs, parse_architecture
from search_space.choices import CHOICES, shufflenet
from search_space.sampling import Budget, BudgetSampler
from search_space.spaces import SearchSpace, Stage

COLOUR = "#0b2742"


@pytest.fixture
def space(monkeypatch: pytest.MonkeyPatch) -> SearchSpace:
    """A space with the choice "shufflenet_9x9", which no other file knows."""
    monkeypatch.setitem(CHOICES, "shufflenet_9x9", shufflenet(9, COLOUR))
    choices = ("shufflenet_3x3", "xception_3x3", "shufflenet_9x9")
    return SearchSpace("space_with_9x9", 8, (Stage(16, 2), Stage(32, 2)), choices)


def test_it_is_counted_and_sampled(space: SearchSpace) -> None:
    small, large = Architecture(space, (0,) * 4), Architecture(space, (2,) * 4)
    assert macs(large) > macs(small)
    budget = Budget("macs", lower=macs(large))
    sampler = BudgetSampler(space, [budget])
    assert sampler.count >= 1
    assert sampler.contains(large.choices)
    assert Architecture.from_dict(large.to_dict()) == large
    names = {"space": space.to_dict(), "choices": ["shufflenet_9x9"] * 4}
    assert parse_architecture(names) == large


def test_it_is_built_trained_inflated_and_sliced(space: SearchSpace) -> None:
    torch.manual_seed(0)
    supernet = DetNASSupernet(space.to_dict(), out_indices=(0, 1))
    supernet.init_weights()
    supernet.inflate()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        supernet.eval()
        features = supernet(images)
        supernet.set_path((2,) * 4)
        for nine, three in zip(supernet(images), features, strict=True):
            torch.testing.assert_close(nine, three)
    optimiser = torch.optim.SGD(supernet.parameters(), lr=0.1, weight_decay=0.1)
    before = copy.deepcopy(supernet.state_dict())
    supernet.train()
    sum(feature.square().mean() for feature in supernet(images)).backward()
    optimiser.step()
    for key, parameter in supernet.named_parameters():
        on_path = key.startswith("stem.") or key.split(".")[2] == "2"
        assert torch.equal(parameter, before[key]) != on_path, key

    architecture = Architecture(space, (2, 0, 1, 2))
    net = DetNASNet(architecture, out_indices=(0, 1))
    net.load_state_dict(slice_subnet(supernet.state_dict(), architecture.choices))
    counted = sum(parameter.numel() for parameter in net.parameters())
    assert counted == costs(architecture)["params"]


def test_it_is_drawn_and_reported(space: SearchSpace, tmp_path: Path) -> None:
    picture = tmp_path / "network.png"
    best = (2, 0, 2, 1)
    draw_architecture(Architecture(space, best), picture)
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    colour = [int(COLOUR[i : i + 2], 16) for i in (1, 3, 5)]
    assert (pixels == colour).all(axis=2).any()

    settings = {
        "space": space.to_dict(),
        "channel_shuffle": "even_odd",
        "budgets": [],
        "strategy": {"type": "evolution"},
        "score": "coco/bbox_mAP",
        "greater_is_better": True,
        "seed": 0,
    }
    with History.create(tmp_path / "history.db", settings) as history:
        history.record_generation(0, [(best, {"macs": macs(Architecture(space, best))})])
        history.record_done(history.rows()[0].id, 0.5, {})
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert f".shufflenet_9x9 {{ background: {COLOUR}; color: #ffffff; }}" in page
    assert '<i class="shufflenet_9x9" title="ShuffleNet 9\N{MULTIPLICATION SIGN}9">9</i>' in page
