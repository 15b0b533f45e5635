"""`edgetl bench`: latency of a bundle's artefacts on targets, and accuracy there when a labelled set is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetl.api.boundary import boundary
from edgetl.api.evaluate import evaluate
from edgetl.api.history import Keeping, data_digest
from edgetl.api.paths import AnyPath, bundle_folder
from edgetl.config.overrides import Overrides
from edgetl.console.events import Listener, reporting_to
from edgetl.history import Comparison

if TYPE_CHECKING:
    from edgetl.evidence.intervals import Interval
    from edgetl.results.latency import Latency, Machine

__all__ = ["BenchResult", "bench"]


@dataclass(frozen=True)
class BenchResult:
    """What was measured.

    latency: by artefact, a row for each target and thread count, as in report.json.
    metrics: by artefact and metric; None where no labelled set was given.
    comparison: with what was measured before; None where none was asked for, or nothing was.
    """

    latency: Mapping[str, Sequence[Latency]]
    metrics: Mapping[str, Mapping[str, Interval]] | None = None
    comparison: Comparison | None = None

    def to_json(self) -> dict[str, Any]:
        """As `edgetl bench --json` prints it."""
        content: dict[str, Any] = {"latency": {name: list(map(asdict, rows)) for name, rows in self.latency.items()}}
        if self.metrics is not None:
            content["metrics"] = {
                name: {metric: interval.to_json() for metric, interval in metrics.items()}
                for name, metrics in self.metrics.items()
            }
        if self.comparison is not None:
            content["comparison"] = self.comparison.to_json()
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
    compare: str | None = None,
    label: str = "",
    history: AnyPath | None = None,
    no_history: bool = False,
    progress: Listener = None,
) -> BenchResult:
    """Measure latency on targets, all artefacts interleaved, and append it to the history of measurements.

    Args:
        bundle: a bundle's folder.
        targets: names of targets, or files of them.
        data: KIND:ROOT, to measure accuracy too.
        columns: of a CSV table in `data`, as role -> column.
        overrides: other fields of its data section.
        quick: some 100 runs each instead of at least 1024 and 60 s.
        compare: hold the result against earlier measurements: "last" for the bundle of this name before this one, a label, a
            bundle's name, or the beginning of its sha256.
        label: a word under which these measurements are found again.
        history: the file that measurements are appended to and compared with; the project's without it.
        no_history: append nothing.
        progress: what is told how far it is; nobody without it.

    Raises:
        UsageError: there is no bundle, or nothing that was measured is called `compare`.
        IntegrityError: it is damaged, or the history is.
        EnvironmentFault: a newer edgetl wrote the history.
        RecipeError: there is no such target.
        WorkerError, DeviceError: an artefact cannot be measured.
    """
    from edgetl.config import target
    from edgetl.devices import open_device
    from edgetl.devices.latency import latency
    from edgetl.runtime.manifest import Manifest

    folder = bundle_folder(bundle)
    manifest = Manifest.load(folder)
    for artifact in manifest.artifacts:
        manifest.intact(folder, artifact)
    keeping = Keeping(folder, manifest, history, compare=compare, label=label, keeps=not no_history)
    artifacts = [(folder, artifact) for artifact in manifest.artifacts]
    machines: dict[str, Machine] = {}
    rows: dict[str, list[Latency]] = {}
    with reporting_to(progress) as reporter:
        for name in targets:
            chosen = target.load(name, Path.cwd())
            machines[chosen.name] = open_device(chosen).info()
            for subject, measured in latency(
                chosen, artifacts, {}, "quick" if quick else "full", reporter.advance
            ).items():
                rows.setdefault(subject, []).extend(measured)
        metrics: dict[str, dict[str, Interval]] | None = None
        try:
            if data is not None:
                metrics = evaluate(folder, data, columns=columns, overrides=overrides, progress=reporter)
        finally:  # images that cannot be read do not cost what was measured
            digest = "" if data is None else data_digest(data, columns, overrides)
            comparison = keeping.end(rows, machines, dict.fromkeys(machines, metrics or {}), digest, reporter)
    return BenchResult(rows, metrics, comparison)
