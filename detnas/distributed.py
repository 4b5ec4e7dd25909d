"""Several processes: joining them, and what only one of them does."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from mmengine.dist import broadcast_object_list, get_rank
from torch import distributed

from detnas.errors import UserError

Result = TypeVar("Result")
LAUNCHERS = ("none", "pytorch", "slurm")
SLURM_PORTS = (20000, 12000)  # the first, how many: below those that systems give to clients


@contextmanager
def process_group(launcher: str, timeout: timedelta = timedelta(hours=1)) -> Iterator[bool]:
    """Within the block, the processes that torchrun ("pytorch") or srun ("slurm") started are one.

    NCCL where there is a CUDA device, of which each process takes the one of its local rank; gloo
    on CPUs, which mmengine's own launchers refuse. "none" joins nothing.

    Args:
        launcher: one of `LAUNCHERS`.
        timeout: how long a process waits for the others.
    Yields:
        Whether this process is the first, which prints and writes.
    Raises:
        ValueError: an unknown launcher, or this process was not started by it.
    """
    if launcher not in LAUNCHERS:
        raise UserError(f"launcher {launcher!r} is unknown: it may be {', '.join(LAUNCHERS)}")
    if launcher == "none":
        yield True
        return
    if launcher == "slurm":
        _name_ranks_as_torchrun_does()
    elif "RANK" not in os.environ:
        raise UserError(
            "--launcher pytorch is for processes that torchrun starts: use scripts/dist_train.sh "
            "and its like, or leave it out"
        )
    on_cuda = torch.cuda.is_available()
    if on_cuda:
        device, devices = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if device >= devices:
            raise UserError(
                f"this machine has {devices} GPUs, and was given a process for GPU {device} "
                f"(counted from 0): start {devices} at most"
            )
        torch.cuda.set_device(device)
    backend = "nccl" if on_cuda else "gloo"
    distributed.init_process_group(backend, "env://", timeout)
    yield get_rank() == 0
    distributed.destroy_process_group()  # after an error the launcher ends all of them


def _name_ranks_as_torchrun_does() -> None:
    """From the variables of a step of srun; MASTER_ADDR and MASTER_PORT stay where they are set."""
    names = {"RANK": "SLURM_PROCID", "LOCAL_RANK": "SLURM_LOCALID", "WORLD_SIZE": "SLURM_NTASKS"}
    # A batch script has all but those of a step, and would wait for tasks that nobody starts.
    for of_slurm in (*names.values(), "SLURM_STEP_ID", "SLURM_STEP_NODELIST"):
        if of_slurm not in os.environ:
            raise UserError(
                f"--launcher slurm is for processes that srun starts ({of_slurm} is not set): use "
                "scripts/slurm_train.sh and its like, or leave it out"
            )
    os.environ.update({name: os.environ[of_slurm] for name, of_slurm in names.items()})
    devices = torch.cuda.device_count()
    if devices > 0:  # 1 where Slurm binds each task to its own device, which is 0 to the task
        os.environ["LOCAL_RANK"] = str(int(os.environ["LOCAL_RANK"]) % devices)
    if "MASTER_PORT" not in os.environ:
        # Jobs and steps that share a node may not share a port.
        step = 101 * int(os.environ["SLURM_JOB_ID"]) + int(os.environ["SLURM_STEP_ID"])
        first, count = SLURM_PORTS
        os.environ["MASTER_PORT"] = str(first + step % count)
    if "MASTER_ADDR" not in os.environ:
        hosts = subprocess.run(
            ["scontrol", "show", "hostnames", os.environ["SLURM_STEP_NODELIST"]],
            capture_output=True,
            text=True,
            check=True,
        )
        os.environ["MASTER_ADDR"] = hosts.stdout.splitlines()[0]


def on_rank_0(work: Callable[[], Result]) -> Result:
    """Do a thing in one process for all of them, as checking the data, and give all its result.

    Raises:
        Exception: in that process, what the work raises.
        SystemExit: in the others, where it raised; the first one says why.
    """
    outcome: list[Any] = [None, False]
    failure: Exception | None = None
    if get_rank() == 0:
        try:
            outcome = [work(), False]
        except Exception as error:
            outcome, failure = [None, True], error
    broadcast_object_list(outcome)
    if failure is not None:
        raise failure
    if outcome[1]:
        raise SystemExit(1)
    return outcome[0]
