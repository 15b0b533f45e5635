"""The targets that come with edgetl: which can be measured on this machine, and why the others cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edgetl.config.places import shipped_targets
from edgetl.doctor import probing
from edgetl.doctor.finding import Finding

__all__ = ["findings"]


def findings(progress: Callable[[str, int, int], None]) -> Iterator[Finding]:
    """A finding each, asked in a process of its own: drivers are loaded for it."""
    files = shipped_targets()
    for number, file in enumerate(files):
        progress(file.stem, number, len(files))
        asked = probing.Probe("targets", file.stem, None, needed=False, asks=f"{probing.TARGET}{file}")
        yield probing.run(asked, None)
