"""One measurement at a time on a machine: two would measure each other."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgetl.console.progress import Progress
from edgetl.store.locks import holder, locked

__all__ = ["alone_on"]

_WAIT_S = 0.2
"""Between two looks at a lock that somebody holds."""


def _folder() -> Path:
    """The user's own, on this machine."""
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "edgetl"
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
    return Path(tempfile.gettempdir()) / f"edgetl-{user}"


@contextmanager
def alone_on(machine: str, target: str, progress: Progress, look: Callable[[], None] = lambda: None) -> Iterator[None]:
    """While the block runs, no other measurement of this user runs on the target's machine, as far as this machine knows.

    machine: as `Target.find_machine` names it. target: by its name, for whoever waits.
    look: called while it waits; what it raises ends the waiting.
    """
    name = hashlib.sha256(machine.encode()).hexdigest()[:16]
    lock = _folder() / f"measuring-{name}.lock"
    told = False
    while (other := holder(lock)) is not None:
        if not told:
            progress.say(f"waiting for pid {other.pid}, which {other.doing}")
        told = True
        look()
        time.sleep(_WAIT_S)
    with locked(lock, f"measures on {target}", progress.say):
        yield
