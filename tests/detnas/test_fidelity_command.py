"""`detnas fidelity` on a finished miniature experiment: columns, resuming, growth, refusals."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detnas.cli import main
from detnas.fidelity.table_file import read_table
from detnas.report.page import write_report
from detnas.search.history.reading import SearchHistory
from detnas.stages.fidelity_plan import FidelityPlan, draw_architectures
from search_space.architecture import Architecture
from search_space.budget import Budget
from search_space.cost import macs_table
from search_space.sampling import BudgetSampler
from search_space.spaces import get_space

MINIATURE = Path(__file__).parents[1] / "miniature" / "retinanet"


@pytest.fixture(scope="module")
def copied(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished experiment to write into."""
    folder = tmp_path_factory.mktemp("fidelity") / "experiment"
    shutil.copytree(experiment, folder)
    return folder


def run(folder: Path, *arguments: str) -> int:
    command = ["fidelity", str(MINIATURE), "--work-dir", str(folder), "--workers", "1"]
    return main([*command, *arguments])


def test_columns_resume_and_grow(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = ("--architectures", "3", "--within", "macs=36e6..38e6", "--seeds", "2")
    assert run(copied, *first) == 0
    printed = capsys.readouterr().out
    assert "tau of MACs" in printed
    table = read_table(copied / "fidelity" / "table.csv")
    assert list(table.scores) == ["supernet", "trained/seed0", "trained/seed1"]
    assert table.groups == ("space",) * 3 + ("band",) * 3
    band = [macs_table(table.space).of(choices) for choices in table.architectures[3:]]
    assert all(36e6 <= macs <= 38e6 for macs in band)
    assert np.isfinite(table.columns("trained")).all()
    assert not list((copied / "fidelity").glob("*/*/networks/*"))  # weights are not kept

    history = copied / "fidelity" / "trained" / "seed0" / "history.db"
    before = {row.choices: row.finished for row in SearchHistory.read(history).rows}
    grown = ("--architectures", "4", "--seeds", "2", "--from-nothing", "3")
    assert run(copied, *grown) == 0
    rows = {row.choices: row.finished for row in SearchHistory.read(history).rows}
    assert len(rows) == 7
    assert {choices: rows[choices] for choices in before} == before  # nothing is trained twice
    table = read_table(copied / "fidelity" / "table.csv")
    assert table.groups == ("space",) * 4
    assert list(table.scores)[3:] == ["nothing/seed0", "nothing/seed1"]
    assert np.isfinite(table.columns("nothing")).sum() == 6

    compared = json.loads((copied / "fidelity" / "fidelity.json").read_text())
    assert compared["trained"]["architectures"] == 4
    assert "Fidelity: does the supernet" in write_report(copied).read_text(encoding="utf-8")
    assert (copied / "fidelity" / "fidelity.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--architectures", "0"), "--architectures is 0; it must be at least 3"),
        (("--within", "macs=1..2"), "admits no architecture"),
        (("--seeds", "0"), "--seeds is 0; it must be at least 1"),
        (("--from-nothing", "2"), "--from-nothing is 2; fewer than 3 cannot be compared"),
        (("--from-nothing", "99"), "--from-nothing is 99; it may be at most --architectures, 24"),
    ],
)
def test_refused_before_any_work(
    experiment: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert run(experiment, *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (experiment / "fidelity").exists()


def test_another_recipe_is_refused(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(copied, "--architectures", "3", "--cfg-options", "lr=0.5") == 2
    assert "was made with recipe.optim_wrapper.optimizer.lr = " in capsys.readouterr().err


def test_a_folder_without_a_search_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "retrain.py").write_text("_base_ = []\n")
    assert main(["fidelity", str(tmp_path), "--work-dir", str(tmp_path / "w")]) == 2
    assert "has no search.py" in capsys.readouterr().err


def test_too_few_scores_are_named(
    copied: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(copied / "fidelity", ignore_errors=True)
    write_report(copied)

    def fail(*_: object) -> dict[str, float]:
        raise OSError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("detnas.stages.standalone.score_checkpoint", fail)
        assert run(copied, "--architectures", "3", "--seeds", "1") == 2
    said = capsys.readouterr().err
    assert "fewer than 3 architectures have all scores" in said
    assert "trained/seed0" in said
    assert "OSError: no space left on device" in said
    page = write_report(copied).read_text(encoding="utf-8")
    assert "there is nothing to compare" in page
    again = ("--architectures", "3", "--seeds", "1")
    assert run(copied, *again) == 0  # the failed ones are tried again
    printed = capsys.readouterr().out
    assert "3 architectures are too few for intervals" in printed
    assert "one seed, so tau of seeds is unknown" in printed


def test_more_architectures_begin_with_the_same_ones() -> None:
    within = (Budget("macs", 36e6, 38e6),)
    sampler = BudgetSampler(get_space("tiny"))
    few = draw_architectures(sampler, FidelityPlan(5, within))
    many = draw_architectures(sampler, FidelityPlan(300, within))
    for group, chosen in few.items():
        assert many[group][:5] == chosen
    assert not {*many["space"]} & {*many["band"]}


def test_named_architectures_are_compared_with_the_drawn_ones(
    copied: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(copied / "fidelity", ignore_errors=True)
    found = Architecture.load(copied / "search" / "best_architecture.json").choices
    same = "tiny:0,0,0,0,0,0,0,0,0,0"

    def score(config: Any, *_: object) -> dict[str, float]:
        choices = tuple(config.model.backbone.architecture["choices"])
        return {"coco/bbox_mAP": 0.9 if choices == found else 0.001 * sum(choices)}

    monkeypatch.setattr("detnas.stages.standalone.score_checkpoint", score)
    command = ("--architectures", "3", "--seeds", "1", "--also", "found", same)
    assert run(copied, *command) == 0
    printed = capsys.readouterr().out
    named = ",".join(map(str, found))
    assert f"{named}: 0.9000 after a training" in printed
    assert "above 3 of them" in printed
    assert "0,0,0,0,0,0,0,0,0,0: 0.0000 after a training" in printed
    table = read_table(copied / "fidelity" / "table.csv")
    assert table.groups == ("space",) * 3 + ("also",) * 2
    assert table.architectures[3] == found
    compared = json.loads((copied / "fidelity" / "fidelity.json").read_text())
    assert compared["trained"]["architectures"] == 3  # the named ones were not drawn
    assert [each["above"] for each in compared["also"]] == [3, 0]
    assert f"{named}: 0.9000 after a training" in write_report(copied).read_text("utf-8")
    assert run(copied, "--architectures", "3", "--also", "small:0,1") == 2
    assert "--also" in capsys.readouterr().err
