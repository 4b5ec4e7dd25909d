"""The commands and the whole pipeline in a space with skip."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from detnas.cli import main
from detnas.data.digits import DigitCounts, write_digits
from detnas.models import DetNASNet
from detnas.models.checkpoints import load_backbone_weights, read_checkpoint
from detnas.search.history.reading import SearchHistory
from search_space.architecture import Architecture, macs, parse_architecture
from search_space.choices import CHOICES
from search_space.cost import macs_table
from search_space.sampling import Budget, BudgetSampler
from search_space.spaces import SPACES, get_space

MINIATURE = Path(__file__).parents[1] / "miniature"
COUNTS = DigitCounts(train_crops=24, val_crops=10, train_scenes=8, search_scenes=4, val_scenes=4)
SPACE = SPACES["tiny-skip"]
MIXED = "2,4,1,0,3,4,2,4,0,4"
BUDGET = 30e6  # the tiny space without skip has nothing below 32.3M


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished experiment whose budget needs skips."""
    folder = tmp_path_factory.mktemp("skip")
    write_digits(folder / "data", counts=COUNTS)
    command = ["run", str(MINIATURE / "retinanet"), "--work-dir", str(folder), "--quiet"]
    assert main([*command, "--cfg-options", "space=tiny-skip", f"macs_budget={BUDGET}"]) == 0
    return folder


def test_the_found_network_has_skips(experiment: Path) -> None:
    best = Architecture.load(experiment / "best_architecture.json")
    assert best.space == SPACE
    assert macs(best) <= BUDGET < macs_table(SPACES["tiny"]).min
    assert "skip" in best.choice_names
    history = SearchHistory.read(experiment / "search")
    assert all(row.status == "done" for row in history.rows)
    retrained = read_checkpoint(experiment / "retrain" / "final.pth")
    assert retrained["meta"]["detnas"]["choices"] == list(best.choices)


def test_the_report_shows_skips(experiment: Path) -> None:
    page = (experiment / "report.html").read_text(encoding="utf-8")
    skip = CHOICES["skip"]
    assert f'<i class="skip" title="{skip.label}">{skip.mark}</i>' in page
    assert f'<i class="skip">{skip.mark}</i>{skip.label}' in page
    assert ".skip { outline: 1px dashed" in page


@pytest.mark.parametrize("named", [None, f"tiny-skip:{MIXED}"])
def test_exported_weights_load_strictly(
    named: str | None, experiment: Path, tmp_path: Path
) -> None:
    weights, output = tmp_path / "weights.pth", tmp_path / "network.json"
    command = ["export", str(experiment / "search"), "-o", str(output), "--weights", str(weights)]
    assert main([*command, *(["--architecture", named] if named else [])]) == 0
    architecture = Architecture.load(output)
    assert named in (None, architecture.key)
    net = DetNASNet(architecture)
    load_backbone_weights(net, weights)
    supernet = read_checkpoint(experiment / "finetune" / "final.pth")["state_dict"]
    for block, choice in enumerate(architecture.choices):
        keys = [key for key in net.state_dict() if key.startswith(f"blocks.{block}.")]
        assert bool(keys) == (architecture.choice_names[block] != "skip")
        for key in keys:
            inner = key.removeprefix(f"blocks.{block}.")
            given = supernet[f"backbone.blocks.{block}.{choice}.{inner}"]
            assert torch.equal(net.state_dict()[key], given)


def test_export_refuses_a_skip_where_the_resolution_is_halved(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", str(experiment / "search"), "-o", str(tmp_path / "network.json")]
    assert main([*command, "--architecture", "tiny-skip:4,4,1,0,3,4,2,4,0,4"]) == 2
    assert "block 0 of space 'tiny-skip' cannot be 'skip'" in capsys.readouterr().err


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    "name", ["small-skip", "tiny-skip", "elastic", "small@0.5", "tiny-skip@1.5"]
)
def test_spaces_are_counted_and_sampled(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    space = get_space(name)
    table = macs_table(space)
    upper = (table.min + table.max) / 2
    report = call(capsys, "space", name, "--budget", f"macs=..{upper}")
    assert (report["space"], report["size"]) == (name, space.size)
    assert (report["min"], report["max"]) == (table.min, table.max)
    assert report["count"] == BudgetSampler(space, [Budget(upper=upper)]).count
    drawn = call(capsys, "sample", name, "--budget", f"macs=..{upper}", "-n", "20")
    for row in drawn["architectures"]:
        architecture = Architecture(space, row["choices"])
        assert row["macs"] == macs(architecture) <= upper
    assert main(["sample", name]) == 0
    key = capsys.readouterr().out.split("  ")[0]
    assert parse_architecture(key).space == space


def test_the_cost_of_a_network_with_skips(capsys: pytest.CaptureFixture[str]) -> None:
    printed = call(capsys, "cost", f"tiny-skip:{MIXED}")
    assert printed["macs"] == macs(parse_architecture(f"tiny-skip:{MIXED}"))
    names = ",".join(parse_architecture(f"tiny-skip:{MIXED}").choice_names)
    assert call(capsys, "cost", f"tiny-skip:{names}") == printed
    half = call(capsys, "cost", f"tiny-skip@0.5:{MIXED}")
    assert half["space"] == "tiny-skip@0.5"
    assert half["macs"] < printed["macs"] / 2


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("small@x", "the width after '@' must be a number"),
        ("small@0", "the width must be above 0 and at most 100, not 0"),
        ("small@0.01", "width 0.01 is too small"),
        ("tiny-skp", "did you mean 'tiny-skip'?"),
    ],
)
def test_bad_names_are_refused(what: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["space", what], ["cost", f"{what}:0,0"]):
        assert main(command) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        (line,) = printed.err.splitlines()
        assert message in line
