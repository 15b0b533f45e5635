"""`edgetl explain`: every field of a recipe with its value, where that comes from, and what it means.

What is printed is a recipe again, with comments: `edgetl explain a.yaml > b.yaml` writes everything down.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from edgetl.commands.arguments import JsonOption, RecipeArgument, SetOption
from edgetl.console.streams import tell


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command("explain")(_explain)


def _explain(
    recipe: RecipeArgument,
    field: Annotated[
        str | None, typer.Argument(help="Only this field or section, such as distil.epochs.", show_default=False)
    ] = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every field of a recipe: its value, where that comes from, its default, and what it means. Needs no data."""
    from edgetl.config import explain
    from edgetl.config.loading import resolve

    resolved = resolve(recipe, set_ or [])
    rows = list(explain.rows(resolved))
    if field:
        rows = explain.chosen(rows, field)
    for error in resolved.missing:
        tell(f"warning: {error}")
    if as_json:
        fields = [row.to_json() for row in rows if not row.is_section]
        print(json.dumps({"recipe": str(recipe), "stand_in": resolved.stand_in, "fields": fields}))
        return
    if resolved.document.places.get(("data", "kind"), "").startswith("the stand-in"):
        print(f"# On the stand-in {resolved.stand_in}: a variable in data.root is not set.")
    outer = len(rows[0].path) - 1
    for row in rows:
        print(explain.text(row, outer, str(recipe), alone=len(rows) == 1))
