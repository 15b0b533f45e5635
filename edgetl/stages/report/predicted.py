"""Predicted and measured: what the rehearsal's files said of each target, held against the latencies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edgetl.config import target as target_files
from edgetl.config.loading import Loaded
from edgetl.lint.linting import lint, named_by_rules
from edgetl.results.foreseen import Foreseen, foreseen
from edgetl.results.latency import Latency
from edgetl.results.rehearsal import Rehearsal
from edgetl.results.report import ReportedArtifact
from edgetl.results.twins import twins

__all__ = ["predictions"]


def predictions(
    loaded: Loaded, rehearsal: Rehearsal | None, artifacts: Sequence[ReportedArtifact]
) -> Iterator[Foreseen]:
    """A row for each artefact and target that were rehearsed and measured; none without a rehearsal."""
    graphs = {file.name: file.operators for file in rehearsal.files} if rehearsal else {}
    rows: Mapping[str, Sequence[Latency]] = {artifact.name: artifact.latency for artifact in artifacts}
    pairs = {(pair.int8, pair.target, pair.threads): pair for pair in twins(artifacts, rows)}
    for name in loaded.recipe.targets if graphs else ():
        target = target_files.load(name, loaded.project)
        known = {artifact.name: graphs[artifact.name] for artifact in artifacts if artifact.name in graphs}
        for prediction in lint(target.name, named_by_rules(target), known).artifacts:
            measured = [row for row in rows[prediction.artifact] if row.target == target.name]
            if row := min(measured, key=lambda row: row.threads, default=None):
                yield foreseen(prediction, row, pairs.get((prediction.artifact, row.target, row.threads)))
