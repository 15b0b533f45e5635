"""`edgetl schema`: the format of recipes and targets for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from edgetl.console.streams import tell


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command("schema")(_schema)


def _schema(
    out: Annotated[Path | None, typer.Option("--out", help="Write it to a file.", show_default=False)] = None,
    target: Annotated[bool, typer.Option("--target", help="Of target files instead of recipes.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="It is JSON anyway; on one line, and with --out its name.")
    ] = False,
) -> None:
    """Print the JSON schema of recipes, with which editors complete and check them."""
    from edgetl.api.paths import write_text
    from edgetl.config import json_schema
    from edgetl.config.recipe import Recipe
    from edgetl.config.target import types

    schema = (
        json_schema.by_kind(types(), "edgetl target") if target else json_schema.json_schema(Recipe, "edgetl recipe")
    )
    text = json.dumps(schema, indent=2)
    if out is None:
        print(json.dumps(schema) if as_json else text)
        return
    write_text(out, text + "\n")
    tell(f"wrote {out}; first line of a {'target' if target else 'recipe'} in the same folder:")
    line = f"# yaml-language-server: $schema={out.name}"
    print(json.dumps({"schema": str(out), "first_line": line}) if as_json else line)
