"""`detnas space` and `detnas sample` against the sampler and against whole enumerations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detnas.cli import main, parse
from detnas.commands.space import summary_table
from search_space.cost import macs_table, params_table
from search_space.latency import Device, LatencySettings, LatencyTable
from search_space.sampling import Budget, BudgetSampler, enumerate_space
from search_space.spaces import PAPER_CHOICES, SPACES, SearchSpace, Stage

TINY = SPACES["tiny"]
SIX = SearchSpace("six", 8, (Stage(16, 2), Stage(32, 2), Stage(64, 2)), PAPER_CHOICES)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command that must succeed; its JSON."""

    def run(*arguments: str) -> Any:
        assert main([*arguments, "--json"]) == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        return json.loads(printed.out)

    return run


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command that must be refused; its one line."""

    def run(*arguments: str) -> str:
        assert main(list(arguments)) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        (line,) = printed.err.splitlines()
        return line

    return run


@pytest.fixture
def six(monkeypatch: pytest.MonkeyPatch) -> SearchSpace:
    """A space of 4,096 architectures, under its name."""
    monkeypatch.setitem(SPACES, "six", SIX)
    return SIX


def latency_file(folder: Path, space: SearchSpace, size: tuple[int, int, int]) -> Path:
    rows = np.random.default_rng(0).random((space.num_blocks, space.num_choices)).tolist()
    table = LatencyTable(
        space=space,
        base=0.5,
        table=tuple(map(tuple, rows)),
        settings=LatencySettings(size),
        device=Device("cpu", "a CPU"),
        torch="2",
        date="today",
    )
    path = folder / "latency.json"
    path.write_text(json.dumps(table.to_dict()), encoding="utf-8")
    return path


def test_the_whole_space(call: Any) -> None:
    report = call("space", "small")
    assert report["count"] == report["size"] == 4**20
    assert (report["share"], report["exact"], report["budgets"]) == (1.0, True, [])
    assert (report["space"], report["blocks"], report["cost"]) == ("small", 20, "macs")
    assert (report["min"], report["max"]) == (237_222_720, 365_472_576)
    assert report["costs"]["params"]["max"] == params_table(SPACES["small"]).max


def test_one_budget_against_enumeration(call: Any, six: SearchSpace) -> None:
    costs = macs_table(six, (3, 64, 96)).of_many(np.array(list(enumerate_space(six))))
    upper, lower = int(np.quantile(costs, 0.4)), int(np.quantile(costs, 0.1))
    report = call("space", "six", "--budget", f"macs={lower}..{upper}", "--input-size", "64", "96")
    assert report["count"] == ((lower <= costs) & (costs <= upper)).sum()
    assert report["share"] == report["count"] / 4**6
    assert (report["min"], report["max"]) == (costs.min(), costs.max())
    (bound,) = report["budgets"]
    assert (bound["lower"], bound["upper"], bound["unit"]) == (lower, upper, "MACs")
    assert (bound["input_size"], bound["step"]) == ([3, 64, 96], 0)


def test_two_budgets_against_enumeration(call: Any, six: SearchSpace) -> None:
    everything = np.array(list(enumerate_space(six)))
    macs, params = macs_table(six).of_many(everything), params_table(six).of_many(everything)
    bounds = int(np.quantile(macs, 0.5)), int(np.quantile(params, 0.3))
    texts = ["--budget", f"params=..{bounds[1]}", "--budget", f"macs=..{bounds[0]}"]
    report = call("space", "six", *texts)
    assert report["exact"]
    assert report["count"] == ((macs <= bounds[0]) & (params <= bounds[1])).sum()
    assert [bound["cost"] for bound in report["budgets"]] == ["params", "macs"]
    assert (report["cost"], report["min"]) == ("params", params.min())


def test_counts_past_64_bits_survive_json(call: Any) -> None:
    below = call("space", "large", "--budget", "macs=..1.2e9")["count"]
    above = call("space", "large", "--budget", "macs=1200000001..")["count"]
    assert min(below, above) > 2**64
    assert below + above == 4**40
    assert below == BudgetSampler(SPACES["large"], [Budget(upper=1.2e9)]).count


def test_what_could_not_be_counted_together_is_an_upper_limit(
    call: Any, six: SearchSpace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from search_space import sampling

    whole = sampling.count_table
    monkeypatch.setattr(
        sampling, "count_table", lambda b, shape: None if len(b) > 1 else whole(b, shape)
    )
    texts = ["space", "six", "--budget", f"macs=..{macs_table(six).of([2] * 6)}"]
    texts += ["--budget", f"params=..{params_table(six).of([1] * 6)}"]
    report = call(*texts)
    assert not report["exact"]
    monkeypatch.undo()
    monkeypatch.setitem(SPACES, "six", six)
    assert report["count"] >= call(*texts)["count"] > 0
    assert "at most" not in summary_table(call(*texts))
    assert f"at most {report['count']:,}" in summary_table(report)


def test_tables_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["space", "small", "--budget", "macs=..260e6"]) == 0
    lines = capsys.readouterr().out
    for part in ("1,099,511,627,776", "237,222,720 to 365,472,576 MACs at 3x224x224"):
        assert part in lines
    assert f"{BudgetSampler(SPACES['small'], [Budget(upper=260e6)]).count:,}" in lines
    assert main(["sample", "small", "--budget", "macs=..250e6", "-n", "2"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2
    for row in rows:
        key, costs = row.split("  ")
        choices = [int(choice) for choice in key.removeprefix("small:").split(",")]
        assert costs.startswith(f"{macs_table(SPACES['small']).of(choices):,} MACs, ")


def test_draws_are_inside_and_a_function_of_the_seed(call: Any) -> None:
    arguments = ["sample", "small", "--budget", "macs=..250e6", "-n", "100"]
    drawn = call(*arguments, "--seed", "7")
    assert len(drawn["architectures"]) == 100
    for row in drawn["architectures"]:
        assert row["macs"] == macs_table(SPACES["small"]).of(row["choices"]) <= 250e6
        assert row["params"] == params_table(SPACES["small"]).of(row["choices"])
    assert call(*arguments, "--seed", "7") == drawn
    assert call(*arguments, "--seed", "8") != drawn
    assert call(*arguments) == call(*arguments, "--seed", "0")
    assert len(call("sample", "small")["architectures"]) == 1
    sampler = BudgetSampler(SPACES["small"], [Budget(upper=250e6)])
    expected = sampler.sample(np.random.default_rng(7), 100).tolist()
    assert [row["choices"] for row in drawn["architectures"]] == expected


def test_latency_budgets_hold_at_the_size_of_the_table(
    call: Any, six: SearchSpace, tmp_path: Path
) -> None:
    path = latency_file(tmp_path, six, (3, 32, 32))
    costs = np.array(json.loads(path.read_text(encoding="utf-8"))["table"])
    everything = np.array(list(enumerate_space(six)))
    milliseconds = 0.5 + costs[np.arange(6), everything].sum(axis=1)
    low, high = np.quantile(milliseconds, [0.2, 0.3])
    texts = ["six", "--latency-table", str(path), "--budget", f"latency_ms={low}..{high}"]
    report = call("space", *texts)
    inside = ((low <= milliseconds) & (milliseconds <= high)).sum()
    assert 0.99 * inside - 1 <= report["count"] <= inside
    assert report["min"] == pytest.approx(milliseconds.min())
    (bound,) = report["budgets"]
    assert (bound["unit"], bound["input_size"]) == ("ms", [3, 32, 32])
    assert bound["step"] > 0
    drawn = call("sample", *texts, "-n", "200")
    assert drawn["input_sizes"] == {"macs": [3, 224, 224], "latency_ms": [3, 32, 32]}
    for row in drawn["architectures"]:
        cost = 0.5 + costs[np.arange(6), row["choices"]].sum()
        assert row["latency_ms"] == pytest.approx(cost)
        assert low <= row["latency_ms"] <= high


def test_refusals_name_the_mend(refuse: Any, tmp_path: Path) -> None:
    assert "smallest has 237,222,720" in refuse("space", "small", "--budget", "macs=..200e6")
    assert "largest has 365,472,576" in refuse("sample", "small", "--budget", "macs=400e6..")
    assert "did you mean 'small'?" in refuse("space", "smal")
    assert "must look like" in refuse("sample", "small", "--budget", "260e6")
    assert "unknown cost 'flops'" in refuse("space", "small", "--budget", "flops=..1e6")
    assert "-n is 0, must be at least 1" in refuse("sample", "small", "-n", "0")
    assert "must be at most 1,000,000" in refuse("sample", "small", "-n", "1" + 30 * "0")
    assert "--seed is -1" in refuse("sample", "small", "--seed", "-1")
    assert "all positive" in refuse("space", "small", "--input-size", "0", "224")
    assert "give its latency table" in refuse("space", "small", "--budget", "latency_ms=..9")
    table = ["--latency-table", str(latency_file(tmp_path, TINY, (3, 32, 32)))]
    assert "of space 'tiny', not of 'small'" in refuse("sample", "small", *table)
    assert "smallest has" in refuse("sample", "tiny", *table, "--budget", "latency_ms=..0.1")
    assert "no such latency table" in refuse("space", "tiny", "--latency-table", "none.json")


def test_the_parser_has_the_defaults_of_the_settings() -> None:
    options = parse(["measure-latency", "small", "-o", "file.json"])
    settings = LatencySettings()
    for name in ("batch_size", "threads", "rounds", "seed", "dtype", "memory_format"):
        assert getattr(options, name) == getattr(settings, name)
    assert (3, *options.input_size) == settings.input_size
    assert options.channel_shuffle == settings.channel_shuffle
