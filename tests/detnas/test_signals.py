"""Processes that a command forks end on SIGTERM, however early it comes."""

import signal
import subprocess
import sys

import pytest

# A fork of pytest's own process, which has threads, might hang.
FORKED = """
import os, signal
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup ignores
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell ignores in the background
os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), {number}))  # before detnas' own
{begin}
process = os.fork()
if process == 0:
    os._exit(0)
_, status = os.waitpid(process, 0)
print(os.waitstatus_to_exitcode(status), signal.getsignal({number}) is signal.SIG_DFL)
"""
COMMAND = """
from detnas.cli import main
main(["cost", "shufflenetv2-20"])
"""
TRAINING = """
from detnas.training.interruption import InterruptionHook
block = InterruptionHook().catching()
signal.signal(signal.SIGTERM, lambda *_: None)
block.__enter__()
"""
POOL = f"""
import multiprocessing, signal
{TRAINING}
for _ in range(20):
    with multiprocessing.get_context("fork").Pool(2) as pool:  # ends its workers by SIGTERM
        pool.map(abs, range(4))
print("ended")
"""


def _run(program: str) -> str:
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("begin", "number", "ends"),
    [
        (COMMAND, signal.SIGTERM, -signal.SIGTERM),
        (COMMAND, signal.SIGHUP, -signal.SIGHUP),
        (TRAINING, signal.SIGTERM, -signal.SIGTERM),
        (TRAINING, signal.SIGINT, 0),  # which a terminal sends to this process, too
    ],
)
def test_a_signal_that_comes_at_once_is_not_lost(begin: str, number: int, ends: int) -> None:
    found = _run(FORKED.format(begin=begin, number=int(number)))
    assert found == f"{ends} False"  # this process has a handler


def test_pools_end_within_a_training() -> None:
    assert _run(POOL) == "ended"
