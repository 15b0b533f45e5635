"""`edgetl init`: from a folder of pictures to a starter recipe."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgetl.commands.arguments import JsonOption, expanded, write_text
from edgetl.console.streams import tell
from edgetl.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from edgetl.api.init import Start


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command("init")(_init)


def _init(
    data: Annotated[Path, typer.Argument(help="Folder of pictures, .csv or .npz.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Recipe to write.")] = Path("recipe.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing recipe.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at a data set and write a starter recipe for it."""
    if out.exists() and not force:
        raise UsageError(
            "is there already", place=str(out), hint="name another file with --out, or overwrite it with --force"
        )
    if not out.parent.is_dir():
        raise UsageError("is no folder", place=str(out.parent), hint="make it, or name another file with --out")
    try:
        start, recipe = _decided(data, out)
    except KeyboardInterrupt as exc:
        raise Interrupted("interrupted; nothing was written") from exc
    write_text(out, recipe)
    if as_json:
        print(json.dumps({"recipe": str(out), **start.to_json()}))
        return
    print(out)
    for name in start.left_out:
        tell(f"warning: {name} has too few groups for three splits and is left out")
    tell(f"next: edgetl check {out}")


def _decided(data: Path, out: Path) -> tuple[Start, str]:
    from edgetl.api import init
    from edgetl.console.progress import Console

    with Console() as console, tempfile.TemporaryDirectory() as scratch:
        start = init.look(expanded(data), out, Path(scratch), console)
    return start, init.text(start)
