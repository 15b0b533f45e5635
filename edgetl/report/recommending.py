"""Which artefact of a build to take, where nobody says another: the manifest's `recommended`, and what the page leads with.

The quickest with one thread on the first target among those that pass their gates, lose no more accuracy than the recipe's
`quantize.max_drop` allows, and are no int8 file that is slower there than its float32 twin.
"""

from __future__ import annotations

from edgetl.results.latency import Latency
from edgetl.results.report import Report, ReportedArtifact
from edgetl.results.twins import Twins, slow_int8

__all__ = ["first_target", "recommended", "slow_files", "slower_int8"]


def slower_int8(report: Report) -> list[Twins]:
    """The int8 files that were measured to be slower than their twins, and where."""
    return slow_int8(report.artifacts, {artifact.name: artifact.latency for artifact in report.artifacts})


def first_target(report: Report) -> str | None:
    """The one that the recipe names first, of those with latencies."""
    there = dict.fromkeys(row.target for artifact in report.artifacts for row in artifact.latency)
    return next((name for name in (*report.environment.targets, *there) if name in there), None)


def slow_files(report: Report) -> set[str]:
    """Names of the int8 files that are slower than their twins on the first target, with any number of threads."""
    return {pair.int8 for pair in slower_int8(report) if pair.target == first_target(report)}


def recommended(report: Report) -> ReportedArtifact | None:
    """The artefact to take; None where none has its latency measured there, or passes."""
    refused = slow_files(report) | {gate.subject for gate in report.gates if not gate.passed}
    there = [(row, artifact) for artifact in report.artifacts if (row := _row(report, artifact))]
    fit = [(row.p50_ms, place) for place, (row, artifact) in enumerate(there) if artifact.name not in refused]
    return there[min(fit)[1]][1] if fit else None


def _row(report: Report, artifact: ReportedArtifact) -> Latency | None:
    """Its latency for one image on the first target with the fewest threads that were measured there, one as a rule."""
    first = first_target(report)
    rows = [row for row in artifact.latency if (row.target, row.origin, row.batch) == (first, "measured", 1)]
    return min(rows, key=lambda row: (row.threads, row.p50_ms), default=None)
