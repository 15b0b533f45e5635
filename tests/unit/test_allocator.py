"""What glibc is told, in its own numbers, and that no other libc is."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from edgetl.training.allocator import give_back, keep_freed_memory


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


def test_what_a_training_kept_is_given_back() -> None:
    """In a process of its own: what it is told about freed memory holds to its end."""
    script = (
        "import numpy as np; from pathlib import Path; from edgetl.training.allocator import give_back, keep_freed_memory\n"
        "def held(): return next(int(line.split()[1]) // 1000 for line in open('/proc/self/status') if 'VmRSS' in line)\n"
        "keep_freed_memory(); before = held(); np.ones(25_000_000).sum(); kept = held(); give_back(); "
        "print(kept - before, held() - before)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    kept, held = map(int, done.stdout.split())
    assert kept > 180
    assert held < 20


def test_another_libc_has_nothing_to_give_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda library: object())
    give_back()
