"""What every result file says about itself: command, commit, machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from edgetl.devices.local import machine


def provenance(module: str) -> dict[str, Any]:
    """Command, commit, machine and its load, and Python of a measurement; `module` is what `python -m` ran.

    uncommitted: whether tracked code differed from the commit (results of other benchmarks do not count).
    """
    changed = _git(
        "status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results", ":!docs", ":!*.md"
    )
    return {
        "command": " ".join(["python -m", module, *sys.argv[1:]]),
        "commit": _git("rev-parse", "--verify", "-q", "HEAD") or "before the first commit",
        "uncommitted": bool(changed),
        "machine": {**asdict(machine()), "load": round(os.getloadavg()[0], 2)},
        "python": platform.python_version(),
    }


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, check=False).stdout.strip()
