"""A bundle on targets: what is asked of all of them, gathered; a device that is lost costs its own part."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.api.batches import Batched, batched, name_of
from edgetl.api.device_accuracy import accuracy
from edgetl.api.several_targets import Advance, lost, on_each, unless_lost
from edgetl.errors import DeviceError, EdgetlError, IntegrityError

if TYPE_CHECKING:
    from edgetl.config.data import Data
    from edgetl.config.target import Target
    from edgetl.console.progress import Progress
    from edgetl.devices.latency import Measured
    from edgetl.evidence.intervals import Interval
    from edgetl.results.latency import Latency, Machine, Unmeasured
    from edgetl.runtime.manifest import Manifest
    from edgetl.runtime.measurement import Mode
    from edgetl.runtime.sustained import Sustained

__all__ = ["OnTargets"]


class OnTargets:
    """What was measured so far.

    rows: by artefact. further: files for several images at once that were written for them, and are gone by now.
    machines, metrics, lasted: by target. images: digest of the labelled set, "" without one.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder, self._manifest = folder, manifest
        self.rows: dict[str, list[Latency]] = {}
        self.further: Sequence[Batched] = ()
        self.machines: dict[str, Machine] = {}
        self.metrics: dict[str, dict[str, dict[str, Interval]]] = {}
        self.images = ""
        self.lasted: dict[str, Sustained] = {}
        self.unmeasured: list[Unmeasured] = []

    def accuracy(self, section: tuple[Data, Path], chosen: Sequence[Target], reporter: Progress) -> list[Target]:
        """Of every artefact on every target; those that were not lost on the way."""
        self.metrics, failed, gone, self.images = accuracy(self._folder, self._manifest, *section, chosen, reporter)
        self.unmeasured += failed
        return [each for each in chosen if each.name not in gone]

    def sustained(self, minutes: int, chosen: Sequence[Target], reporter: Progress) -> None:
        """Lasting load."""
        from edgetl.devices.latency import sustained, unmeasured_on

        def lasting(target: Target, advance: Advance) -> tuple[Sustained, list[Unmeasured]]:
            return sustained(target, self._folder, self._manifest, minutes, advance)

        for each, run in zip(chosen, on_each(chosen, unless_lost(lasting, chosen), reporter), strict=True):
            if isinstance(run, DeviceError):
                self.unmeasured += lost(each, self._manifest, run)
                continue
            self.lasted[each.name], without = run
            failures = self.lasted[each.name].failures
            self.unmeasured += [*without, *(unmeasured_on(each, failure, failure.name) for failure in failures)]

    def times(self, mode: Mode, batches: Sequence[int], chosen: Sequence[Target], reporter: Progress) -> None:
        """Latency tables, of further files for several images at once too."""
        from edgetl.devices.latency import latency

        with tempfile.TemporaryDirectory() as scratch:
            further = batched(self._folder, self._manifest, batches, Path(scratch))
            self.further = further.made
            for (name, batch), why in further.refused.items():
                reporter.warn(f"{name} is not measured with {batch} images at a time: {why.message}")
                self.unmeasured += [_unwritten(each, name, batch, why) for each in chosen]
            artifacts = [(self._folder, artifact) for artifact in self._manifest.artifacts]
            artifacts += [(each.folder, each.artifact) for each in further.made]
            sizes = {each.artifact.name: each.batch for each in further.made}

            def table(target: Target, advance: Advance) -> Measured:
                return latency(target, artifacts, {}, mode, advance, {self._folder: self._manifest}, sizes)

            names = {each.artifact.name: each.of for each in further.made}
            for each, measured in zip(chosen, on_each(chosen, unless_lost(table, chosen), reporter), strict=True):
                if isinstance(measured, DeviceError):
                    self.unmeasured += lost(each, self._manifest, measured)
                    continue
                self.machines[each.name] = measured.machine
                for subject, rows in measured.rows.items():
                    self.rows.setdefault(names.get(subject, subject), []).extend(rows)
                self.unmeasured += measured.unmeasured


def _unwritten(target: Target, name: str, batch: int, why: EdgetlError) -> Unmeasured:
    """A batch that is not measured: of a file that computes something else, or that cannot be written, which is no failure."""
    from edgetl.results.latency import Unmeasured

    disagrees = isinstance(why, IntegrityError)
    return Unmeasured(name_of(name, batch), target.name, 1, why.message, disagrees, left_out=not disagrees)
