"""Memory of this process, of its GPU, and of the machine, in bytes."""

import resource

import psutil
import torch
from mmengine.device import get_device

GB = 2**30


def used_memory() -> int:
    """Bytes that this process, or its GPU, has held at most."""
    if get_device() == "cuda":
        return int(torch.cuda.max_memory_reserved())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def available_memory() -> int:
    """Bytes that the machine, or the GPU, can give to this process, with what it has."""
    if get_device() == "cuda":
        free, _ = torch.cuda.mem_get_info()
        return int(free + torch.cuda.memory_reserved())
    return int(psutil.virtual_memory().available + psutil.Process().memory_info().rss)
