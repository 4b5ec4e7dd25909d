"""Latency tables and backbones are measured completely; times themselves are not checked."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from detnas.cli import main
from detnas.evaluation import latency
from detnas.evaluation.latency import measure_backbones, measure_latency, require_device
from detnas.models import DetNASNet, DetNASSupernet
from detnas.models.base import MEMORY_FORMATS
from search_space.architecture import Architecture
from search_space.latency import (
    LatencySettings,
    LatencyTable,
    load_latency_table,
)
from search_space.spaces import PAPER_CHOICES, WITH_SKIP, SearchSpace, Stage

TWO = SearchSpace("two", 8, (Stage(16, 1), Stage(32, 1)), PAPER_CHOICES)
FAST = LatencySettings(input_size=(3, 32, 32), rounds=2)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("memory_format", MEMORY_FORMATS)
def test_a_table_is_complete(dtype: str, memory_format: str) -> None:
    settings = replace(FAST, dtype=dtype, memory_format=memory_format, batch_size=2)
    done: list[tuple[int, int]] = []
    table = measure_latency(TWO, settings, progress=lambda *round_: done.append(round_))
    assert done == [(1, 2), (2, 2)]
    assert (table.space, table.settings) == (TWO, settings)
    assert table.costs.base > 0
    assert np.shape(table.costs.table) == (2, 4)
    assert min(map(min, table.costs.table)) > 0
    assert table.device.type == "cpu"
    assert table.device.name
    assert table.torch == torch.__version__
    assert LatencyTable.from_dict(table.to_dict()) == table


def test_every_choice_of_every_block_is_timed_in_every_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paths: list[tuple[int, ...]] = []
    real = latency._times_of_parts

    def noted(net: DetNASSupernet, images: torch.Tensor) -> list[float]:
        paths.append(net.path)
        assert not net.training
        assert torch.is_inference_mode_enabled()
        assert torch.get_num_threads() == 1
        return real(net, images)

    monkeypatch.setattr(latency, "_times_of_parts", noted)
    space = SearchSpace("five", 8, (Stage(16, 3), Stage(32, 2)), PAPER_CHOICES)
    measure_latency(space, replace(FAST, rounds=3))
    rounds = np.array(paths).reshape(3, 4, latency.TIMED_PASSES, 5)
    assert (rounds[:, :, 0] == rounds[:, :, 1]).all()
    assert (np.sort(rounds[:, :, 0], axis=1) == np.arange(4)[:, None]).all()
    first, paths = rounds, []
    measure_latency(space, replace(FAST, rounds=3))
    assert np.array_equal(np.array(paths).reshape(first.shape), first)


def test_blocks_with_fewer_choices_are_timed_with_all_of_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also a skip is timed, and blocks have no entry for a choice that they lack."""
    places = (("shufflenet_5x5",), ("skip", "xception_3x3", "shufflenet_3x3"), WITH_SKIP[1:3])
    space = SearchSpace("ragged", 8, (Stage(16, 2), Stage(32, 1)), WITH_SKIP, places)
    paths: list[tuple[int, ...]] = []
    real = latency._times_of_parts

    def noted(net: DetNASSupernet, images: torch.Tensor) -> list[float]:
        paths.append(net.path)
        return real(net, images)

    monkeypatch.setattr(latency, "_times_of_parts", noted)
    table = measure_latency(space, FAST)
    assert space.numbers == ((1,), (0, 3, 4), (1, 2))
    assert [list(entries) for entries in table.costs.entries] == list(map(list, space.numbers))
    assert all(value > 0 for entries in table.costs.entries for value in entries.values())
    assert LatencyTable.from_dict(table.to_dict()) == table
    rounds = np.array(paths).reshape(FAST.rounds, 3, latency.TIMED_PASSES, 3)
    for round_ in rounds[:, :, 0]:
        assert [set(column) for column in round_.T] == list(map(set, space.numbers))
    assert table.costs.entries[1][4] < min(table.costs.entries[1][0], table.costs.entries[1][3])


def test_timed_parts_compute_the_backbones_features(monkeypatch: pytest.MonkeyPatch) -> None:
    net = DetNASSupernet(TWO, out_indices=(0, 1)).eval()
    net.set_path((1, 3))
    images = torch.randn(1, 3, 32, 32)
    outputs: list[torch.Tensor] = []
    for block in net.active_blocks():
        block.register_forward_hook(lambda *call: outputs.append(call[2]))
    with torch.inference_mode():
        times = latency._times_of_parts(net, images)
        parts = list(outputs)
        whole = net(images)
    assert len(times) == 3
    assert all(map(torch.equal, parts, whole))
    assert [part.stride() for part in parts] == [feature.stride() for feature in whole]


def test_timing_backbones_restores_the_global_state() -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    drawn = [Architecture(TWO, choices, "interleave") for choices in ((0, 1), (2, 3), (3, 3))]
    times = measure_backbones(drawn, FAST)
    assert times.shape == (3,)
    assert (times > 0).all()
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.is_inference_mode_enabled()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no mallopt")
def test_freed_memory_is_kept() -> None:
    """In a process of its own: glibc treats memory of threads differently."""
    code = """
import resource, statistics, torch
from detnas.networks.freed_memory import keep_freed_memory
keep_freed_memory()
faults = []
for _ in range(40):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(10 << 20)  # 40 MiB, 10,240 pages; glibc's default returns them every time
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(statistics.median(faults[20:]))  # a few small blocks are held back at first
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 500


def test_unavailable_devices_and_dtypes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("gpu", "cuda:x", "cpu:0", "cuda:"):
        with pytest.raises(ValueError, match="unknown device"):
            require_device(name)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert require_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(ValueError, match="torch sees 1 GPUs"):
        require_device("cuda:1")

    def fails(*_: object) -> None:
        raise RuntimeError("no kernel for this\nand more")

    monkeypatch.setattr(DetNASNet, "forward", fails)
    with pytest.raises(
        ValueError, match=r"float32 with .* does not run on cpu: no kernel for this$"
    ):
        measure_backbones([Architecture(TWO, (0, 0))], FAST)


def test_the_command_writes_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "latency.json"
    arguments = ["measure-latency", "tiny", "-o", str(path), "--input-size", "32", "64"]
    assert main([*arguments, "--rounds", "1", "--batch-size", "2", "--seed", "3"]) == 0
    printed = capsys.readouterr()
    table = load_latency_table(path)
    assert table.settings == LatencySettings((3, 32, 64), batch_size=2, rounds=1, seed=3)
    assert table.device.name in printed.out
    assert str(path) in printed.out
    assert "round 1/1" in printed.err
    assert [file.name for file in path.parent.iterdir()] == ["latency.json"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--rounds", "0"], "rounds must be an integer >= 1, not 0"),
        (["--threads", "-1"], "threads must be an integer >= 1, not -1"),
        (["--input-size", "0", "9"], "input_size[1] must be an integer >= 1, not 0"),
        (["--device", "gpu"], "unknown device 'gpu'"),
        (["-o", "."], "is a folder"),
    ],
)
def test_the_command_reports_errors_in_one_line(
    changes: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "latency.json"
    assert main(["measure-latency", "tiny", "-o", str(path), *changes]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not path.exists()
