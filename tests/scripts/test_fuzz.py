"""The fuzzers find nothing in a few cases of each."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "scripts/fuzz"


@pytest.mark.parametrize(
    ("program", "cases", "at_least"),
    [
        ("flip_history", 60, {"refused": 4, "history.db-wal is used": 30}),
        ("flip_checkpoint", 100, {"refused": 80}),
        ("hostile_json", 350, {"refused": 250, "annotations.json is read": 2}),
        ("hostile_arguments", 300, {"exit status 0": 5, "exit status 2": 100}),
    ],
)
def test_it_finds_nothing(program: str, cases: int, at_least: dict[str, int]) -> None:
    done = subprocess.run(
        [sys.executable, FUZZ / f"{program}.py", "--cases", str(cases), "--seed", "11"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    for outcome, least in at_least.items():
        found = re.search(rf"{re.escape(outcome)}[^:;]*: (\d+)", done.stdout)
        assert found is not None, done.stdout
        assert int(found[1]) >= least, done.stdout
