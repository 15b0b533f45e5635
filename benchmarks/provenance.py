"""What every result file says about itself: command, commit, machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from typing import Any

from edgetl.devices.local import machine


def provenance(module: str) -> dict[str, Any]:
    """Command, commit, machine and its load, and Python of a measurement; `module` is what `python -m` ran."""
    git = subprocess.run(["git", "rev-parse", "--verify", "-q", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "command": " ".join(["python -m", module, *sys.argv[1:]]),
        "commit": git.stdout.strip() or "before the first commit",
        "machine": {**machine(), "load": round(os.getloadavg()[0], 2)},
        "python": platform.python_version(),
    }
