"""How fast the skin phantom renders on one core.

    python -m benchmarks.phantom_speed

Processor time is counted, not wall time, so that other work on the machine disturbs little; wall time stands beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.markdown import made_by, table
from benchmarks.provenance import provenance

RESULT = Path(__file__).parent / "results" / "phantom_speed.json"


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
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":  # "one core" means one: the threads are there once numpy is
        os.execve(sys.executable, sys.orig_argv, {**os.environ, "OPENBLAS_NUM_THREADS": "1"})
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
        **provenance("benchmarks.phantom_speed"),
        "phantom": phantom.VERSION,
        "render_image_160": measure(single(160, 100), rounds),
        "render_folder_160_with_png": measure(folder(160, 100), rounds),
        "render_image_1280": measure(single(1280, 5), min(rounds, 3)),
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


def render(result: Mapping[str, Any]) -> str:
    """The section of docs/results.md."""
    names = {
        "render_image_160": "160 px, in memory",
        "render_folder_160_with_png": "160 px, as PNG files with masks",
        "render_image_1280": "1,280 px, in memory",
    }
    rows = []
    for name, words in names.items():
        one = result[name]
        spread = f"[{min(one['rounds']):.0f}, {max(one['rounds']):.0f}]"
        rows.append([words, f"{one['images_per_cpu_second']:.0f} {spread}", f"{one['images_per_wall_second']:.0f}"])
    head = ["", "images per second of one core [slowest, fastest round]", "images per second of wall time"]
    return "\n".join(["## How fast the phantom renders\n", made_by(result), table(head, rows)])


if __name__ == "__main__":
    main()
