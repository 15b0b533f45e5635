"""`edgetl build`: from a recipe to a run folder with a report and, when no gate failed, a bundle."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetl.api.boundary import boundary
from edgetl.api.paths import AnyPath, expanded
from edgetl.api.plan import StageResult, planned
from edgetl.api.project import store_of
from edgetl.api.recipes import AnyRecipe, Loaded, Overrides, load_recipe, stand_in_warning
from edgetl.console.events import Listener, reporting_to
from edgetl.console.times import duration
from edgetl.errors import Interrupted, UsageError
from edgetl.store import locked, writing

if TYPE_CHECKING:
    from edgetl.console.progress import Progress
    from edgetl.results.report import Report
    from edgetl.stages.common.stage import Step
    from edgetl.store import Store

__all__ = ["BuildResult", "build"]


@dataclass(frozen=True)
class BuildResult:
    """A finished build, or what one would do.

    run: the run folder.
    store: where the stages' results are kept.
    stand_in: name of the synthetic data set in use, or None: nothing that comes out of one says anything about patients.
    stages: in their order.
    rehearsed: of a dry run, whether the rehearsal before its first training is known already; None where none is due.
    complete: whether it went on to the report: a dry run and a build with `until` have neither page, report nor bundle.
    """

    run: Path
    store: Path
    stand_in: str | None
    stages: tuple[StageResult, ...]
    complete: bool = False
    rehearsed: bool | None = None

    @property
    def page(self) -> Path:
        """report.html."""
        return self.run / "report.html"

    @property
    def bundle(self) -> Path:
        """The bundle's folder, for `edgetl.open_bundle`."""
        return self.run / "bundle"

    @cached_property
    def report(self) -> Report:
        """Everything that the stages found, read from report.json when it is first asked for.

        Raises:
            IntegrityError: there is none, or it is damaged.
        """
        from edgetl.results.report import Report

        return Report.read(self.run)

    def to_json(self) -> dict[str, Any]:
        """As `edgetl build --json` prints it."""
        stages = [stage.to_json() for stage in self.stages]
        content = {"run": str(self.run), "store": str(self.store), "stand_in": self.stand_in, "stages": stages}
        return content if self.rehearsed is None else {**content, "rehearsed": self.rehearsed}


@boundary
def build(
    recipe: AnyRecipe,
    *,
    overrides: Overrides = (),
    out: AnyPath | None = None,
    dry_run: bool = False,
    fresh: bool = False,
    until: str | None = None,
    progress: Listener = None,
) -> BuildResult:
    """Train, distil, prune, quantize, export, verify, measure and report; what is computed already is not computed again.

    The other processes of a launcher (torchrun) do not come back from here: they join the trainings and exit with the
    first one.

    Args:
        recipe: a file, a dictionary, or a recipe that `load_recipe` returned.
        overrides: fields that get another value, {"distil.epochs": 3} or ["distil.epochs=3"].
        out: the run folder; runs/NAME without it.
        dry_run: only say what would run, and why.
        fresh: compute every stage again.
        until: name of the last stage.
        progress: what is told how far it is; nobody without it.

    Raises:
        GateFailed: the report is written, a bundle is not.
        Interrupted: by Ctrl-C; the same call goes on from there.
        EdgetlError: every other branch of `edgetl.errors`.
    """
    loaded = load_recipe(recipe, overrides)  # before what takes long to import: a mistake is told at once
    from edgetl import pipeline
    from edgetl.stages.report import report
    from edgetl.training import distributed

    if distributed.follows():
        if dry_run:
            raise SystemExit
        pipeline.follow(loaded)
    store, run = store_of(loaded), expanded(out) if out is not None else Path("runs") / loaded.recipe.name
    if run.is_file():
        raise UsageError("is a file, expected a folder for the run", place=str(run), hint="give another one with --out")
    with reporting_to(progress) as reporter:
        if loaded.stand_in:
            reporter.warn(stand_in_warning(loaded))
        if dry_run:
            steps = pipeline.plan(loaded, store, until, fresh=fresh)
            stages = planned(loaded, store, steps, fresh=fresh)
            rehearsed = pipeline.rehearsal_of(loaded, store, steps)
            return BuildResult(run, store.root, loaded.stand_in, stages, rehearsed=rehearsed)
        with distributed.leading():
            _protect_real_run(run, loaded)
            pipeline.plan(loaded, store, until)  # a wrong `until` or folder is an error before anything is written
            steps = _build_alone(loaded, store, run, reporter, until, fresh)
    stages = tuple(StageResult(step.stage.name, step.key, step.cached) for step in steps)
    return BuildResult(run, store.root, loaded.stand_in, stages, complete=until in (None, report.NAME))


def _protect_real_run(run: Path, loaded: Loaded) -> None:
    """A stand-in build never overwrites a run made from real data."""
    path = run / "report.json"
    if loaded.stand_in is None or not path.is_file():
        return
    try:
        real = json.loads(path.read_text(encoding="utf-8"))["stand_in"] is None
    except (ValueError, KeyError, TypeError):
        return  # somebody else damaged it: there is no run to protect
    if real:
        raise UsageError(
            "holds a run made from real data, which a stand-in build does not overwrite",
            place=str(run),
            hint="set the variable in data.root, or give another folder with --out",
        )


def _build_alone(
    loaded: Loaded, store: Store, run: Path, progress: Progress, until: str | None, fresh: bool
) -> list[Step]:
    """Build while nobody else writes the run folder: of two builds the second waits, and finds what the first computed."""
    try:
        with writing(run), locked(run / ".lock", f"writes {run}", progress.warn):
            return _build_logged(loaded, store, run, progress, until, fresh)
    except KeyboardInterrupt as exc:
        raise Interrupted(
            "interrupted; finished stages and what trainings have learned so far are kept",
            hint="the same command goes on from there",
        ) from exc


def _build_logged(
    loaded: Loaded, store: Store, run: Path, progress: Progress, until: str | None, fresh: bool
) -> list[Step]:
    from edgetl import pipeline
    from edgetl.console.log import Logged
    from edgetl.console.logging import quiet_libraries
    from edgetl.stages.report import report

    began = time.monotonic()
    with Logged(progress, run / "log.jsonl") as logged, quiet_libraries(logged):
        steps = pipeline.build(loaded, store, run, logged, until=until, fresh=fresh)
        if until in (None, report.NAME):
            _repeat_warnings(run, steps, logged)
        if all(step.cached for step in steps):
            logged.say("nothing to compute: every stage is cached")
        else:
            logged.say(f"done in {duration(time.monotonic() - began)}")
    return steps


def _repeat_warnings(run: Path, steps: Sequence[Step], progress: Progress) -> None:
    """What gates said of files that were verified by an earlier build: nobody may have been there to read it."""
    from edgetl.results.report import Report

    report = Report.read(run)
    backends = {artifact.name: artifact.backend for artifact in report.artifacts}
    cached = {step.stage.name for step in steps if step.cached}
    for gate in report.not_passed("warn"):
        if f"verify.{backends.get(gate.subject)}" in cached:
            progress.warn(f"warning: {gate.name} of {gate.subject}: {gate.message}")
