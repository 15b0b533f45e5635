"""What several commands take from the line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgetl.commands.completion import complete_recipe

__all__ = [
    "ArtifactOption",
    "BundleArgument",
    "HistoryOption",
    "JsonOption",
    "RecipeArgument",
    "SetDataOption",
    "SetOption",
]

RecipeArgument = Annotated[
    Path, typer.Argument(help="Recipe file (YAML).", show_default=False, autocompletion=complete_recipe)
]
BundleArgument = Annotated[Path, typer.Argument(help="Bundle folder, such as runs/NAME/bundle.", show_default=False)]
SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="Override a field.")]
SetDataOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="data.B=C", help="With --data: override another field of its section."),
]
ArtifactOption = Annotated[str | None, typer.Option("--artifact", metavar="NAME", help="Only this artefact.")]
HistoryOption = Annotated[
    Path | None,
    typer.Option(
        "--history",
        metavar="FILE",
        help="File of measurements; default history.sqlite in EDGETL_STORE or .edgetl.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
