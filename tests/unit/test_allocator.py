"""What glibc is told, in its own numbers, and that no other libc is."""

from __future__ import annotations

import ctypes
import platform

import pytest

from edgetl.training.allocator import keep_freed_memory


class _Libc:
    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def mallopt(self, parameter: int, value: int) -> int:
        self.told.append((parameter, value))
        return 1


@pytest.mark.parametrize(("name", "told"), [("glibc", True), ("musl", False), ("", False)])
def test_glibc_keeps_what_was_freed(name: str, told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    libc = _Libc()
    monkeypatch.setattr(platform, "libc_ver", lambda: (name, "2.41"))
    monkeypatch.setattr(ctypes, "CDLL", lambda library: libc)
    keep_freed_memory()
    mmap_max, trim_threshold, top_pad = -4, -1, -2  # malloc.h
    wanted = [(mmap_max, 0), (trim_threshold, 2**31 - 1), (top_pad, 256 * 1024 * 1024)]
    assert sorted(libc.told) == (sorted(wanted) if told else [])
