"""Largest memory of a part of a process, of its own and of the accelerator."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch

from edgetl.runtime.memory import peak_rss_mb
from edgetl.training.allocator import give_back

__all__ = ["Peak", "forget_the_peak", "held_mb"]

_PEAK_ALONE = "5"
"""Linux, proc(5): written to clear_refs, the largest resident memory begins anew at what is held now."""


class Peak:
    """process_mb, device_mb: of the block, in MB (10**6 bytes); None where the system does not tell."""

    process_mb: float | None = None
    device_mb: float | None = None


def held_mb() -> float | None:
    """What the process holds now, once what is free is given back; where the system allows it, its peak begins anew here."""
    give_back()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text(_PEAK_ALONE)
        return peak_rss_mb()
    return None


@contextlib.contextmanager
def forget_the_peak(base_mb: float | None = None) -> Iterator[Peak]:
    """Measure the block, as if the process had held `base_mb` before: converters that were loaded do not count.

    base_mb: None counts all that the process holds.
    """
    held = held_mb()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    peak = Peak()
    yield peak
    peak.process_mb = peak_rss_mb()
    if peak.process_mb is not None and held is not None and base_mb is not None:
        peak.process_mb += base_mb - held
    if torch.cuda.is_available():
        peak.device_mb = torch.cuda.max_memory_allocated() / 1e6
