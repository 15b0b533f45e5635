"""`edgetl bench`: latency of a bundle's artefacts on targets, and accuracy there when a labelled set is given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgetl.commands.arguments import BundleArgument, JsonOption, require_bundle, split_data
from edgetl.commands.completion import complete_target
from edgetl.commands.pairs import ColumnsOption, columns_of

if TYPE_CHECKING:
    from edgetl.console.progress import Progress


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command("bench")(_bench)


def _bench(
    bundle: BundleArgument,
    targets: Annotated[
        list[str] | None,
        typer.Option("--target", metavar="T", help="Target; default local_cpu.", autocompletion=complete_target),
    ] = None,
    data: Annotated[str | None, typer.Option("--data", metavar="KIND:ROOT", help="Measure accuracy there too.")] = None,
    columns: ColumnsOption = None,
    quick: Annotated[bool, typer.Option("--quick", help="About 100 runs each, not 1024 and 60 s.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure latency on targets, all artefacts interleaved."""
    from edgetl.console.progress import Console

    require_bundle(bundle)
    with Console() as console:
        found: dict[str, Any] = {"latency": _latency(bundle, targets or ["local_cpu"], quick, console)}
        if data is not None:
            found["metrics"] = _metrics(bundle, data, columns_of(columns), console)
    if as_json:
        print(json.dumps(found))
        return
    for name, rows in found["latency"].items():
        for row in rows:
            noisy = f"  noisy: {row['noise']}" if row["noisy"] else ""
            print(
                f"{name:<14} {row['target']} x{row['threads']}  p50 {row['p50_ms']:.2f}  p90 {row['p90_ms']:.2f}  "
                f"p99 {row['p99_ms']:.2f} ms  load {row['load_ms']:.0f} ms  peak {row['peak_rss_mb'] or 0:.0f} MB{noisy}"
            )
    for name, metrics in found.get("metrics", {}).items():
        one = metrics["balanced_accuracy"]
        print(f"{name:<14} balanced accuracy {one['value']:.4f} [{one['low']:.4f}, {one['high']:.4f}]")


def _latency(bundle: Path, targets: list[str], quick: bool, progress: Progress) -> dict[str, list[dict[str, Any]]]:
    from edgetl.config import target
    from edgetl.devices.latency import latency
    from edgetl.runtime.manifest import Manifest

    manifest = Manifest.load(bundle)
    for artifact in manifest.artifacts:
        manifest.intact(bundle, artifact)
    artifacts = [(bundle, artifact) for artifact in manifest.artifacts]
    found: dict[str, list[dict[str, Any]]] = {}
    for name in targets:
        one = target.load(name, Path.cwd())
        for subject, rows in latency(one, artifacts, {}, "quick" if quick else "full", progress.advance).items():
            found.setdefault(subject, []).extend(rows)
    return found


def _metrics(
    bundle: Path, data: str, columns: Mapping[str, str], progress: Progress
) -> dict[str, dict[str, dict[str, float]]]:
    from edgetl.api.evaluate import evaluate

    kind, root = split_data(data)
    results = evaluate(bundle, kind, root, None, {}, progress, columns)
    return {name: {key: one.to_json() for key, one in found.items()} for name, found in results.items()}
