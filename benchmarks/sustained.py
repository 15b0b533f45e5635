"""What ten minutes of load do to latency, and to the ranking of a bundle's artefacts.

python -m benchmarks.sustained BUNDLE              writes benchmarks/results/sustained.json and docs/images/sustained.svg
python -m benchmarks.sustained BUNDLE --minutes 1 --out /tmp/sustained.json --plot /tmp/sustained.svg
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.markdown import made_by, table
from benchmarks.provenance import provenance
from edgetl.api.bench import bench
from edgetl.console.progress import Console
from edgetl.runtime.manifest import Manifest

RESULT = Path(__file__).parent / "results" / "sustained.json"
PLOT = Path(__file__).parents[1] / "docs" / "images" / "sustained.svg"


def main() -> None:
    """Measure on one target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--target", default="local_cpu")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--plot", type=Path, default=PLOT)
    args = parser.parse_args()
    manifest = Manifest.load(args.bundle)
    found = {**provenance("benchmarks.sustained"), "bundle": manifest.name, "input": list(manifest.inputs[0].shape)}
    found["command"] = found["command"].replace(str(args.bundle), "BUNDLE")
    with Console() as console:
        result = bench(args.bundle, targets=[args.target], sustained=args.minutes, progress=console)
    (found["target"],) = result.sustained
    content = result.sustained[found["target"]].to_json()
    found["states"] = content.pop("machine")  # `machine` says which one it is
    found |= content
    args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    result.plot(args.plot)
    result.raise_on_problems()


def render(result: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    rows = []
    for each in result["results"]:
        medians = [minute["p50_ms"] for minute in each["minutes"]]
        worst = max(minute["p90_ms"] for minute in each["minutes"])
        rows.append(
            [
                each["name"],
                *(f"{time:.2f}" for time in (medians[0], medians[-1], min(medians), max(medians), worst)),
                f"{each['ratio']:.3f}",
            ]
        )
    threads = result["results"][0]["threads"] if result["results"] else 0
    text = (
        f"`edgetl bench BUNDLE --sustained {result['minutes']}` with the bundle of `{result['bundle']}` "
        f"({result['input'][1]} px) on `{result['target']}`, {threads} threads: all files in turns of about a second, without "
        "a pause. Medians in ms of the first and the last minute, the smallest and the largest one, the largest 90th "
        f"percentile of a minute, and last over first. {_ranking(result)} {_machine(result)}\n"
    )
    head = ["", "first", "last", "smallest", "largest", "p90, largest", "last / first"]
    picture = "![Latency by minute](images/sustained.svg)\n"
    return "\n".join(["\n## Under lasting load\n", made_by(result), text, table(head, rows), picture])


def _ranking(result: dict[str, Any]) -> str:
    changes = [f"{b} became quicker than {a}" for a, b in result["overtaken"]]
    return f"The ranking changed: {'; '.join(changes)}." if changes else "The ranking by median did not change."


def _machine(result: dict[str, Any]) -> str:
    said = []
    for name, what, unit in (("temperature_c", "Temperature", " °C"), ("frequency_mhz", "Frequency", " MHz")):
        values = [state[name] for state in result["states"] if state and state[name] is not None]
        said.append(
            f"{what}: {min(values):.0f} to {max(values):.0f}{unit}." if values else f"{what}: not said by the machine."
        )
    return " ".join(said)


if __name__ == "__main__":
    main()
