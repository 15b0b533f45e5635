"""What a malformed recipe costs: seconds from the command line to the message, for each recipe of the tests' corpus.

    python -m benchmarks.malformed

Each is `edgetl build BAD --dry-run` in a fresh process. Besides the wall clock, which other work on the machine stretches,
it notes the process's own CPU seconds; and whether the answer was right: exit code 2, one `error:` with a place, nothing on
stdout, no traceback. Written to benchmarks/results/malformed.json.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.markdown import made_by, table
from benchmarks.provenance import provenance

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "malformed.json"
BAR_SECONDS = 1.0


def main() -> None:
    """Measure all and write the result."""
    sys.path.insert(0, str(ROOT / "tests" / "unit"))
    import malformed_recipes

    rows = []
    cases = malformed_recipes.cases()
    with tempfile.TemporaryDirectory() as scratch:
        for number, case in enumerate(cases):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            rows.append({"name": case.name, **_measure(case.write(folder / "r.yaml"), folder)})
            print(f"{number + 1}/{len(cases)} {rows[-1]}", file=sys.stderr)
    result = {**provenance("benchmarks.malformed"), "bar_seconds": BAR_SECONDS, **_summary(rows), "rows": rows}
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(render(result))


def _measure(words: Sequence[str], folder: Path) -> dict[str, Any]:
    line = [sys.executable, "-m", "edgetl", "build", *words, "--dry-run"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EDGETL_")}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        line, cwd=folder, capture_output=True, text=True, check=False, env={**kept, "PYTHONPATH": str(ROOT)}
    )
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(seconds, 3), "cpu_seconds": round(cpu, 3), "wrong": _wrong(done, words)}


def _wrong(done: subprocess.CompletedProcess[str], words: Sequence[str]) -> str | None:
    """What is wrong with the answer; None when nothing is."""
    places = ("error: --set ",) if "--set" in words else (f"error: {words[0]}",)
    checks = {
        f"exit code {done.returncode}": done.returncode == 2,
        "something on stdout": done.stdout == "",
        "a traceback": "Traceback" not in done.stderr,
        "not one error": done.stderr.count("error: ") == 1,
        "no place": done.stderr.startswith(places),
    }
    return next((fault for fault, passed in checks.items() if not passed), None)


def _summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    summary: dict[str, Any] = {"recipes": len(rows), "wrong": [row["name"] for row in rows if row["wrong"]]}
    for key in ("seconds", "cpu_seconds"):
        values = sorted(row[key] for row in rows)
        summary[key] = {
            "median": statistics.median(values),
            "p95": values[int(0.95 * (len(values) - 1))],
            "max": values[-1],
            "over_the_bar": sum(value > BAR_SECONDS for value in values),
        }
    return summary


def render(result: Mapping[str, Any]) -> str:
    """The section for docs/results.md."""
    bar, words = result["bar_seconds"], {"seconds": "wall clock", "cpu_seconds": "CPU time of the process"}
    rows = [
        [
            words[key],
            *(f"{result[key][name]:.2f} s" for name in ("median", "p95", "max")),
            f"{result[key]['over_the_bar']}",
        ]
        for key in words
    ]
    right = result["recipes"] - len(result["wrong"])
    return (
        "## Malformed recipes\n\n"
        + made_by(result)
        + f"\n{result['recipes']} recipes, each wrong in one way, by `edgetl build BAD --dry-run` in a fresh process: {right} "
        "were answered with exit code 2, one message with its place, nothing on stdout and no traceback. The machine was "
        f"shared: its load was {result['machine']['load']:g}.\n\n"
        + table(["", "median", "95 %", "slowest", f"over {bar:g} s"], rows)
    )


if __name__ == "__main__":
    main()
