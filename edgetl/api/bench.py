"""`edgetl bench`: latency of a bundle's artefacts on targets, and accuracy there when a labelled set is given."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetl.api.boundary import boundary
from edgetl.api.data_section import data_section
from edgetl.api.labelled import Labelled, labelled
from edgetl.api.paths import AnyPath, bundle_folder
from edgetl.config.overrides import Overrides
from edgetl.console.capture import captured
from edgetl.console.events import Listener, reporting_to
from edgetl.errors import IntegrityError, WorkerError
from edgetl.errors.wording import indented

if TYPE_CHECKING:
    from edgetl.config.recipe import Data
    from edgetl.config.target import Target
    from edgetl.console.progress import Progress
    from edgetl.evidence.intervals import Interval
    from edgetl.results.latency import Latency, Unmeasured
    from edgetl.runtime.manifest import Manifest
    from edgetl.runtime.measuring import Mode

__all__ = ["BenchResult", "bench"]


@dataclass(frozen=True)
class BenchResult:
    """What was measured.

    latency: by artefact, a row for each target and thread count, as in report.json.
    metrics: by artefact and metric, on the first target; None where no labelled set was given.
    metrics_on: the same by target.
    unmeasured: the artefacts that have no row, or no metrics, on a target, and why.
    """

    latency: Mapping[str, Sequence[Latency]]
    metrics: Mapping[str, Mapping[str, Interval]] | None = None
    metrics_on: Mapping[str, Mapping[str, Mapping[str, Interval]]] = field(default_factory=dict)
    unmeasured: Sequence[Unmeasured] = ()

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

    def to_json(self) -> dict[str, Any]:
        """As `edgetl bench --json` prints it."""
        content: dict[str, Any] = {"latency": {name: list(map(asdict, rows)) for name, rows in self.latency.items()}}
        if self.metrics is not None:
            content["metrics"] = _metrics(self.metrics)
            content["metrics_on"] = {target: _metrics(metrics) for target, metrics in self.metrics_on.items()}
        content["unmeasured"] = [asdict(each) for each in self.unmeasured]
        return content


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
    from edgetl.devices.latency import latency
    from edgetl.runtime.manifest import Manifest

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
    metrics = None
    with reporting_to(progress) as reporter:
        if section is not None:  # first: pictures that cannot be read must not cost the minutes that times take
            metrics, failed = _accuracy(folder, manifest, *section, chosen, reporter)
            unmeasured += failed
        for each in chosen:
            found = latency(each, artifacts, {}, mode, reporter.advance, {folder: manifest})
            for subject, measured in found.rows.items():
                rows.setdefault(subject, []).extend(measured)
            unmeasured += found.unmeasured
    return BenchResult(rows, next(iter(metrics.values())) if metrics else None, metrics or {}, unmeasured)


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
        for target in targets if pictures.readable else ():
            found, without = answers(
                target, folder, manifest.artifacts, Path(scratch), len(pictures.records), progress.advance
            )
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
