"""Searches of other kinds through the command line: Pareto, measured latency, a warm start."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from detnas.cli import main
from detnas.search.history.file import FILE_NAME
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import Evaluation
from search_space.architecture import Architecture, choices_to_text
from search_space.latency import Device, LatencySettings, LatencyTable
from search_space.spaces import get_space

CONFIG = Path(__file__).parents[1] / "miniature/retinanet/search.py"
TINY = get_space("tiny")
RECALL = ["model.test_cfg.score_thr=0.0", "val_evaluator.metric=proposal"]
RECALL += ["search.score=coco/AR@100", "search.random_baseline=1"]


def latency_file(folder: Path) -> Path:
    """A table as `measure-latency` writes it, of made-up numbers."""
    settings = LatencySettings(input_size=(3, 64, 64))
    rows = np.random.default_rng(0).random((TINY.num_blocks, TINY.num_choices)).tolist()
    table = LatencyTable(
        space=TINY,
        base=1.0,
        table=tuple(map(tuple, rows)),
        settings=settings,
        device=Device("cpu", "a made-up CPU"),
        torch="2.11.0",
        date="2026-11-24",
    )
    (folder / "latency.json").write_text(json.dumps(table.to_dict()))
    return folder / "latency.json"


def search(experiment: Path, folder: Path, *options: str) -> list[str]:
    return [
        *("search", str(CONFIG), "--work-dir", str(folder), "--cfg-options"),
        f"data_root={experiment}/data/detection",
        f"search.supernet={experiment}/finetune/final.pth",
        *RECALL,
        *options,
    ]


def rows(folder: Path) -> list[Evaluation]:
    return list(SearchHistory.read(folder / FILE_NAME).candidates)


def test_pareto_over_measured_latency(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work_dir = tmp_path / "search"
    arguments = search(
        experiment,
        work_dir,
        f"search.cost_tables=['{latency_file(tmp_path)}']",
        "search.budgets=[{'cost':'latency_ms','upper':6.0}]",
        "search.strategy={'_delete_':True,'type':'pareto','objectives':['latency_ms','params'],"
        "'generations':2,'population':4,'mutations':2,'crossovers':1}",
    )
    assert main(arguments) == 0
    assert all(row.costs["latency_ms"] <= 6.0 for row in rows(work_dir))
    assert {*rows(work_dir)[0].costs} == {"latency_ms", "macs", "params"}
    best = json.loads((work_dir / "best_architecture.json").read_text())
    assert best["costs"]["latency_ms"]["device"] == "a made-up CPU"
    assert Architecture.load(work_dir / "best_architecture.json").space == TINY
    front = json.loads((work_dir / "pareto_front.json").read_text())
    assert front["objectives"] == ["latency_ms", "params"]
    capsys.readouterr()
    assert main(["history", str(work_dir), "--front", "latency_ms", "params", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [row["score"] for row in listed] == [value["score"] for value in front["values"]]
    assert main(["history", str(work_dir), "--csv"]) == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(line["latency_ms"]) for line in lines[:8]] == [
        row.costs["latency_ms"] for row in rows(work_dir)
    ]
    assert main(["report", str(work_dir)]) == 0
    changed = json.loads((tmp_path / "latency.json").read_text())
    changed["table"][0][0] += 0.01
    (tmp_path / "latency.json").write_text(json.dumps(changed))
    assert main([*arguments, "--resume"]) == 2
    assert "measured_costs.latency_ms.table_sha256" in capsys.readouterr().err


def test_a_warm_start_stands_though_what_it_came_from_is_gone(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(experiment / "search", tmp_path / "earlier")
    first = "tiny:0,0,0,0,0,0,0,0,0,0"
    start = f"search.start_from=['{tmp_path / 'earlier'}','{first}']"
    size = ["search.strategy.population=4", start]
    whole, grown = tmp_path / "whole", tmp_path / "grown"
    assert main(search(experiment, whole, *size, "search.strategy.generations=2")) == 0
    assert main(search(experiment, grown, *size, "search.strategy.generations=1")) == 0
    assert choices_to_text(rows(grown)[0].choices) == first.removeprefix("tiny:")
    earlier = {row.choices for row in rows(tmp_path / "earlier")}
    assert {row.choices for row in rows(grown)[1:4]} <= earlier
    shutil.rmtree(tmp_path / "earlier")
    resumed = search(experiment, grown, *size, "search.strategy.generations=2")
    assert main([*resumed, "--resume"]) == 0
    assert [(r.choices, r.score) for r in rows(grown)] == [
        (r.choices, r.score) for r in rows(whole)
    ]
    capsys.readouterr()
    assert main(search(experiment, tmp_path / "new", *size)) == 2
    assert str(tmp_path / "earlier") in capsys.readouterr().err
