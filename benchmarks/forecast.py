"""What a build says of its trainings before they begin, against what they then take: seconds, and the largest memory.

    python -m benchmarks.forecast

Three small recipes on rendered pictures, each built in a fresh store up to its last training, rehearsal included. The forecast
is that of the build's own log; the seconds are those of all epochs, and the memory is the largest that the build's process had
when its last training ended. Written to benchmarks/results/forecast.json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.markdown import made_by, table
from benchmarks.provenance import provenance
from benchmarks.tiny_build import events

RESULT = Path(__file__).parent / "results" / "forecast.json"
_RECIPES = {
    "a MobileNetV3-S of 64 px, batches of 64, no teacher": """\
data: {kind: skin_phantom, images: 1400, image_size: 64}
teacher: null
student: {backbone: mobilenetv3_small_100}
distil: {weights: [0], epochs: 8, batch_size: 64}
""",
    "a MobileNetV3-L with coordinate attention of 96 px, batches of 32, taught by an EfficientNet-Lite0": """\
data: {kind: skin_phantom, images: 500, image_size: 96, augment: strong}
teacher: {backbone: tf_efficientnet_lite0, weights: none, epochs: 4, batch_size: 32}
student: {backbone: mobilenetv3_large_100, attention: coord}
distil: {weights: [0.5, 1], epochs: 5, trial_epochs: 2, batch_size: 32}
""",
    "a ResNet-18 of 64 px, batches of 128, no teacher": """\
data: {kind: skin_phantom, images: 1400, image_size: 64}
teacher: null
student: {backbone: resnet18}
distil: {weights: [0], epochs: 5, batch_size: 128}
""",
}
_TIME, _MEMORY = 0.20, 0.15
"""How far a forecast may be off: what we ask of it."""


def main() -> None:
    """Build all and write the result."""
    rows = []
    for name, recipe in _RECIPES.items():
        with tempfile.TemporaryDirectory(prefix="edgetl-forecast-") as folder:
            rows.append({"name": name, **_row(recipe, Path(folder))})
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    result = {**provenance("benchmarks.forecast"), "time_bar": _TIME, "memory_bar": _MEMORY, "rows": rows}
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(render(result))


def _row(recipe: str, folder: Path) -> dict[str, Any]:
    (folder / "r.yaml").write_text(f"name: forecast\n{recipe}", encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EDGETL_")}
    store, run = folder / "store", folder / "run"
    words = ["build", "r.yaml", "--until", "distil", "--out", str(run)]
    subprocess.run(
        [sys.executable, "-m", "edgetl", *words], cwd=folder, env={**kept, "EDGETL_STORE": str(store)}, check=True
    )
    said = events(run)
    (forecast,) = (event for event in said if event["event"] == "forecast")
    epochs = [event for event in said if event["event"] == "epoch"]
    seconds = sum(event["seconds"] for event in epochs)
    peak = max(_peaks(store))
    return {
        "forecast_seconds": forecast["seconds"],
        "seconds": seconds,
        "time_ratio": forecast["seconds"] / seconds,
        "forecast_mb": forecast["peak_mb"],
        "peak_mb": peak,
        "memory_ratio": forecast["peak_mb"] / peak,
        "trainings": [
            {**row, "took": sum(event["seconds"] for event in epochs if event["label"].startswith(row["name"]))}
            for row in forecast["trainings"]
        ],
    }


def _peaks(store: Path) -> list[float]:
    """Of the process when each training ended, in MB."""
    entries = (json.loads(path.read_text(encoding="utf-8")) for path in store.glob("entries/*/entry.json"))
    return [entry["peak_rss_mb"] for entry in entries if entry["stage"] in ("teach", "trial", "distil")]


def render(result: Mapping[str, Any]) -> str:
    """The section of docs/results.md."""
    rows = [
        [
            row["name"],
            f"{row['forecast_seconds']:.0f} s",
            f"{row['seconds']:.0f} s",
            f"{row['time_ratio']:.2f}",
            f"{row['forecast_mb']:.0f} MB",
            f"{row['peak_mb']:.0f} MB",
            f"{row['memory_ratio']:.2f}",
        ]
        for row in result["rows"]
    ]
    return "\n".join(
        [
            "## Forecast of time and memory\n",
            made_by(result),
            "What the rehearsal forecast before the first training, and what the same build's trainings then took; memory is "
            f"the largest of the process. Load of the machine when the benchmark ended: {result['machine']['load']}.\n",
            table(["", "forecast", "took", "ratio", "forecast", "took", "ratio"], rows),
        ]
    )


if __name__ == "__main__":
    main()
