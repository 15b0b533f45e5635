"""A fixed piece of work that shows how quick the machine itself is at the moment.

A virtual machine's processor slows by a tenth for half an hour, and nothing in it says so: no time is stolen, nothing else
runs, the frequency reads the same. Two measurements of one file then differ by that much. The same work beside both tells
how much of it is the machine.

The work is what networks do, in about equal parts: products of matrices, arithmetic on each element, copies that the first
cache does not hold. No single one of them slows as much as networks do. It is done in one thread: OpenBLAS splits no product of
64 x 64. What it takes depends on numpy too, so only times of one `kind` can be divided by each other.
"""

from __future__ import annotations

import mmap
import time

import numpy as np
import numpy.typing as npt

_SIDE, _PRODUCTS = 64, 55
_ELEMENTS, _PASSES = 1 << 16, 7
_COPIED, _COPIES = 1 << 17, 18
"""Of float32: more than a first cache holds, and little beside a model."""
_HALF_PAGE = 2048 // 4


def kind() -> str:
    """What the work is, and by which numpy with which BLAS."""
    try:
        built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        blas = f"{built['name']} {built['version']}"
    except (TypeError, KeyError):  # numpy below 1.25 prints it, and who builds one may leave it out
        blas = "BLAS not told"
    return f"1, numpy {np.__version__}, {blas}"


def times(count: int = 15) -> list[float]:
    """Milliseconds of each of `count` pieces of work, after one that finds cold caches."""
    (matrix, product), (elements, result), (source, copy) = map(_pair, (_SIDE**2, _ELEMENTS, _COPIED))
    matrix, product = matrix.reshape(_SIDE, _SIDE), product.reshape(_SIDE, _SIDE)
    found = []
    for _ in range(1 + count):
        begun = time.perf_counter_ns()
        for _ in range(_PRODUCTS):
            np.matmul(matrix, matrix, out=product)
        for _ in range(_PASSES):
            np.multiply(elements, elements, out=result)
            np.add(result, elements, out=result)
            np.maximum(result, 0.0, out=result)
        for _ in range(_COPIES):
            np.copyto(copy, source)
        found.append((time.perf_counter_ns() - begun) / 1e6)
    return found[1:]


def _pair(length: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """What is read and what is written, float32 [length], placed alike in every process.

    Not from the heap: what a runtime left there decides where the two lie within their pages, and with it a twentieth of
    the time (a store and a load of the same place in two pages wait for each other).
    """
    apart = length + _HALF_PAGE
    memory = np.frombuffer(mmap.mmap(-1, 4 * (apart + length)), np.float32)
    memory[:length] = 0.5
    return memory[:length], memory[apart:]
