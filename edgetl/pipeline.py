"""The build: stages in order, each computed once.

    data -> teach -> trial -> distil -> prune -> evaluate -> export -> quantize -> calibrate -> verify -> benchmark -> report

Pictures without labels, where a recipe has any, have a stage (`unlabelled`) after data.
From export to verify there is one stage per format, so that changing the export list computes only what is new. The report
is no entry of the store: it is put together from the entries, quickly, whenever one of them changed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from edgetl.config.loading import Loaded
from edgetl.console.progress import Progress, Silent
from edgetl.data.layout import base_of
from edgetl.data.table import DataTable
from edgetl.errors import DataError, GateFailed, UsageError
from edgetl.errors.wording import nearest
from edgetl.results.rehearsal import Rehearsal
from edgetl.runtime.backends import BACKENDS
from edgetl.stages import (
    benchmark,
    calibrate,
    data,
    distil,
    evaluate,
    export,
    prune,
    quantize,
    teach,
    trial,
    unlabelled,
    verify,
)
from edgetl.stages.common import environment, files, forecast, preflight, sources
from edgetl.stages.common.stage import SOURCE, UNLABELLED, Context, Stage, Step
from edgetl.stages.rehearsal import remembered
from edgetl.stages.report import recorded, report
from edgetl.store import DamagedEntry, Dependencies, Entry, Store, writing
from edgetl.training import distributed


def all_stages() -> tuple[Stage, ...]:
    """All stages in their order, those of a format for every backend of the table."""
    return (
        data.STAGE,
        unlabelled.STAGE,
        *teach.STAGES,
        trial.STAGE,
        distil.STAGE,
        prune.STAGE,
        evaluate.STAGE,
        *map(export.stage, BACKENDS),
        *map(quantize.stage, BACKENDS),
        *map(calibrate.stage, BACKENDS),
        *map(verify.stage, BACKENDS),
        benchmark.stage(tuple(BACKENDS)),
    )


_Compute = Callable[[Stage, Dependencies, dict[str, Entry]], tuple[Entry, bool]]


def plan(loaded: Loaded, store: Store, until: str | None = None, *, fresh: bool = False) -> list[Step]:
    """What a build would do, without doing it.

    Raises EnvironmentFault when the index of the data's files cannot be written.
    """
    with writing(store.root):
        return list(_walk(loaded, store, _active(loaded, until), None, fresh=fresh))


def build(
    loaded: Loaded, store: Store, run: Path, progress: Progress, *, until: str | None = None, fresh: bool = False
) -> list[Step]:
    """Compute what is not cached, then write the run folder (unless `until` ends earlier).

    Other builds may run in the same store at the same time: what one of them computes the others wait for. Only one may
    write the run folder (the command holds its lock). A stored result that turns out to be damaged is set aside and
    computed again.

    Raises:
        GateFailed: an artefact must not ship; the report is written.
        ArtifactError: a file cannot be made or does not work, and the recipe refuses an incomplete bundle, or none is left.
        EnvironmentFault: the disk is full or cannot be written; finished stages are kept.
    """
    stages = _active(loaded, until)
    steps = plan(loaded, store, until)
    if fresh or not all(step.cached for step in steps):
        preflight.check(loaded, progress.say)
        if any(step.stage.name == benchmark.NAME and (fresh or not step.cached) for step in steps):
            preflight.require_targets(loaded, reach=True)
        with writing(store.root):
            files.fetch_weights(loaded, store.root)
    with writing(store.root), store.building():
        with_report = until in (None, report.NAME)
        steps = _computed(loaded, store, run, progress, stages, fresh, with_report=with_report)
        failed = report.failures(run) if with_report else []
        if with_report:
            recorded.record(loaded, steps, run, store.root, progress)
        for sentence in report.left_out(run) if with_report else []:
            progress.warn(f"INCOMPLETE: {sentence}")
        for sentence in report.slow(run) if with_report else []:
            progress.warn(f"SLOW INT8: {sentence}")
    if failed:
        evidence = f"no bundle was written; the evidence: {run / report.PAGE}"
        raise GateFailed("; ".join(failed), place="gate", hint=evidence + report.advice(loaded, run))
    return steps


def rehearsal_of(loaded: Loaded, store: Store, steps: Sequence[Step]) -> bool | None:
    """Whether the rehearsal before the trainings of a plan is known already; None where there is none to make."""
    if not remembered.is_due() or not any(step.stage.trains and not step.cached for step in steps):
        return None
    entry = steps[0].entry
    return entry is not None and remembered.known(loaded.recipe, entry.folder, store) is not None


def _known_rehearsal(loaded: Loaded, store: Store, steps: Sequence[Step]) -> Rehearsal | None:
    """What was rehearsed before the trainings of these steps, if anything was."""
    entry = steps[0].entry
    return remembered.known(loaded.recipe, entry.folder, store) if entry else None


def rehearse(loaded: Loaded, store: Store, progress: Progress) -> Rehearsal:
    """The data stage, where it is missing, and the rehearsal: what a build does before its first training.

    Raises:
        UsageError: the recipe's path cannot be gone.
    """
    preflight.check(loaded)
    with writing(store.root), store.building():
        stages = _active(loaded, data.STAGE.name)
        (step,) = _computed(loaded, store, store.root, progress, stages, fresh=False, with_report=False)
        assert step.entry is not None
        return remembered.rehearsed(loaded.recipe, step.entry.folder, store, progress)


def _computed(
    loaded: Loaded, store: Store, run: Path, progress: Progress, stages: list[Stage], fresh: bool, *, with_report: bool
) -> list[Step]:
    """All stages computed and the run folder up to date; starts over where a stored result turns out to be damaged."""
    done: set[str] = set()
    replaced: set[str] = set()
    beginning = True

    def compute(stage: Stage, parts: Dependencies, inputs: dict[str, Entry]) -> tuple[Entry, bool]:
        nonlocal beginning
        for need in stage.reads(loaded.recipe):
            name, _, path = need.partition("/")
            if name in inputs:
                store.verify(inputs[name], path)
        with store.locked(parts.key, f"computes {stage.name}", progress.warn):
            entry = None if fresh and parts.key not in done else store.find(parts.key, stage.name)
            if entry is not None:  # another build was quicker, or this one did it before it started over
                return entry, parts.key not in done
            if stage.trains and beginning:
                beginning = False
                _begin(loaded, store, stages, inputs, progress, begun=not fresh and store.begun(parts.key), fresh=fresh)
            progress.event("stage", name=stage.name, key=parts.key)
            number, of = stages.index(stage) + 1, len(stages) + with_report
            with progress.stage(stage.name, number, of), store.draft(parts, anew=fresh) as draft:
                folders = {name: entry.folder for name, entry in inputs.items()}
                root = sources.root(loaded, store, progress)
                if stage.trains:
                    distributed.order(stage.name, folders, draft.scratch, root)
                stage.run(_context(loaded, draft.folder, folders, draft.scratch, root, progress))
                _require_unchanged(stage, parts, _outside(stage, loaded, store))
            assert draft.entry is not None
            done.add(parts.key)
            progress.event("stage_end", name=stage.name, seconds=draft.entry.seconds)
            return draft.entry, False

    while True:
        try:
            steps = list(_walk(loaded, store, stages, compute, fresh=fresh))
            if with_report and not report.is_current(loaded, steps, run):
                _report(loaded, store, run, progress, steps, number=len(stages) + 1)
            return [replace(step, cached=step.cached and step.key not in done) for step in steps]
        except DamagedEntry as damage:
            if damage.key in replaced:  # again: the disk or the memory is not to be trusted
                raise
            replaced.add(damage.key)
            store.set_aside(damage, progress.warn)


def _report(loaded: Loaded, store: Store, run: Path, progress: Progress, steps: Sequence[Step], number: int) -> None:
    """Write the run folder from results that are found whole; `number` is the report's among the stages, the last."""
    for step in steps:
        if step.entry:
            store.verify(step.entry)
    with progress.stage(report.NAME, number, number), writing(run):
        report.write(loaded, steps, run, _known_rehearsal(loaded, store, steps))


