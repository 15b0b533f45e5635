"""`edgetl init`: from a folder of pictures to a starter recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from edgetl.commands.arguments import JsonOption
from edgetl.commands.pairs import ColumnsOption, columns_of
from edgetl.console.streams import tell


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command("init")(_init)


def _init(
    data: Annotated[Path, typer.Argument(help="Folder of pictures, a table or a .npz.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Recipe to write.")] = Path("recipe.yaml"),
    columns: ColumnsOption = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="data.B=C", help="What is known of the data beforehand.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing recipe.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at a data set and write a starter recipe for it."""
    from edgetl.api.init import init
    from edgetl.console.progress import Console

    with Console() as console:
        result = init(data, out=out, columns=columns_of(columns), overrides=set_ or (), force=force, progress=console)
    if as_json:
        print(json.dumps(result.to_json()))
        return
    print(result.recipe)
    for note in result.start.notes:
        tell(f"note: {note}")
    for name in result.start.left_out:
        tell(f"warning: {name} has too few groups for three splits and is left out")
    tell(f"next: edgetl check {result.recipe}")
