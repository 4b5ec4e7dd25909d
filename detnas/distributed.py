"""Process groups for distributed training and tests."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, TypeVar

import torch
from mmengine.dist import broadcast_object_list, get_rank
from torch import distributed

from detnas.errors import UserError
from detnas.locks import lock_writer

Result = TypeVar("Result")
LAUNCHERS = ("none", "pytorch", "slurm")
SLURM_PORTS = (20000, 12000)  # first port and count; below the ephemeral ports of systems


@contextmanager
def process_group(launcher: str, timeout: timedelta = timedelta(hours=1)) -> Iterator[bool]:
    """Within the block, the processes that torchrun ("pytorch") or srun ("slurm") started are one.

    The backend is NCCL if there are CUDA devices, each process taking the one of its local rank,
    and otherwise gloo, which mmengine's own launchers do not support. "none" joins nothing.

    Args:
        launcher: one of `LAUNCHERS`.
        timeout: how long a process waits for the others.
    Yields:
        Whether this process has rank 0, which prints and writes.
    Raises:
        UserError: the launcher is unknown, or did not start this process.
    """
    if launcher not in LAUNCHERS:
        raise UserError(f"launcher {launcher!r} is unknown; it may be {', '.join(LAUNCHERS)}")
    if launcher == "none":
        yield True
        return
    if launcher == "slurm":
        _set_ranks_from_slurm()
    elif "RANK" not in os.environ:
        raise UserError(
            "--launcher pytorch is for processes that torchrun starts: use scripts/dist_train.sh "
            "or another of scripts/dist_*.sh, or leave the option out"
        )
    on_cuda = torch.cuda.is_available()
    if on_cuda:
        device, devices = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if device >= devices:
            raise UserError(
                f"this machine has {devices} GPUs, but a process was started for GPU {device} "
                f"(counted from 0): start at most {devices} processes"
            )
        torch.cuda.set_device(device)
    backend = "nccl" if on_cuda else "gloo"
    distributed.init_process_group(backend, "env://", timeout)
    yield get_rank() == 0
    distributed.destroy_process_group()  # after an error, the launcher ends all processes


def _set_ranks_from_slurm() -> None:
    """Set torchrun's variables from those of srun, keeping MASTER_ADDR and MASTER_PORT if set."""
    names = {"RANK": "SLURM_PROCID", "LOCAL_RANK": "SLURM_LOCALID", "WORLD_SIZE": "SLURM_NTASKS"}
    # A batch script lacks only those of a step; without this check it would wait forever.
    for of_slurm in (*names.values(), "SLURM_STEP_ID", "SLURM_STEP_NODELIST"):
        if of_slurm not in os.environ:
            raise UserError(
                f"--launcher slurm is for processes that srun starts ({of_slurm} is not set): use "
                "scripts/slurm_train.sh, or leave the option out"
            )
    os.environ.update({name: os.environ[of_slurm] for name, of_slurm in names.items()})
    devices = torch.cuda.device_count()
    if devices > 0:  # 1 if Slurm binds each task to a device, which the task sees as device 0
        os.environ["LOCAL_RANK"] = str(int(os.environ["LOCAL_RANK"]) % devices)
    if "MASTER_PORT" not in os.environ:
        # Jobs and steps on the same node need different ports.
        step = 101 * int(os.environ["SLURM_JOB_ID"]) + int(os.environ["SLURM_STEP_ID"])
        first, count = SLURM_PORTS
        os.environ["MASTER_PORT"] = str(first + step % count)
    if "MASTER_ADDR" not in os.environ:
        command = ["scontrol", "show", "hostnames", os.environ["SLURM_STEP_NODELIST"]]
        hosts = subprocess.run(command, capture_output=True, text=True, check=True)
        os.environ["MASTER_ADDR"] = hosts.stdout.splitlines()[0]


def on_rank_0(work: Callable[[], Result]) -> Result:
    """Run `work`, such as a check of the data, in rank 0 alone, and return its result in all ranks.

    Raises:
        Exception: in rank 0, whatever `work` raises.
        SystemExit: in the other ranks, if `work` raised; rank 0 reports the error.
    """
    outcome: list[Any] = [None, True]  # the result, and whether rank 0 failed
    try:
        if get_rank() == 0:
            outcome = [work(), False]
    finally:
        broadcast_object_list(outcome)
    if outcome[1]:
        raise SystemExit(1)
    return outcome[0]


@contextmanager
def one_writer(folder: Path, writer: str) -> Iterator[None]:
    """Lock a folder within this block, for the processes of this group together.

    Args:
        folder: made if it does not exist.
        writer: such as "training"; the lock file has its name.
    Raises:
        UserError: another one writes there; SystemExit in the ranks other than 0.
    """
    held: list[IO[str]] = []

    def take() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        held.append(lock_writer(folder / f"{writer}.lock", folder, writer))

    on_rank_0(take)
    try:
        yield
    finally:
        for lock in held:
            lock.close()
