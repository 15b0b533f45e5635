"""How fast the skin phantom renders on one core.

    python benchmarks/phantom_speed.py

Processor time is counted, not wall time, so that other work on the machine disturbs little; wall time stands beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULT = Path(__file__).parent / "results" / "phantom_speed.json"


def provenance() -> dict[str, Any]:
    """Command, commit and machine of a measurement."""
    git = subprocess.run(["git", "rev-parse", "--verify", "-q", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "command": f"python benchmarks/{Path(sys.argv[0]).name} {' '.join(sys.argv[1:])}".strip(),
        "commit": git.stdout.strip() or "before the first commit",
        "machine": {"cpu": _cpu(), "cores": os.cpu_count(), "system": platform.system(), "load": os.getloadavg()[0]},
        "python": platform.python_version(),
    }


def _cpu() -> str:
    table = Path("/proc/cpuinfo")
    lines = table.read_text(encoding="utf-8").splitlines() if table.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def measure(work: Callable[[], int], rounds: int) -> dict[str, float | list[float]]:
    """Images per second of processor time (median and every round) and of wall time; `work` returns its images."""
    work()
    rates, walls = [], []
    for _ in range(rounds):
        wall, processor = time.perf_counter(), time.process_time()
        images = work()
        rates.append(round(images / (time.process_time() - processor), 1))
        walls.append(images / (time.perf_counter() - wall))
    return {
        "images_per_cpu_second": statistics.median(rates),
        "rounds": rates,
        "images_per_wall_second": round(statistics.median(walls), 1),
    }


def main() -> None:
    """Measure and write the result file."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=7)
    rounds = arguments.parse_args().rounds

    import cv2

    from edgetl.data import phantom

    cv2.setNumThreads(1)

    def single(size: int, images: int) -> Callable[[], int]:
        def work() -> int:
            for index in range(images):
                phantom.render_image(7, index, size)
            return images

        return work

    def folder(size: int, images: int) -> Callable[[], int]:
        def work() -> int:
            with tempfile.TemporaryDirectory() as place:
                phantom.render(Path(place), images, size, 7)
            return images

        return work

    result = {
        **provenance(),
        "phantom": phantom.VERSION,
        "render_image_160": measure(single(160, 100), rounds),
        "render_folder_160_with_png": measure(folder(160, 100), rounds),
        "render_image_1280": measure(single(1280, 5), min(rounds, 3)),
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
