"""The history of measurements: what a benchmark appends, what was measured before, and comparing two of them."""

from __future__ import annotations

import datetime
import os
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetl import __version__
from edgetl.api.boundary import boundary
from edgetl.api.paths import AnyPath, expanded
from edgetl.api.project import history_path
from edgetl.errors import EdgetlError, UsageError
from edgetl.files import sha256_of
from edgetl.history import Baseline, Comparison, History, Record, choose, content_digest, of_files
from edgetl.history import compare as compare_records
from edgetl.history.choosing import LAST
from edgetl.history.pace import slow
from edgetl.runtime.manifest import NAME, Manifest

if TYPE_CHECKING:
    from edgetl.api.batches import Batched
    from edgetl.console.progress import Progress
    from edgetl.evidence.intervals import Interval
    from edgetl.results.latency import Latency, Machine

__all__ = ["Keeping", "compare", "measurements"]


@boundary
def measurements(file: AnyPath | None = None, *, bundle: str | None = None) -> list[Record]:
    """What was measured before, the oldest first.

    Args:
        file: of the history; the project's without it.
        bundle: only of bundles of this name, with this label, or whose sha256 begins so; or of the files in this bundle's
            folder, also under another name.

    Raises:
        UsageError: there is no such bundle in it.
        IntegrityError: the history, or the folder's bundle, is damaged.
        EnvironmentFault: a newer edgetl wrote it.
    """
    records = History(history_path(file)).read()
    if bundle is None:
        return records
    named = [record for record in records if bundle in (record.bundle, record.label)]
    return named or list(_chosen(records, bundle).records)


@boundary
def compare(now: str, before: str, *, file: AnyPath | None = None) -> Comparison:
    """Hold two bundles that were measured against each other; nothing is measured.

    Args:
        now: a label, the beginning of a bundle's sha256, a bundle's name, or its folder. What is `before` too is not now.
        before: the same; "last" is the bundle of the same name before the first measurement of `now`.
        file: of the history; the project's without it.

    Raises:
        UsageError: one of them was never measured, or both are the same measurements.
        IntegrityError: the history, or a folder's bundle, is damaged.
        EnvironmentFault: a newer edgetl wrote it.
    """
    records = History(history_path(file)).read()
    ours = _chosen(records, now)
    last, first = ours.records[-1], records.index(ours.records[0])
    theirs = _chosen(records, before, last.bundle, last.bundle_sha256, first)
    earlier, later = ({record.measurement for record in side.records} for side in (theirs, ours))
    if earlier == later:
        raise UsageError(f"{now} and {before} are the same measurements: {ours.about}")
    # Of a folder that was measured again since a label was given, what came after it.
    since = [record for record in ours.records if not earlier < later or record.measurement not in earlier]
    return compare_records(since, theirs, records)


def _chosen(
    records: Sequence[Record],
    word: str,
    name: str = "",
    sha256: str = "",
    until: int | None = None,
    contents: Mapping[str, str] | None = None,
) -> Baseline:
    """As `choose`, or of the bundle whose folder is named, which is then named to people too. Raises as both."""
    folder = expanded(word)
    if word in ("", LAST) or not os.path.isfile(folder / NAME):  # noqa: PTH113  # Path.is_file raises for a long label
        return choose(records, word, name, sha256, until, contents)
    manifest = Manifest.load(folder)
    found = of_files(records, manifest.name, sha256_of(folder / NAME), _contents(manifest))
    return replace(found, about=f"{folder} ({found.about})")


def _contents(manifest: Manifest) -> dict[str, str]:
    """By artefact, what its files are known by."""
    return {
        artifact.name: content_digest(
            artifact.sha256, {Path(path).name: manifest.files[path] for path in artifact.companions}
        )
        for artifact in manifest.artifacts
    }


