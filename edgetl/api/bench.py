"""`edgetl bench`: latency of a bundle's artefacts on targets, and accuracy there when a labelled set is given."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetl.api.boundary import boundary
from edgetl.api.data_section import data_section
from edgetl.api.labelled import Labelled, labelled
from edgetl.api.paths import AnyPath, bundle_folder
from edgetl.api.several_targets import Advance, on_each
from edgetl.config.overrides import Overrides
from edgetl.console.capture import captured
from edgetl.console.events import Listener, reporting_to
from edgetl.errors import IntegrityError, UsageError, WorkerError
from edgetl.errors.wording import indented

if TYPE_CHECKING:
    from edgetl.config.recipe import Data
    from edgetl.config.target import Target
    from edgetl.console.progress import Progress
    from edgetl.devices.latency import Measured
    from edgetl.evidence.intervals import Interval
    from edgetl.results.latency import Latency, Unmeasured
    from edgetl.runtime.manifest import Artifact, Manifest
    from edgetl.runtime.measurement import Mode
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
    """

    latency: Mapping[str, Sequence[Latency]]
    metrics: Mapping[str, Mapping[str, Interval]] | None = None
    metrics_on: Mapping[str, Mapping[str, Mapping[str, Interval]]] = field(default_factory=dict)
    unmeasured: Sequence[Unmeasured] = ()
    sustained: Mapping[str, Sustained] = field(default_factory=dict)

    def raise_on_problems(self) -> None:
        """Say what could not be measured.

        Raises:
            IntegrityError: an artefact computes something else on a device than where it was built.
            WorkerError: one died or hung there.
        """
        failed = [each for each in self.unmeasured if not each.foreign]
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
        content: dict[str, Any] = {"latency": {name: list(map(asdict, rows)) for name, rows in self.latency.items()}}
        if self.metrics is not None:
            content["metrics"] = _metrics(self.metrics)
            content["metrics_on"] = {target: _metrics(metrics) for target, metrics in self.metrics_on.items()}
        content["unmeasured"] = [asdict(each) for each in self.unmeasured]
        if self.sustained:
            content["sustained"] = {target: lasted.to_json() for target, lasted in self.sustained.items()}
        return content


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
    sustained: int | None = None,
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
        sustained: minutes of lasting load instead, on each target, all artefacts in turns with the most threads of the target.
        progress: what is told how far it is; nobody without it.

    Accuracy is that of the device: pictures are decoded and resized here, from the original files, and every artefact runs on
    them in a worker there.

    Returns:
        What was measured. An artefact that dies costs its own row (`BenchResult.unmeasured`), and one whose golden outputs
        are not what the build computed is not timed.

    Raises:
        UsageError: there is no bundle.
        IntegrityError: it is damaged.
        RecipeError: there is no such target.
        DataError: the labelled set does not fit the bundle, or has files that cannot be read.
        DeviceError: a device is not there.
    """
    from edgetl.config import target
    from edgetl.devices.latency import unmeasured_on
    from edgetl.runtime.manifest import Manifest

    if sustained is not None and (quick or sustained < 1):
        raise UsageError(
            f"got {sustained} minutes{' and quick' * quick}, expected at least 1, without quick", place="sustained"
        )
    section = data_section(data, columns, overrides) if data is not None else None
    folder = bundle_folder(bundle)
    manifest = Manifest.load(folder)
    for artifact in manifest.artifacts:
        manifest.intact(folder, artifact)
    artifacts = [(folder, artifact) for artifact in manifest.artifacts]
    chosen = [target.load(name, Path.cwd()) for name in targets]
    mode: Mode = "quick" if quick else "full"
    rows: dict[str, list[Latency]] = {}
    unmeasured: list[Unmeasured] = []
    lasted: dict[str, Sustained] = {}
    metrics = None
    with reporting_to(progress) as reporter:
        if section is not None:  # first: pictures that cannot be read must not cost the minutes that times take
            metrics, failed = _accuracy(folder, manifest, *section, chosen, reporter)
            unmeasured += failed
        if sustained is not None:
            minutes = partial(_lasting, bundle=folder, manifest=manifest, minutes=sustained)
            for each, run in zip(chosen, on_each(chosen, minutes, reporter), strict=True):
                lasted[each.name] = run
                unmeasured += [unmeasured_on(each, failure, failure.name) for failure in run.failures]
        else:
            table = partial(_table, artifacts=artifacts, mode=mode, manifests={folder: manifest})
            for found in on_each(chosen, table, reporter):
                for subject, measured in found.rows.items():
                    rows.setdefault(subject, []).extend(measured)
                unmeasured += found.unmeasured
    return BenchResult(rows, next(iter(metrics.values())) if metrics else None, metrics or {}, unmeasured, lasted)


def _table(
    target: Target,
    advance: Advance,
    artifacts: Sequence[tuple[Path, Artifact]],
    mode: Mode,
    manifests: Mapping[Path, Manifest],
) -> Measured:
    from edgetl.devices.latency import latency

    return latency(target, artifacts, {}, mode, advance, manifests)


def _lasting(target: Target, advance: Advance, bundle: Path, manifest: Manifest, minutes: int) -> Sustained:
    from edgetl.devices.latency import sustained

    return sustained(target, bundle, manifest, minutes, advance)


def _accuracy(
    folder: Path, manifest: Manifest, data: Data, root: Path, targets: Sequence[Target], progress: Progress
) -> tuple[dict[str, dict[str, dict[str, Interval]]], list[Unmeasured]]:
    """Metrics by target, artefact and name, and the artefacts that failed."""
    from edgetl.devices.answers import answers

    metrics: dict[str, dict[str, dict[str, Interval]]] = {}
    failed: list[Unmeasured] = []
    with (
        captured(),
        tempfile.TemporaryDirectory() as scratch,
        labelled(manifest, data, root, {}, progress) as pictures,
    ):
        _decode(pictures, Path(scratch), progress)
        said = on_each(
            targets if pictures.readable else (),
            lambda target, advance: answers(
                target, folder, manifest.artifacts, Path(scratch), len(pictures.records), advance
            ),
            progress,
        )
        for target, (found, without) in zip(targets, said, strict=False):
            metrics[target.name] = {name: pictures.metrics(name, values) for name, values in found.items()}
            failed += without
    return metrics, failed


def _decode(pictures: Labelled, folder: Path, progress: Progress) -> None:
    """Write the tensors of all pictures into a file of a folder."""
    import numpy as np

    from edgetl.data.decode import batches
    from edgetl.devices.answers import TENSORS

    count, preprocessing = len(pictures.records), pictures.manifest.preprocessing
    shape = (count, *pictures.manifest.inputs[0].shape[1:])
    tensors = np.lib.format.open_memmap(folder / TENSORS, "w+", np.uint8, shape)
    for start, images in batches(pictures.root, pictures.records, preprocessing):
        tensors[start : start + len(images)] = images
        progress.advance("decode", start + len(images), count)
    tensors.flush()