def _begin(
    loaded: Loaded,
    store: Store,
    stages: list[Stage],
    inputs: dict[str, Entry],
    progress: Progress,
    *,
    begun: bool,
    fresh: bool,
) -> None:
    """Before the first stage that trains: rehearse, and say how long the trainings that are not cached will take."""
    folder = inputs[data.STAGE.name].folder
    preflight.require_a_lesson(loaded.recipe, len(DataTable.load(folder, ("train",)).classes))
    rehearsal = remembered.rehearsed(loaded.recipe, folder, store, progress) if remembered.is_due() else None
    steps = list(_walk(loaded, store, stages, None, fresh=fresh))
    missing = {step.stage.name for step in steps if step.stage.trains and not step.cached}
    further = next((step.entry.folder for step in steps if step.stage is unlabelled.STAGE and step.entry), None)
    forecast.tell(loaded.recipe, folder, missing, progress, begun=begun, rehearsal=rehearsal, unlabelled=further)


def follow(loaded: Loaded) -> NoReturn:
    """What the other processes of a launcher do: join the training stages of the first one, and end with it."""

    def join(order: dict[str, Any]) -> None:
        stage = next(stage for stage in all_stages() if stage.name == order["stage"])
        folders, scratch, root = order["folders"], order["scratch"], order["root"]
        with tempfile.TemporaryDirectory() as aside:  # the first one's result counts
            stage.run(_context(loaded, Path(aside), folders, scratch, root, Silent()))

    distributed.follow(join)


