"""Keeps Ctrl-C from crashing the process once OpenVINO was used in it.

OpenVINO's CPU plugin maps a signal stack of its own, registers it for the thread that loads it, and unmaps it with the plugin,
which may leave the thread with a stack that is not there any more. Python handles SIGINT on whatever is registered: the next
Ctrl-C is then a segmentation fault. So what was registered before is put back.

Seen with OpenVINO 2026.4; the plugin's part: https://github.com/openvinotoolkit/openvino/pull/11894
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    """stack_t of <signal.h> on Linux."""

    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def kept() -> Iterator[None]:
    """What the block registers as this thread's signal stack is taken back when it ends; does nothing but on Linux."""
    if sys.platform != "linux":
        yield
        return
    library, before = ctypes.CDLL(None), _Stack()
    known = library.sigaltstack(None, ctypes.byref(before)) == 0
    try:
        yield
    finally:
        if known:
            library.sigaltstack(ctypes.byref(before), None)
