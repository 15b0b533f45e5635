"""How much memory this process needed."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_rss_mb() -> float | None:
    """Largest resident memory this process had, in MB (10**6 bytes); None where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: on Linux its maximum is inherited from the process that started this one, across exec.
        lines = (line.split() for line in status.read_text().splitlines())
        return next((int(words[1]) * 1024 / 1e6 for words in lines if words and words[0] == "VmHWM:"), None)
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return None
