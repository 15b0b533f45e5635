"""`edgetl bench`: latency of a bundle's artefacts on targets, and accuracy there when a labelled set is given."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetl.api.batches import twins
from edgetl.api.boundary import boundary
from edgetl.api.evaluate import evaluate
from edgetl.api.paths import AnyPath, bundle_folder
from edgetl.config.overrides import Overrides
from edgetl.console.events import Listener, reporting_to
from edgetl.errors import UsageError

if TYPE_CHECKING:
    from edgetl.evidence.intervals import Interval
    from edgetl.results.latency import Latency

__all__ = ["BenchResult", "bench"]


@dataclass(frozen=True)
class BenchResult:
    """What was measured.

    latency: by artefact, a row for each target and thread count, as in report.json.
    metrics: by artefact and metric; None where no labelled set was given.
    """

    latency: Mapping[str, Sequence[Latency]]
    metrics: Mapping[str, Mapping[str, Interval]] | None = None

    def to_json(self) -> dict[str, Any]:
        """As `edgetl bench --json` prints it."""
        content: dict[str, Any] = {"latency": {name: list(map(_row, rows)) for name, rows in self.latency.items()}}
        if self.metrics is not None:
            content["metrics"] = {
                name: {metric: interval.to_json() for metric, interval in metrics.items()}
                for name, metrics in self.metrics.items()
            }
        return content


def _row(row: Latency) -> dict[str, Any]:
    return {**asdict(row), "images_per_second": images_per_second(row)}


def images_per_second(row: Latency) -> float:
    """At the median."""
    return 1e3 * row.batch / row.p50_ms


@boundary
def bench(
    bundle: AnyPath,
    *,
    targets: Sequence[str] = ("local_cpu",),
    data: str | None = None,
    columns: Mapping[str, str] | None = None,
    overrides: Overrides = (),
    quick: bool = False,
    batches: Sequence[int] = (),
    progress: Listener = None,
) -> BenchResult:
    """Measure latency on targets, all artefacts interleaved.

    Args:
        bundle: a bundle's folder.
        targets: names of targets, or files of them.
        data: KIND:ROOT, to measure accuracy too.
        columns: of a CSV table in `data`, as role -> column.
        overrides: other fields of its data section.
        quick: some 100 runs each instead of at least 1024 and 60 s.
        batches: images of one call, beside one: a file that takes one is written again for them, and held against it.
        progress: what is told how far it is; nobody without it.

    Raises:
        UsageError: there is no bundle, or a batch is not at least 1.
        IntegrityError: it is damaged.
        RecipeError: there is no such target.
        MissingAccelerator: a target is not on this machine; none of the others is measured then.
        WorkerError, DeviceError: an artefact cannot be measured.
    """
    from edgetl.config import target
    from edgetl.devices import require
    from edgetl.devices.latency import latency
    from edgetl.runtime.manifest import Manifest

    folder = bundle_folder(bundle)
    manifest = Manifest.load(folder)
    for artifact in manifest.artifacts:
        manifest.intact(folder, artifact)
    if any(batch < 1 for batch in batches):
        raise UsageError(f"got a batch of {min(batches)}, expected at least 1", place="--batch")
    rows: dict[str, list[Latency]] = {}
    described = [target.load(name, Path.cwd()) for name in targets]
    for chosen in described:  # all of them, before the first is measured for minutes
        require(chosen)
    with reporting_to(progress) as reporter, tempfile.TemporaryDirectory() as scratch:
        further = twins(folder, manifest, sorted(set(batches) - {1}), Path(scratch))
        for (name, batch), reason in further.refused.items():
            reporter.warn(f"{name} is not measured with {batch} images at a time: {reason}")
        artifacts = [(folder, artifact) for artifact in manifest.artifacts]
        artifacts += [(twin.folder, twin.artifact) for twin in further.made]
        names = {twin.artifact.name: twin.of for twin in further.made}
        for chosen in described:
            for subject, measured in latency(
                chosen, artifacts, {}, "quick" if quick else "full", reporter.advance
            ).items():
                rows.setdefault(names.get(subject, subject), []).extend(measured)
        metrics = (
            None if data is None else evaluate(folder, data, columns=columns, overrides=overrides, progress=reporter)
        )
    return BenchResult(rows, metrics)