class Keeping:
    """A benchmark of a bundle and the history: opened before anything is measured, appended to and compared with after it."""

    def __init__(
        self, folder: Path, manifest: Manifest, file: AnyPath | None, *, compare: str | None, label: str, keeps: bool
    ) -> None:
        """Read what is known; a damaged file or an unknown word is told before minutes of measuring.

        Args:
            folder: the bundle's.
            compare: what to compare with, see `edgetl.history.choose`, or a bundle's folder; None for nothing.
            keeps: whether to append.

        Raises:
            UsageError: nothing that was measured is called `compare`, or nothing could be called `label`.
            IntegrityError: the history is damaged, or the bundle whose folder is `compare`.
            EnvironmentFault: as `History`.
        """
        if label == LAST or not label.isprintable():
            raise UsageError(f"got {label!r}, expected printable text, and another word than {LAST}", place="label")
        self._folder, self._manifest, self._label, self._keeps = folder, manifest, label, keeps
        self._history = History(history_path(file))
        self._earlier = self._read(needed=keeps or compare is not None)
        self._sha256 = sha256_of(folder / NAME)
        self._first = compare == LAST and not any(
            record.bundle == manifest.name and record.bundle_sha256 for record in self._earlier
        )
        wanted = compare is not None and not self._first
        self._baseline = (
            _chosen(self._earlier, str(compare), manifest.name, self._sha256, contents=_contents(manifest))
            if wanted
            else None
        )

    def _read(self, *, needed: bool) -> list[Record]:
        """What is known; nothing where the file is damaged and nobody asked for it."""
        try:
            return self._history.read()
        except EdgetlError:
            if needed:
                raise
            return []

    def judged(
        self, rows: Mapping[str, Sequence[Latency]], machines: Mapping[str, Machine]
    ) -> dict[str, list[Latency]]:
        """The rows, marked noisy where the machine was slower than the history knows it.

        What is kept has no such mark: comparisons divide by the yardstick, and need not leave these times out.
        """

        beside: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
        for row in (row for those in rows.values() for row in those):
            beside[row.target, row.threads].append(asdict(row))
        said = {where: slow(those, machines[where[0]], self._earlier) for where, those in beside.items()}

        def marked(row: Latency) -> Latency:
            noise = "; ".join(filter(None, (row.noise, said[row.target, row.threads])))
            return replace(row, noisy=bool(noise), noise=noise)

        return {name: list(map(marked, those)) for name, those in rows.items()}

    def end(
        self,
        rows: Mapping[str, Sequence[Latency]],
        further: Sequence[Batched],
        machines: Mapping[str, Machine],
        metrics: Mapping[str, Mapping[str, Mapping[str, Interval]]],
        data: str,
        progress: Progress,
    ) -> Comparison | None:
        """Append what was measured, and compare it; None where there is nothing to compare.

        What goes wrong with the file now is a warning: the measurements are there, and stay worth their minutes.

        Args:
            rows: by artefact. further: the files that rows of several images at once are of. machines: by target.
            metrics: by target and artefact, with `data` the digest of the set that they are of.
        """
        records = self._records(rows, further, machines, metrics, data)
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
        further: Sequence[Batched],
        machines: Mapping[str, Machine],
        metrics: Mapping[str, Mapping[str, Mapping[str, Interval]]],
        data: str,
    ) -> list[Record]:
        run, time = uuid.uuid4().hex, datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        records, contents = [], _contents(self._manifest)
        written = {(each.of, each.batch): (each.artifact, each.content) for each in further}
        for artifact in self._manifest.artifacts:
            for row in rows.get(artifact.name, ()):
                file, content = written.get((artifact.name, row.batch), (artifact, contents[artifact.name]))
                values = metrics.get(row.target, {}).get(file.name, {})
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
                        sha256=file.sha256,
                        content=content,
                        model=artifact.model,
                        backend=artifact.backend,
                        precision=artifact.precision,
                        bytes=file.bytes,
                        machine=machines[row.target],
                        data=data if values else "",
                        metrics=values,
                        row=asdict(row),
                    )
                )
        return records
