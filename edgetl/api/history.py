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
from edgetl.errors import UsageError
from edgetl.files import sha256_of
from edgetl.history import Comparison, History, Record, choose, content_digest
from edgetl.history import compare as compare_records
from edgetl.runtime.manifest import NAME, Manifest

if TYPE_CHECKING:
    from edgetl.evidence.intervals import Interval
    from edgetl.results.latency import Latency, Machine

__all__ = ["compare", "data_digest", "measured_records", "measurements"]


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


def measured_records(
    folder: Path,
    manifest: Manifest,
    rows: Mapping[str, Sequence[Latency]],
    machines: Mapping[str, Machine],
    *,
    label: str = "",
    metrics: Mapping[str, Mapping[str, Mapping[str, Interval]]] | None = None,
    data: str = "",
) -> list[Record]:
    """One benchmark of a bundle as records of one run.

    Args:
        folder: the bundle's.
        rows: by artefact. machines: by target.
        metrics: by target and artefact, with `data` the digest of the set that they are of.
    """
    run, bundle_sha256 = uuid.uuid4().hex, sha256_of(folder / NAME)
    time = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    records = []
    for artifact in manifest.artifacts:
        companions = {Path(path).name: manifest.files[path] for path in artifact.companions}
        of = {target: found.get(artifact.name, {}) for target, found in (metrics or {}).items()}
        records += [
            Record(
                run=run,
                time=time,
                source="bench",
                label=label,
                edgetl=__version__,
                bundle=manifest.name,
                bundle_sha256=bundle_sha256,
                artifact=artifact.name,
                sha256=artifact.sha256,
                content=content_digest(artifact.sha256, companions),
                model=artifact.model,
                backend=artifact.backend,
                precision=artifact.precision,
                bytes=artifact.bytes,
                machine=machines[row.target],
                data=data if of.get(row.target) else "",
                metrics=of.get(row.target, {}),
                row=asdict(row),
            )
            for row in rows.get(artifact.name, ())
        ]
    return records


def data_digest(data: str, *settings: object) -> str:
    """What a labelled set on this machine is known by: no path is kept. `settings`: JSON, what else decides what is read."""
    kind, _, root = data.partition(":")
    text = json.dumps([kind, str(Path(root).expanduser().resolve()), *settings], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
