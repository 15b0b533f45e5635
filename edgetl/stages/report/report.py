"""Report: everything that the stages found, as report.json, report.html and, when no gate failed, the bundle.

It is put together anew whenever one of the stages' results changed, in seconds, so it is no entry of the store.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl import __version__
from edgetl.config.delivery import PRECISIONS
from edgetl.config.loading import Loaded
from edgetl.errors import IntegrityError
from edgetl.files import write_whole
from edgetl.results.extras import Extras
from edgetl.results.rehearsal import Rehearsal
from edgetl.results.report import Report, StageRun
from edgetl.stages.common.one_by_one import refusal, works_without
from edgetl.stages.report import collect
from edgetl.stages.report.atomic_swap import aside, swap

if TYPE_CHECKING:
    from edgetl.stages.common.stage import Step

NAME = "report"
VERSION = 6
PAGE = "report.html"
BUNDLE = "bundle"
_COPIED = ("models/", "golden/")


def is_current(loaded: Loaded, steps: Sequence[Step], run: Path) -> bool:
    """Whether the run folder is what `write` would make of these stages."""
    return _is_current(run, _key(loaded, steps))


def left_out(run: Path) -> list[str]:
    """What the bundle of a written run folder lacks, a sentence a file."""
    return [f"{each.artifact} is missing ({each.step}): {each.reason}" for each in Report.read(run).missing]


def slow(run: Path) -> list[str]:
    """The int8 files of a written run folder that were measured to be slower than their float32 twins, a sentence each."""
    from edgetl.report.recommending import slower_int8

    return [pair.sentence() for pair in slower_int8(Report.read(run))]


def failures(run: Path) -> list[str]:
    """What failed in a written run folder, a sentence a gate."""
    failed = Report.read(run).not_passed("fail")
    return [f"{gate.name} of {gate.subject}: {gate.message}" for gate in failed]


def advice(loaded: Loaded, run: Path) -> str:
    """What a recipe could say where only files failed, a line of a hint; empty where the data did."""
    failed = [gate.subject for gate in Report.read(run).not_passed("fail")]
    built = {f"{backend}-{precision}" for backend in loaded.recipe.formats for precision in PRECISIONS}
    return f"\n  {works_without(loaded.recipe, failed)}" if set(failed) <= built else ""


def write(loaded: Loaded, steps: Sequence[Step], run: Path, rehearsal: Rehearsal | None = None) -> None:
    """Bring the run folder up to date with the stages: everything is written aside first, then put in its place.

    When a gate failed the bundle is left out, and an earlier one removed: it is of another build.

    Args:
        rehearsal: of this build, for what it predicted. One that comes later writes no report anew.

    Raises:
        ArtifactError: a stage left out a file, for a recipe with `incomplete: ship`, and this one refuses that.
    """
    from edgetl.report.render import render
    from edgetl.stages.report import bundle

    folders = {step.stage.name: step.entry.folder for step in steps if step.entry}
    own = StageRun(name=NAME, key=_key(loaded, steps), seconds=0.0, cached=False, peak_rss_mb=None)
    report = collect.report_of(loaded, steps, folders, own, rehearsal)
    if report.missing and loaded.recipe.incomplete == "refuse":
        raise refusal(loaded.recipe, report.missing)
    extras = collect.extras_of(steps, folders, report)
    with aside(run) as new:
        if not report.not_passed("fail"):
            _require_copied(bundle.write(loaded, folders, report, new / BUNDLE).files, steps)
        extras.write(new)
        (new / PAGE).write_text(render(report, extras), encoding="utf-8")
        report.write(new)
        swap(new, run, (BUNDLE, Extras.FILE, PAGE, Report.FILE))


def render_again(run: Path) -> Path:
    """Write report.html anew from a run folder's own files. Raises IntegrityError when they are not what they should be."""
    from edgetl.report.render import render

    page = render(Report.read(run), Extras.read(run))
    write_whole(run / PAGE, page)
    return run / PAGE


def _key(loaded: Loaded, steps: Sequence[Step]) -> str:
    digests = {step.stage.name: step.entry.digest() for step in steps if step.entry}
    parts = {
        "version": VERSION,
        "edgetl": __version__,
        "recipe": collect.without_paths(loaded.recipe),
        "environment": asdict(collect.environment(loaded.recipe.formats, {})),
        "stages": digests,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _is_current(run: Path, key: str) -> bool:
    try:
        report = Report.read(run)
    except IntegrityError:
        return False
    shipped = (run / BUNDLE / "bundle.json").is_file() or report.not_passed("fail")
    complete = bool(shipped) and (run / PAGE).is_file() and (run / Extras.FILE).is_file()
    return complete and any(stage.name == NAME and stage.key == key for stage in report.stages)


def _require_copied(files: Mapping[str, str], steps: Sequence[Step]) -> None:
    """What a bundle holds of a stage's files is what the stage wrote: the manifest would bless any copy.

    Args:
        files: sha256 by path, as the manifest lists them.
    """
    for step in steps:
        for name, (sha256, _) in step.entry.files.items() if step.entry else ():
            if name.startswith(_COPIED) and name in files and files[name] != sha256:
                raise IntegrityError(
                    f"is not what {step.stage.name} wrote: it changed while it was copied",
                    place=name,
                    hint="build again; if it happens again, look after the disk",
                )
