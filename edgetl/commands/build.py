"""`edgetl build` and `edgetl report`: from a recipe to a run folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgetl.commands.completion import complete_recipe, complete_stage
from edgetl.commands.project import announce_stand_in, store_folder
from edgetl.console.streams import tell
from edgetl.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from edgetl.config.loading import Loaded
    from edgetl.stages.common.stage import Step
    from edgetl.store import Store


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("build")(_build)
    app.command("report")(_report)


def _build(
    recipe: Annotated[
        Path, typer.Argument(help="Recipe file (YAML).", show_default=False, autocompletion=complete_recipe)
    ],
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="Override a field.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Run folder; default runs/NAME.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would run, why, and what is cached.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Compute every stage again.")] = False,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="STAGE", help="Stop after a stage.", autocompletion=complete_stage),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Build a bundle: train, distil, prune, quantize, export, verify, measure, report. Goes on where it was stopped."""
    from edgetl.config.loading import load

    loaded = load(recipe, set_ or [])  # before what takes long to import: a mistake is told at once
    from edgetl import pipeline
    from edgetl.store import Store
    from edgetl.training import distributed

    if distributed.follows():
        if not dry_run:
            pipeline.follow(loaded)
        return
    store = Store(store_folder(loaded))
    run = out or Path("runs") / loaded.recipe.name
    if loaded.stand_in:
        announce_stand_in(loaded)
    if dry_run:
        from edgetl.commands import dry_run as plans

        stages = plans.stages(loaded, store, pipeline.plan(loaded, store, until, fresh=fresh), fresh=fresh)
    else:
        with distributed.leading():
            _protect_real_run(run, loaded)
            steps = _run(loaded, store, run, until, fresh)
        stages = [{"name": step.stage.name, "key": step.key, "cached": step.cached} for step in steps]
    if as_json:
        print(json.dumps({"run": str(run), "store": str(store.root), "stand_in": loaded.stand_in, "stages": stages}))
    elif dry_run:
        print(plans.table(stages))
    elif until in (None, "report"):
        print(run / "report.html")


def _report(
    run: Annotated[Path, typer.Argument(help="Run folder, such as runs/NAME.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Render report.html again from a run folder's report.json."""
    from edgetl.stages.report.report import render_again

    if not run.is_dir():
        raise UsageError("there is no run", place=str(run), hint="a build writes it to runs/NAME")
    page = render_again(run)
    print(json.dumps({"report": str(page)}) if as_json else page)


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


def _run(loaded: Loaded, store: Store, run: Path, until: str | None, fresh: bool) -> list[Step]:
    from edgetl import pipeline
    from edgetl.store import locked, writing

    pipeline.plan(loaded, store, until)  # a wrong --until or folder is an error before anything is written
    try:
        # Two builds of one run folder: the second waits, and then finds what the first has computed.
        with writing(run), locked(run / ".lock", f"writes {run}", tell):
            return _build_in(loaded, store, run, until, fresh)
    except KeyboardInterrupt as exc:
        raise Interrupted(
            "interrupted; finished stages and what trainings have learned so far are kept",
            hint="the same command goes on from there",
        ) from exc


def _build_in(loaded: Loaded, store: Store, run: Path, until: str | None, fresh: bool) -> list[Step]:
    import time

    from edgetl import pipeline
    from edgetl.console.logging import quiet_libraries
    from edgetl.console.progress import Console

    started = time.monotonic()
    with Console(run / "log.jsonl") as console, quiet_libraries(console):
        steps = pipeline.build(loaded, store, run, console, until=until, fresh=fresh)
        if all(step.cached for step in steps):
            console.say("nothing to compute: every stage is cached")
        else:
            console.say(f"done in {time.monotonic() - started:.0f} s")
    return steps
