"""What several commands take from the line, and what they do with a path."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgetl.errors import EnvironmentFault, UsageError
from edgetl.files import write_whole

__all__ = ["BundleArgument", "DataOption", "JsonOption", "expanded", "require_bundle", "split_data", "write_text"]

BundleArgument = Annotated[Path, typer.Argument(help="Bundle folder, such as runs/NAME/bundle.", show_default=False)]
DataOption = Annotated[str, typer.Option("--data", metavar="KIND:ROOT", help="A labelled data set.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def split_data(data: str) -> tuple[str, Path]:
    """KIND:ROOT as its two parts. Raises UsageError."""
    kind, colon, root = data.partition(":")
    if not colon or not root:
        raise UsageError(f"--data {data}: expected KIND:ROOT", hint="for example --data ham10000:path/to/HAM10000")
    return kind, expanded(Path(root))


def expanded(path: Path, before: str = "") -> Path:
    """The path with ~ replaced; `before` it in errors stands where it is from. Raises UsageError."""
    try:
        return path.expanduser()
    except RuntimeError as exc:  # ~nobody
        raise UsageError(str(exc), place=f"{before}{path}", hint="name a folder") from exc


def require_bundle(folder: Path) -> None:
    """Raise UsageError where there is no folder: one that is damaged is another thing."""
    if not folder.is_dir():
        raise UsageError("there is no bundle", place=str(folder), hint="a build writes it to runs/NAME/bundle")


def write_text(path: Path, text: str) -> None:
    """All of the file or nothing of it. Raises EnvironmentFault."""
    try:
        write_whole(path, text)
    except OSError as exc:
        raise EnvironmentFault(
            f"cannot be written: {exc.strerror}", place=str(path), hint="name another file with --out"
        ) from exc
