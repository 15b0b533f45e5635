"""`edgetl build` and `edgetl report`: from a recipe to a run folder."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgetl.commands.arguments import RecipeArgument, SetOption
from edgetl.commands.completion import complete_stage

if TYPE_CHECKING:
    from edgetl.api.plan import StageResult


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("build")(_build)
    app.command("report")(_report)


def _build(
    recipe: RecipeArgument,
    set_: SetOption = None,
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
    from edgetl.api.recipes import load_recipe

    loaded = load_recipe(recipe, set_ or ())  # before what takes long to import: a mistake is told at once
    from edgetl.api.build import build
    from edgetl.console.progress import Console

    with Console() as console:
        result = build(loaded, out=out, dry_run=dry_run, fresh=fresh, until=until, progress=console)
    if as_json:
        print(json.dumps(result.to_json()))
    elif dry_run:
        print("\n".join([*_lines(result.stages), *_rehearsal(result.rehearsed)]))
    elif result.complete:
        print(result.page)


def _report(
    run: Annotated[Path, typer.Argument(help="Run folder, such as runs/NAME.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Render report.html again from a run folder's report.json."""
    from edgetl.api.report import render_report

    page = render_report(run)
    print(json.dumps({"report": str(page)}) if as_json else page)


def _lines(stages: Sequence[StageResult]) -> Iterator[str]:
    """A line for each stage, with times of this machine's zone."""
    width = max(len(stage.name) for stage in stages)
    for stage in stages:
        about = f"since {_local(stage.since)}" if stage.cached else "; ".join(stage.why or ())
        yield f"{'cached   ' if stage.cached else 'would run'}  {stage.name:<{width}}  {about}"


def _rehearsal(known: bool | None) -> Iterator[str]:
    if known is not None:
        about = "known from an earlier build" if known else "would run before the first training, about a minute"
        yield f"rehearsal of the whole path with untrained networks: {about}"


def _local(made: str | None) -> str:
    if not made:
        return "an unknown time"
    return f"{datetime.datetime.fromisoformat(made).astimezone():%Y-%m-%d %H:%M}"
