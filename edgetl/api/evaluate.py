"""`edgetl evaluate`: metrics with intervals of every artefact of a finished bundle, on another labelled data set."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.api.boundary import boundary
from edgetl.api.data_section import data_section
from edgetl.api.labelled import labelled
from edgetl.api.paths import AnyPath, bundle_folder
from edgetl.api.recipes import warn_of_stand_in
from edgetl.config.data import Data
from edgetl.config.overrides import Overrides
from edgetl.console.capture import captured
from edgetl.console.events import Listener, reporting_to
from edgetl.console.progress import Progress
from edgetl.runtime.cores import usable_cores
from edgetl.runtime.manifest import Manifest

if TYPE_CHECKING:
    from edgetl.evidence.intervals import Interval


@boundary
def evaluate(
    bundle: AnyPath,
    data: str,
    *,
    columns: Mapping[str, str] | None = None,
    overrides: Overrides = (),
    artifact: str | None = None,
    mapping: Mapping[str, str] | None = None,
    progress: Listener = None,
) -> dict[str, dict[str, Interval]]:
    """Metrics of every artefact on another labelled data set, from the original files.

    Args:
        bundle: a bundle's folder.
        data: KIND:ROOT, as in a recipe; all of its splits are used, and one class is enough.
        columns: of a CSV table, as role -> column; the others are found by their name.
        overrides: other fields of the data section of a recipe for it, as data.table.folder.
        artifact: only this one; all without it.
        mapping: new names of labels, for those of the data set and those of the bundle alike. Labels that get one name
            are merged and their probabilities added, so that {"mel": "malignant", "nv": "benign", ...} holds seven
            classes against a set of two. An empty name leaves the label's images out; the bundle may still say it of
            others, which is then wrong.
        progress: what is told how far it is; nobody without it.

    Returns:
        By artefact and metric, the value with its 95 % interval over groups.

    Raises:
        UsageError: there is no bundle, or `mapping` names what neither has.
        IntegrityError: the bundle is damaged or has no such artefact.
        DataError: the data set has labels that the bundle, after renaming, does not have, or files that cannot be read.
    """
    section, root = data_section(data, columns, overrides)
    folder = bundle_folder(bundle)
    with reporting_to(progress) as reporter, captured():
        return _evaluate(folder, section, root, artifact, mapping or {}, reporter)


def _evaluate(
    bundle: Path,
    data: Data,
    root: Path,
    artifact: str | None,
    mapping: Mapping[str, str],
    progress: Progress,
) -> dict[str, dict[str, Interval]]:
    from edgetl.runtime.sessions import open_artifact
    from edgetl.stages.common.predict import outputs

    manifest = Manifest.load(bundle)
    chosen = [manifest.artifact(artifact)] if artifact else list(manifest.artifacts)
    warn_of_stand_in(manifest, progress.warn)
    with labelled(manifest, data, root, mapping, progress) as pictures:
        sessions = {entry.name: open_artifact(bundle, entry, threads=usable_cores()) for entry in chosen}
        probabilities = outputs(
            sessions if pictures.readable else {},
            pictures.root,
            pictures.records,
            manifest.preprocessing,
            partial(progress.advance, "evaluate"),
        )
    return {name: pictures.metrics(name, values) for name, values in probabilities.items()}
