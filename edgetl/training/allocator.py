"""Keep freed memory instead of giving it back to the system after every layer.

glibc serves large blocks, and most activations of a batch are, by mapping fresh pages, which the kernel clears and maps
anew in every step. `benchmarks/allocator.py` measures what that costs. The price of keeping them is resident memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import platform

# malloc.h
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_KEPT = 2**31 - 1
_STEP = 256 * 2**20


def keep_freed_memory() -> None:
    """Tell glibc's malloc, for this process; does nothing where there is another libc."""
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, _KEPT)
    mallopt(_M_TOP_PAD, _STEP)


def give_back() -> None:
    """Give what is free back to the system, once: what another training kept does not fit this one's batches."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # no glibc
        ctypes.CDLL(None).malloc_trim(0)