def _context(
    loaded: Loaded, folder: Path, inputs: dict[str, Path], scratch: Path, source: Path, progress: Progress
) -> Context:
    networks = {
        stage.network: inputs[stage.name] / "network"
        for stage in all_stages()
        if stage.network and stage.name in inputs
    }
    # Where the pictures lie is in no key: a stage that needs them has their digests.
    pictures = base_of(source, sources.layout(loaded.recipe.data))
    return Context(loaded.recipe, folder, inputs, scratch, source, loaded.project, progress, networks, pictures)


def _outside(stage: Stage, loaded: Loaded, store: Store) -> dict[str, str]:
    """Digests of what a stage reads that is no result of another stage: the pictures, and files of the user."""
    digests = files.digests(stage.files(loaded, store.root))
    for name, of in ((SOURCE, sources.fingerprint), (UNLABELLED, sources.unlabelled_fingerprint)):
        if name in stage.needs:
            digests[name] = of(loaded, store)
    return digests


def _require_unchanged(stage: Stage, parts: Dependencies, now: dict[str, str]) -> None:
    """A result is of what its key says. Raises DataError where that changed while it was computed."""
    changed = [name for name, digest in now.items() if parts.inputs.get(name) != digest]
    if changed:
        what = " and ".join("the data set" if name == SOURCE else name for name in changed)
        raise DataError(
            f"{what} changed while {stage.name} was computed from it", hint="build again: finished stages are kept"
        )


def _active(loaded: Loaded, until: str | None) -> list[Stage]:
    """The recipe's stages, up to and including `until`: a stage's name, or the part of it before the dot."""
    active = [stage for stage in all_stages() if stage.active(loaded.recipe)]
    if until is None or until == report.NAME:
        return active
    last = [place for place, stage in enumerate(active) if until in (stage.name, stage.name.partition(".")[0])]
    if not last:
        known = [*(stage.name for stage in active), report.NAME]
        raise UsageError(f"--until {until}: no such stage{nearest(until, known)}")
    return active[: last[-1] + 1]


def _walk(
    loaded: Loaded, store: Store, stages: Sequence[Stage], compute: _Compute | None, *, fresh: bool
) -> Iterator[Step]:
    """Go through the stages; a missing one is computed, or without `compute` left out with all that depend on it.

    Raises DamagedEntry, but not without `compute`.
    """
    names = {stage.name for stage in stages}
    done: dict[str, Entry] = {}
    for stage in stages:
        needs = [need.partition("/") for need in stage.reads(loaded.recipe) if need.partition("/")[0] in names]
        waits = tuple(dict.fromkeys(name for name, _, _ in needs if name not in done))
        inputs = {name: done[name] for name, _, _ in needs if name in done}
        digests = {f"{name}/{path}": inputs[name].digest(path) for name, _, path in needs if name in inputs}
        digests |= _outside(stage, loaded, store)
        variables = environment.that_count(stage.tools)
        settings = stage.settings(loaded.recipe)
        parts = Dependencies.of(stage.name, stage.version, settings, digests, stage.tools, variables)
        if waits:
            yield Step(stage, parts, None, cached=False, waits=waits)
            continue
        entry, damage = None, ""
        try:
            entry = None if fresh else store.find(parts.key, stage.name)
        except DamagedEntry as exc:
            if compute is not None:
                raise
            damage = exc.problem
        cached = entry is not None
        if entry is None and compute is not None:
            entry, cached = compute(stage, parts, inputs)
        if entry is not None:
            done[stage.name] = entry
            if compute is not None:
                store.use(entry.key, loaded.recipe.name)
        yield Step(stage, parts, entry, cached, damage=damage)
