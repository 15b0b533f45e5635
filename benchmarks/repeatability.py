"""Does a measurement give the same number again? Each artefact of a bundle measured five times over, in full and quickly.

    python -m benchmarks.repeatability BUNDLE             measures, and writes benchmarks/results/repeatability.json
    python -m benchmarks.repeatability BUNDLE --times 2 --modes quick

On the target `local_cpu_1t`, by `edgetl.bench`: new processes each time. Full and quick measurements take turns. The result is
written after each measurement, and a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.markdown import made_by, table
from benchmarks.provenance import provenance
from edgetl.api.bench import bench
from edgetl.console.progress import Console
from edgetl.runtime.manifest import Manifest

RESULT = Path(__file__).parent / "results" / "repeatability.json"
TARGET = "local_cpu_1t"
BARS = {"full": 0.05, "quick": 0.10}
"""Largest deviation of a 90th percentile from the median of all, unless it is marked noisy."""
_KEPT = (
    "runs",
    "p50_ms",
    "p90_ms",
    "p99_ms",
    "p90_low_ms",
    "p90_high_ms",
    "noisy",
    "noise",
    "attempts",
    "foreign",
    "stolen",
    "yardstick",
    "yardstick_ms",
)


def main() -> None:
    """Measure, one cell after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--modes", nargs="+", choices=sorted(BARS), default=["full", "quick"])
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--fresh", action="store_true", help="forget the cells that are there")
    args = parser.parse_args()
    name = Manifest.load(args.bundle).name
    found = _begun(args.out, name, args.fresh) or {
        **provenance("benchmarks.repeatability"),
        "bundle": name,
        "cells": {},
    }
    found["command"] = found["command"].replace(str(args.bundle), "BUNDLE")
    with Console() as console:
        for number in range(args.times):
            for mode in args.modes:
                if f"{mode}-{number}" in found["cells"]:
                    continue
                result = bench(args.bundle, targets=[TARGET], quick=mode == "quick", progress=console)
                result.raise_on_problems()
                found["cells"][f"{mode}-{number}"] = {
                    artifact: {
                        **{field: asdict(row)[field] for field in _KEPT},
                        "yardstick_ms": statistics.median(row.yardstick_ms),
                    }
                    for artifact, (row,) in result.latency.items()
                }
                args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(render(found), file=sys.stderr)


def _begun(file: Path, bundle: str, fresh: bool) -> dict[str, Any] | None:
    if fresh or not file.is_file():
        return None
    found = json.loads(file.read_text(encoding="utf-8"))
    return dict(found) if found["bundle"] == bundle else None


def deviation(rows: Sequence[Mapping[str, Any]], field: str) -> float:
    """Largest deviation from the median, as a share of it."""
    values = [float(row[field]) for row in rows]
    middle = statistics.median(values)
    return max(abs(value / middle - 1) for value in values)


def _paced(row: Mapping[str, Any]) -> dict[str, float]:
    return {field: row[field] / row["yardstick_ms"] for field in ("p50_ms", "p90_ms")}


def render(result: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    lines = []
    for mode, bar in BARS.items():
        cells = [cell for name, cell in result["cells"].items() if name.startswith(f"{mode}-")]
        for artifact in cells[0] if cells else ():
            rows = [cell[artifact] for cell in cells]
            quiet = [row for row in rows if not row["noisy"]]
            within = bool(quiet) and deviation(quiet, "p90_ms") <= bar
            verdict = "all noisy" if not quiet else "yes" if within else "**no**"
            lines.append(
                [
                    artifact,
                    mode,
                    str(len(rows)),
                    str(len(rows) - len(quiet)),
                    str(sum(row["attempts"] for row in rows)),
                    *(f"{deviation(rows, field):.1%}" for field in ("p50_ms", "p90_ms")),
                    *(f"{deviation(quiet, field):.1%}" if quiet else "-" for field in ("p50_ms", "p90_ms")),
                    *(f"{deviation([_paced(row) for row in rows], field):.1%}" for field in ("p50_ms", "p90_ms")),
                    f"{verdict} ({bar:.0%})",
                ]
            )
    text = (
        f"The bundle of `{result['bundle']}` on `{TARGET}`, measured again and again by `edgetl bench`, in full and quickly "
        "in turns. Largest deviation of a median (p50) and of a 90th percentile (p90) from the middle one: of all "
        "measurements, of those that are not marked noisy, and of all once each is divided by the yardstick in its process "
        "(comparisons with the history divide by that of all processes); attempts: how often all was measured, as noisy ones "
        "are repeated.\n"
    )
    head = [
        "",
        "mode",
        "measured",
        "noisy",
        "attempts",
        "p50, all",
        "p90, all",
        "p50, quiet",
        "p90, quiet",
        "p50 / yardstick",
        "p90 / yardstick",
        "p90 within",
    ]
    return "\n".join(["\n## The same number again\n", made_by(result), text, table(head, lines)])


if __name__ == "__main__":
    main()
