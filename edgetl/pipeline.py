"""The build: stages in order, each computed once.

    data -> teach -> distil -> prune -> evaluate -> export -> quantize -> calibrate -> verify -> benchmark -> report

From export to verify there is one stage per format, so that changing the export list computes only what is new. The report
is no entry of the store: it is put together from the entries, quickly, whenever one of them changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetl import sources
from edgetl import store as stores
from edgetl.errors import GateFailed, UsageError
from edgetl.loading import Loaded, nearest
from edgetl.progress import Progress
from edgetl.recipe import FORMATS
from edgetl.stages import (
    benchmark,
    calibrate,
    data,
    distil,
    evaluate,
    export,
    preflight,
    prune,
    quantize,
    report,
    teach,
    verify,
)
from edgetl.stages.stage import Context, Stage
from edgetl.store import Entry, Store

STAGES: tuple[Stage, ...] = (
    data.STAGE,
    teach.STAGE,
    distil.STAGE,
    prune.STAGE,
    evaluate.STAGE,
    *(export.stage(backend) for backend in FORMATS),
    *(quantize.stage(backend) for backend in FORMATS),
    *(calibrate.stage(backend) for backend in FORMATS),
    *(verify.stage(backend) for backend in FORMATS),
    benchmark.STAGE,
)

_Compute = Callable[[Stage, str, dict[str, Entry]], Entry]


@dataclass(frozen=True)
class Step:
    """A stage of one build. key is None where it depends on a stage that is not computed yet."""

    stage: Stage
    key: str | None
    entry: Entry | None
    cached: bool


def plan(loaded: Loaded, store: Store, until: str | None = None) -> list[Step]:
    """What a build would do, without doing it."""
    return list(_walk(loaded, store, _active(loaded, until), None, fresh=False))


def build(
    loaded: Loaded, store: Store, run: Path, progress: Progress, *, until: str | None = None, fresh: bool = False
) -> list[Step]:
    """Compute what is not cached, then write the run folder (unless `until` ends earlier).

    Raises GateFailed, after the report is written, when an artefact must not ship.
    """
    stages = _active(loaded, until)
    if fresh or not all(step.cached for step in plan(loaded, store, until)):
        preflight.check(loaded)

    def compute(stage: Stage, key: str, inputs: dict[str, Entry]) -> Entry:
        progress.say(f"[{stages.index(stage) + 1}/{len(stages)}] {stage.name}")
        progress.event("stage", name=stage.name, key=key)
        with store.draft(key, stage.name) as draft:
            folders = {name: entry.folder for name, entry in inputs.items()}
            root = sources.root(loaded, store, progress)
            stage.run(Context(loaded.recipe, draft.folder, folders, draft.scratch, root, loaded.project, progress))
        assert draft.entry is not None
        progress.event("stage_end", name=stage.name, seconds=draft.entry.seconds)
        return draft.entry

    steps = list(_walk(loaded, store, stages, compute, fresh=fresh))
    if until not in (None, report.NAME):
        return steps
    failed = report.write(loaded, steps, run, progress)
    if failed:
        raise GateFailed(
            "; ".join(failed), place="gate", hint=f"no bundle was written; the evidence: {run / 'report.html'}"
        )
    return steps


def _active(loaded: Loaded, until: str | None) -> list[Stage]:
    """The recipe's stages, up to and including `until`: a stage's name, or the part of it before the dot."""
    stages = [stage for stage in STAGES if stage.active(loaded.recipe)]
    if until is None or until == report.NAME:
        return stages
    last = [place for place, stage in enumerate(stages) if until in (stage.name, stage.name.partition(".")[0])]
    if not last:
        known = [*(stage.name for stage in stages), report.NAME]
        raise UsageError(f"--until {until}: no such stage{nearest(until, known)}")
    return stages[: last[-1] + 1]


def _walk(
    loaded: Loaded, store: Store, stages: Sequence[Stage], compute: _Compute | None, *, fresh: bool
) -> Iterator[Step]:
    """Go through the stages; a missing one is computed, or without `compute` left out with all that depend on it."""
    names = {stage.name for stage in stages}
    done: dict[str, Entry] = {}
    for stage in stages:
        needs = [need.partition("/") for need in stage.needs if need.partition("/")[0] in names]
        if any(name not in done for name, _, _ in needs):
            yield Step(stage, None, None, cached=False)
            continue
        inputs = {name: done[name] for name, _, _ in needs}
        digests = {f"{name}/{path}": done[name].digest(path) for name, _, path in needs}
        if not digests:
            digests = {"source": sources.fingerprint(loaded, store)}
        key = stores.key(stage.name, stage.version, stage.settings(loaded.recipe), digests, stage.tools)
        entry = None if fresh else store.find(key)
        cached = entry is not None
        if entry is None and compute is not None:
            entry = compute(stage, key, inputs)
        if entry is not None:
            done[stage.name] = entry
        yield Step(stage, key, entry, cached)
