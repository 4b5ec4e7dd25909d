"""Keeps memory that tensors on a CPU free, so that the next ones need no new pages."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # from malloc.h


def keep_freed_memory() -> None:
    """Set glibc neither to map large blocks separately nor to shrink the heap.

    Otherwise each large tensor of every pass is mapped and unmapped, and the kernel clears its
    pages each time. It holds for the rest of the process. Elsewhere than on Linux with glibc it
    does nothing.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:  # glibc alone has it
            mallopt(_M_MMAP_MAX, 0)
            mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
