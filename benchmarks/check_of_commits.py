"""Whether looking at data became slower or larger: `edgetl check` and reading a table by the code of two commits, interleaved.

    EDGETL_HAM10000=... python -m benchmarks.check_of_commits BASE COMMIT [--rounds 3]

check: of HAM10000, and of 5,900 drawn X-rays in the folders of Kermany's set, seconds of a fresh process without an index.
table: 100,000 rows with paths of empty files, seconds and peak memory of a fresh process that reads it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.markdown import made_by, ratio, table
from benchmarks.pace_of_commits import checked_out, git, spread
from benchmarks.provenance import provenance

RESULT = Path(__file__).parent / "results" / "check_of_commits.json"
_XRAYS, _ROWS = 5_900, 100_000
_SPLITS = ("train",) * 7 + ("val",) + ("test",) * 2
_READ = """
import json, sys, time
from pathlib import Path
began = time.perf_counter()
from edgetl.data import readers
from edgetl.runtime.memory import peak_rss_mb
count = len(readers.read("csv", Path(sys.argv[1])).records)
print(json.dumps({"seconds": time.perf_counter() - began, "peak_mb": peak_rss_mb(), "records": count}))
"""


def main() -> None:
    """Measure, interleaved, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("commit")
    parser.add_argument("--rounds", type=int, default=3)
    words = parser.parse_args()
    commits = [git("rev-parse", "--verify", f"{name}^{{commit}}") for name in (words.base, words.commit)]
    rounds: dict[str, list[list[float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measures = _measures(folder)
        codes = {commit: checked_out(commit, folder) for commit in commits}
        for number in range(words.rounds):
            for what, measure in measures.items():
                found = {commit: measure(codes[commit]) for commit in commits[:: 1 if number % 2 else -1]}
                for unit in found[commits[0]]:
                    rounds.setdefault(f"{what}, {unit}", []).append([found[commit][unit] for commit in commits])
                print(what, found, file=sys.stderr, flush=True)
    ratios = {what: spread([later / base for base, later in pairs]) for what, pairs in rounds.items()}
    about = {"base": commits[0], "measured": commits[1], "ratios": ratios, "rounds": rounds}
    RESULT.write_text(
        json.dumps({**provenance("benchmarks.check_of_commits"), **about}, indent=1) + "\n", encoding="utf-8"
    )


def _measures(folder: Path) -> dict[str, Callable[[Path], dict[str, float]]]:
    xrays, rows = _draw_xrays(folder / "xrays"), _write_table(folder / "rows")
    measures: dict[str, Callable[[Path], dict[str, float]]] = {
        "check of 5,900 X-rays": lambda code: _checked(code, f"folder:{xrays}"),
        "table of 100,000 rows": lambda code: _read(code, rows),
    }
    if root := os.environ.get("EDGETL_HAM10000"):
        measures["check of HAM10000"] = lambda code: _checked(code, f"ham10000:{root}")
    return measures


def _checked(code: Path, data: str) -> dict[str, float]:
    began = time.perf_counter()
    command = [sys.executable, "-m", "edgetl", "check", "--data", data]
    done = subprocess.run(
        command, cwd=code, env=os.environ | {"PYTHONPATH": str(code)}, capture_output=True, check=False
    )
    assert done.returncode in (0, 2), done.stderr
    return {"s": time.perf_counter() - began}


def _read(code: Path, rows: Path) -> dict[str, float]:
    command = [sys.executable, "-c", _READ, str(rows)]
    done = subprocess.run(
        command, cwd=code, env=os.environ | {"PYTHONPATH": str(code)}, capture_output=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["records"] == _ROWS
    return {"s": found["seconds"], "MB": found["peak_mb"]}


def _draw_xrays(folder: Path) -> Path:
    """Grey JPEGs, no two alike, of which a patient has two."""
    generator = np.random.default_rng(0)
    for number in range(_XRAYS):
        label, split = (
            ("NORMAL", "PNEUMONIA")[number % 3 > 0],
            ("train", "val", "test")[(0, 0, 0, 0, 0, 0, 0, 1, 2, 2)[number % 10]],
        )
        path = folder / split / label / f"person{number // 20}_{number}.jpeg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = generator.integers(0, 256, (12, 16), dtype=np.uint8)
        Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC).save(path, quality=85)
    return folder


def _write_table(folder: Path) -> Path:
    (folder / "images").mkdir(parents=True)
    lines = ["path,label,patient_id"]
    for number in range(_ROWS):
        (folder / "images" / f"{number:06}.png").touch()
        lines.append(f"images/{number:06}.png,{'ab'[number % 2]},P{number // 3}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "labels.csv"


def render(result: Mapping[str, Any]) -> str:
    """The section of docs/results.md."""
    rows = [[what, ratio(spread_)] for what, spread_ in result["ratios"].items()]
    count = len(next(iter(result["rounds"].values())))
    return "\n".join(
        [
            "## Looking at data, against an earlier commit\n",
            made_by(result),
            f"{result['measured'][:10]} over {result['base'][:10]}: median [smallest, largest] of {count} rounds; above 1 is "
            "slower, or larger.\n",
            table(["", "ratio"], rows),
        ]
    )


if __name__ == "__main__":
    main()
