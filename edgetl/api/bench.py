"""`edgetl bench`: latency of a bundle's artefacts on targets, and accuracy there when a labelled set is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetl.api.boundary import boundary
from edgetl.api.evaluate import evaluate
from edgetl.api.paths import AnyPath, bundle_folder
from edgetl.config.overrides import Overrides
from edgetl.console.events import Listener, reporting_to

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
        content: dict[str, Any] = {"latency": {name: list(map(asdict, rows)) for name, rows in self.latency.items()}}
        if self.metrics is not None:
            content["metrics"] = {
                name: {metric: interval.to_json() for metric, interval in metrics.items()}
                for name, metrics in self.metrics.items()
            }
        return content


@boundary
def bench(
    bundle: AnyPath,
    *,
    targets: Sequence[str] = ("local_cpu",),
    data: str | None = None,
    columns: Mapping[str, str] | None = None,
    overrides: Overrides = (),
    quick: bool = False,
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
        progress: what is told how far it is; nobody without it.

    Raises:
        UsageError: there is no bundle.
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
    artifacts = [(folder, artifact) for artifact in manifest.artifacts]
    rows: dict[str, list[Latency]] = {}
    described = [target.load(name, Path.cwd()) for name in targets]
    for chosen in described:  # all of them, before the first is measured for minutes
        require(chosen)
    with reporting_to(progress) as reporter:
        for chosen in described:
            for subject, measured in latency(
                chosen, artifacts, {}, "quick" if quick else "full", reporter.advance
            ).items():
                rows.setdefault(subject, []).extend(measured)
        metrics = (
            None if data is None else evaluate(folder, data, columns=columns, overrides=overrides, progress=reporter)
        )
    return BenchResult(rows, metrics)
