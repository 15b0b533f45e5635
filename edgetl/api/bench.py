"""`edgetl bench`: latency of a bundle's artefacts on targets, and accuracy there when a labelled set is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetl.api.boundary import boundary
from edgetl.api.data_section import data_section
from edgetl.api.history import Keeping
from edgetl.api.on_targets import OnTargets
from edgetl.api.paths import AnyPath, bundle_folder
from edgetl.config.overrides import Overrides
from edgetl.console.events import Listener, reporting_to
from edgetl.errors import IntegrityError, UsageError, WorkerError
from edgetl.errors.wording import indented
from edgetl.history import Comparison

if TYPE_CHECKING:
    from edgetl.evidence.intervals import Interval
    from edgetl.results.latency import Latency, Unmeasured
    from edgetl.results.twins import Twins
    from edgetl.runtime.sustained import Sustained

__all__ = ["BenchResult", "bench"]


@dataclass(frozen=True)
class BenchResult:
    """What was measured.

    latency: by artefact, a row for each target and thread count, as in report.json.
    metrics: by artefact and metric, on the first target; None where no labelled set was given.
    metrics_on: the same by target.
    unmeasured: the artefacts that have no row, or no metrics, on a target, and why.
    sustained: by target, the minutes under lasting load; empty where nobody asked.
    slow_int8: int8 files that are slower than their float32 twins, and where.
    comparison: with what was measured before; None where none was asked for, or nothing was.
    """

    latency: Mapping[str, Sequence[Latency]]
    metrics: Mapping[str, Mapping[str, Interval]] | None = None
    metrics_on: Mapping[str, Mapping[str, Mapping[str, Interval]]] = field(default_factory=dict)
    unmeasured: Sequence[Unmeasured] = ()
    sustained: Mapping[str, Sustained] = field(default_factory=dict)
    slow_int8: Sequence[Twins] = ()
    comparison: Comparison | None = None

    def raise_on_problems(self) -> None:
        """Say what could not be measured.

        Raises:
            IntegrityError: an artefact computes something else on a device than where it was built.
            WorkerError: one died or hung there.
        """
        failed = [each for each in self.unmeasured if not each.left_out]
        if not failed:
            return
        disagrees = any(each.disagrees for each in failed)
        lines = [f"{each.name} on {each.target} x{each.threads}: {each.reason}" for each in failed]
        raise (IntegrityError if disagrees else WorkerError)(
            f"{len(lines)} could not be measured, the others were{indented(lines)}",
            hint="edgetl verify compares golden outputs on this machine" if disagrees else None,
        )

    def plot(self, file: AnyPath) -> None:
        """Draw the minutes of a sustained measurement into an .svg or .png file."""
        from edgetl.report.sustained_plot import draw

        draw(self.sustained, picture_place(file))

    def to_json(self) -> dict[str, Any]:
        """As `edgetl bench --json` prints it."""
        content: dict[str, Any] = {"latency": {name: list(map(_row, rows)) for name, rows in self.latency.items()}}
        content["slow_int8"] = [asdict(pair) for pair in self.slow_int8]
        if self.metrics is not None:
            content["metrics"] = _metrics(self.metrics)
            content["metrics_on"] = {target: _metrics(metrics) for target, metrics in self.metrics_on.items()}
        content["unmeasured"] = [asdict(each) for each in self.unmeasured]
        if self.sustained:
            content["sustained"] = {target: lasted.to_json() for target, lasted in self.sustained.items()}
        if self.comparison is not None:
            content["comparison"] = self.comparison.to_json()
        return content


def _row(row: Latency) -> dict[str, Any]:
    return {**asdict(row), "images_per_second": images_per_second(row)}


def images_per_second(row: Latency) -> float:
    """At the median."""
    return 1e3 * row.batch / row.p50_ms


def picture_place(file: AnyPath) -> Path:
    """Where a plot is written, asked before what is drawn is measured.

    Raises:
        UsageError: of another kind, or in a folder that is not there.
    """
    path = Path(file)
    if path.suffix.lower() not in (".svg", ".png"):
        raise UsageError(f"got {path.name!r}, expected a name that ends in .svg or .png", place="plot")
    if not path.absolute().parent.is_dir():
        raise UsageError("there is no such folder, expected one to write the plot into", place=str(path.parent))
    return path


def _metrics(metrics: Mapping[str, Mapping[str, Interval]]) -> dict[str, Any]:
    return {name: {key: interval.to_json() for key, interval in found.items()} for name, found in metrics.items()}


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
    sustained: int | None = None,
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
        batches: images of one call, beside one: a file that takes one is written again for them, and held against it.
        sustained: minutes of lasting load instead, on each target, all artefacts in turns with the most threads of the target.
        compare: hold the result against earlier measurements: "last" for the bundle of this name before this one, a label, a
            bundle's name, the beginning of its sha256, or its folder.
        label: a word under which these measurements are found again.
        history: the file that measurements are appended to and compared with; the project's without it.
        no_history: append nothing.
        progress: what is told how far it is; nobody without it.

    Accuracy is that of the device: pictures are decoded and resized here, from the original files, and every artefact runs on
    them in a worker there.

    Returns:
        What was measured. An artefact that dies costs its own row (`BenchResult.unmeasured`), and one whose golden outputs
        are not what the build computed is not timed.

    Raises:
        UsageError: there is no bundle, a batch is not at least 1, or nothing that was measured is called `compare`.
        IntegrityError: it is damaged, or the one to compare with, or the history.
        EnvironmentFault: a newer edgetl wrote the history.
        RecipeError: there is no such target, or two have one name.
        DataError: the labelled set does not fit the bundle, or has files that cannot be read.
        MissingAccelerator: a target is not on this machine; none of the others is measured then.
        DeviceError: the device is not there, went away, or none of the files can be measured on it. One of several targets
            costs its own rows (`BenchResult.unmeasured`).
    """
    from edgetl.config import target
    from edgetl.devices import require
    from edgetl.results.twins import slow_int8
    from edgetl.runtime.manifest import Manifest

    _require_sense(quick=quick, batches=batches, sustained=sustained, compare=compare)
    section = data_section(data, columns, overrides) if data is not None else None
    folder = bundle_folder(bundle)
    manifest = Manifest.load(folder)
    for artifact in manifest.artifacts:
        manifest.intact(folder, artifact)
    keeping = Keeping(
        folder, manifest, history, compare=compare, label=label, keeps=not no_history and sustained is None
    )
    chosen = target.load_all(targets, Path.cwd(), "--target")
    for each in chosen:  # all of them, before the first is measured for minutes
        require(each)
    found = OnTargets(folder, manifest)
    with reporting_to(progress) as reporter:
        if section is not None:  # first: pictures that cannot be read must not cost the minutes that times take
            chosen = found.accuracy(section, chosen, reporter)
        if sustained is not None:
            found.sustained(sustained, chosen, reporter)
        else:
            found.times("quick" if quick else "full", sorted(set(batches) - {1}), chosen, reporter)
        comparison = keeping.end(found.rows, found.further, found.machines, found.metrics, found.images, reporter)
    rows = keeping.judged(found.rows, found.machines)
    first = next(iter(found.metrics.values()), None)
    slow = slow_int8(manifest.artifacts, rows)
    return BenchResult(rows, first, found.metrics, found.unmeasured, found.lasted, slow, comparison)


def _require_sense(*, quick: bool, batches: Sequence[int], sustained: int | None, compare: str | None) -> None:
    """Raises UsageError where arguments contradict each other."""
    if any(batch < 1 for batch in batches):
        raise UsageError(f"got a batch of {min(batches)}, expected at least 1", place="batch")
    if sustained is not None and (quick or batches or sustained < 1):
        raise UsageError(
            f"got {sustained} minutes{' and quick' * quick}{' and batches' * bool(batches)}, expected at least 1, alone",
            place="sustained",
        )
    if sustained is not None and compare is not None:
        raise UsageError(
            "got compare too, expected it alone: lasting load is not kept in the history", place="sustained"
        )
