"""The history of measurements: what a benchmark appends, what was measured before, and comparing two of them."""

from __future__ import annotations

import datetime
import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl import __version__
from edgetl.api.boundary import boundary
from edgetl.api.paths import AnyPath, expanded
from edgetl.api.project import history_path
from edgetl.errors import EdgetlError, UsageError
from edgetl.files import sha256_of
from edgetl.history import Comparison, History, Record, choose, content_digest
from edgetl.history import compare as compare_records
from edgetl.history.choosing import LAST
from edgetl.runtime.manifest import NAME, Manifest

if TYPE_CHECKING:
    from edgetl.console.progress import Progress
    from edgetl.evidence.intervals import Interval
    from edgetl.results.latency import Latency, Machine

__all__ = ["Keeping", "compare", "data_digest", "measurements"]


@boundary
def measurements(file: AnyPath | None = None, *, bundle: str | None = None) -> list[Record]:
    """What was measured before, the oldest first.

    Args:
        file: of the history; the project's without it.
        bundle: only of bundles of this name, with this label, or whose sha256 begins so; or of the bundle in this folder.

    Raises:
        UsageError: there is no such bundle in it.
        IntegrityError: the history is damaged.
        EnvironmentFault: a newer edgetl wrote it.
    """
    records = History(history_path(file)).read()
    if bundle is None:
        return records
    wanted = _meant(bundle)
    named = [record for record in records if wanted in (record.bundle, record.label)]
    return named or list(choose(records, wanted).records)


@boundary
def compare(now: str, before: str, *, file: AnyPath | None = None) -> Comparison:
    """Hold two bundles that were measured against each other; nothing is measured.

    Args:
        now: a label, the beginning of a bundle's sha256, a bundle's name, or its folder.
        before: the same; "last" is the bundle of the same name before it.
        file: of the history; the project's without it.

    Raises:
        UsageError: one of them was never measured, or both are the same measurements.
        IntegrityError: the history is damaged.
        EnvironmentFault: a newer edgetl wrote it.
    """
    records = History(history_path(file)).read()
    ours = choose(records, _meant(now))
    last = ours.records[-1]
    theirs = choose(records, _meant(before), last.bundle, last.bundle_sha256)
    if {record.run for record in ours.records} & {record.run for record in theirs.records}:
        raise UsageError(f"{now} and {before} are the same measurements: {ours.about}")
    return compare_records(ours.records, theirs, records)


def _meant(word: str) -> str:
    """The sha256 of a bundle where its folder is named, else the word."""
    manifest = expanded(word) / NAME
    return sha256_of(manifest) if manifest.is_file() else word


class Keeping:
    """A benchmark of a bundle and the history: opened before anything is measured, appended to and compared with after it."""

    def __init__(
        self, folder: Path, manifest: Manifest, file: AnyPath | None, *, compare: str | None, label: str, keeps: bool
    ) -> None:
        """Read what is known; a damaged file or an unknown word is told before minutes of measuring.

        Args:
            folder: the bundle's.
            compare: what to compare with, see `edgetl.history.choose`; None for nothing.
            keeps: whether to append.

        Raises:
            UsageError: nothing that was measured is called `compare`.
            IntegrityError, EnvironmentFault: as `History.check`.
        """
        self._folder, self._manifest, self._label, self._keeps = folder, manifest, label, keeps
        self._history = History(history_path(file))
        self._earlier = self._history.read() if keeps or compare is not None else []
        self._sha256 = sha256_of(folder / NAME)
        self._first = compare == LAST and not any(
            record.bundle == manifest.name and record.bundle_sha256 for record in self._earlier
        )
        wanted = compare is not None and not self._first
        self._baseline = choose(self._earlier, str(compare), manifest.name, self._sha256) if wanted else None

    def end(
        self,
        rows: Mapping[str, Sequence[Latency]],
        machines: Mapping[str, Machine],
        metrics: Mapping[str, Mapping[str, Mapping[str, Interval]]],
        data: str,
        progress: Progress,
    ) -> Comparison | None:
        """Append what was measured, and compare it; None where there is nothing to compare.

        What goes wrong with the file now is a warning: the measurements are there, and stay worth their minutes.

        Args:
            rows: by artefact. machines: by target.
            metrics: by target and artefact, with `data` the digest of the set that they are of.
        """
        records = self._records(rows, machines, metrics, data)
        if self._first:
            what = f"no bundle {self._manifest.name!r} was measured before: there is nothing to compare with yet"
            progress.warn(f"warning: {what}")
        if self._keeps:
            try:
                self._history.append(records)
            except EdgetlError as exc:
                progress.warn(f"warning: the measurements were not added to the history: {exc}")
        return compare_records(records, self._baseline, self._earlier) if records and self._baseline else None

    def _records(
        self,
        rows: Mapping[str, Sequence[Latency]],
        machines: Mapping[str, Machine],
        metrics: Mapping[str, Mapping[str, Mapping[str, Interval]]],
        data: str,
    ) -> list[Record]:
        run, time = uuid.uuid4().hex, datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        records = []
        for artifact in self._manifest.artifacts:
            companions = {Path(path).name: self._manifest.files[path] for path in artifact.companions}
            for row in rows.get(artifact.name, ()):
                values = metrics.get(row.target, {}).get(artifact.name, {})
                records.append(
                    Record(
                        run=run,
                        time=time,
                        source="bench",
                        label=self._label,
                        edgetl=__version__,
                        bundle=self._manifest.name,
                        bundle_sha256=self._sha256,
                        artifact=artifact.name,
                        sha256=artifact.sha256,
                        content=content_digest(artifact.sha256, companions),
                        model=artifact.model,
                        backend=artifact.backend,
                        precision=artifact.precision,
                        bytes=artifact.bytes,
                        machine=machines[row.target],
                        data=data if values else "",
                        metrics=values,
                        row=asdict(row),
                    )
                )
        return records


def data_digest(data: str, *settings: object) -> str:
    """What a labelled set on this machine is known by: no path is kept. `settings`: JSON, what else decides what is read."""
    kind, _, root = data.partition(":")
    text = json.dumps([kind, str(Path(root).expanduser().resolve()), *settings], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
