"""A build's benchmark in the history of measurements, beside those of `edgetl bench`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from edgetl.config.loading import Loaded
from edgetl.console.progress import Progress
from edgetl.errors import EdgetlError
from edgetl.files import sha256_of
from edgetl.history import History, Record, content_digest
from edgetl.history.database import FILE
from edgetl.stages.common.stage import Step
from edgetl.store import Entry


def record(loaded: Loaded, steps: Sequence[Step], run: Path, folder: Path, progress: Progress) -> None:
    """Append what the benchmark stage of a written run folder measured, once for each bundle that it is of.

    However often it is taken from the store, it is one measurement (`Record.measurement`). It is kept again where the recipe
    has another name, where gates pass that failed before, or where bundle.json was written anew and has another sha256: so
    that the bundle is found, and can be compared with.

    Args:
        folder: the store's, where the history is.

    What goes wrong here is a warning: the build is finished.
    """
    from edgetl.stages.report.report import BUNDLE

    entries = {step.stage.name: step.entry for step in steps if step.entry}
    benchmark = entries.get("benchmark")
    if benchmark is None:
        return
    history, manifest = History(folder / FILE), run / BUNDLE / "bundle.json"
    sha256 = sha256_of(manifest) if manifest.is_file() else ""
    name = f"{benchmark.key} {benchmark.made} {loaded.recipe.name} {sha256[:12]}"
    try:
        if not history.knows(name):
            history.append(_records(loaded, name, sha256, benchmark, entries, run))
    except EdgetlError as exc:
        progress.warn(f"warning: the benchmark was not added to the history of measurements: {exc}")


def _records(
    loaded: Loaded, name: str, sha256: str, benchmark: Entry, entries: dict[str, Entry], run: Path
) -> list[Record]:
    from edgetl.results.artifacts import Calibration
    from edgetl.results.latency import LatencyTable
    from edgetl.results.report import Report

    table, report = LatencyTable.read(benchmark.folder), Report.read(run)
    contents = {}
    for entry in (entry for stage, entry in entries.items() if stage.startswith("calibrate.")):
        for each in Calibration.read(entry.folder).artifacts:
            companions = {Path(path).name: entry.files[path][0] for path in each.artifact.companions}
            contents[each.artifact.name] = content_digest(each.artifact.sha256, companions)
    return [
        Record(
            run=name,
            time=benchmark.made.replace("Z", "+00:00"),
            source="build",
            label="",
            edgetl=report.edgetl,
            bundle=loaded.recipe.name,
            bundle_sha256=sha256,
            artifact=artifact.name,
            sha256=artifact.sha256,
            content=contents[artifact.name],
            model=artifact.model,
            backend=artifact.backend,
            precision=artifact.precision,
            bytes=artifact.bytes,
            machine=table.targets[row.target],
            data=f"test split {entries['data'].digest('test')[:32]}",
            metrics=artifact.metrics,
            row=asdict(row),
        )
        for artifact in report.artifacts
        for row in table.rows.get(artifact.name, ())
    ]
