"""Paths as a person gives them: text or Path, with ~ for home, and what they lead to."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TypeAlias

from edgetl.errors import EnvironmentFault, UsageError
from edgetl.files import write_whole

__all__ = ["AnyPath", "bundle_folder", "expanded", "require_writable", "split_data", "write_text"]

AnyPath: TypeAlias = str | os.PathLike[str]

_WHERE = "a build writes it to runs/NAME/bundle"


def expanded(path: AnyPath, before: str = "") -> Path:
    """The path with ~ replaced; `before` it in errors stands where it is from. Raises UsageError."""
    try:
        return Path(path).expanduser()
    except RuntimeError as exc:  # ~nobody
        raise UsageError(str(exc), place=f"{before}{path}", hint="name a folder") from exc


def split_data(data: str) -> tuple[str, Path]:
    """KIND:ROOT as its two parts. Raises UsageError."""
    kind, colon, root = data.partition(":")
    if not colon or not root:
        raise UsageError(f"--data {data}: expected KIND:ROOT", hint="for example --data ham10000:path/to/HAM10000")
    return kind, expanded(root)


def bundle_folder(bundle: AnyPath) -> Path:
    """The bundle's folder.

    Raises:
        UsageError: there is none. A bundle that lost its bundle.json, as its golden outputs tell, is damaged: whoever reads
            it says so.
    """
    folder = expanded(bundle)
    if not folder.is_dir():
        raise UsageError("there is no bundle", place=str(folder), hint=_WHERE)
    if os.path.lexists(folder / "bundle.json") or (folder / "golden").is_dir():
        return folder
    inner = folder / "bundle"
    if (inner / "bundle.json").is_file():
        raise UsageError("is the folder of a run, expected its bundle", place=str(folder), hint=f"name {inner}")
    raise UsageError("is no bundle, expected a folder with a bundle.json", place=str(folder), hint=_WHERE)


def require_writable(path: Path, *, force: bool, option: str = "--out") -> None:
    """Refuse before the work what could not be written after it; `option` names the file, --force overwrites one.

    Raises:
        UsageError: it is there already, or its folder is not.
        EnvironmentFault: nothing can be written into its folder.
    """
    another = f"name another file with {option}"
    if path.exists() and not force:
        raise UsageError("is there already", place=str(path), hint=f"{another}, or overwrite it with --force")
    if path.exists() and not path.is_file():
        raise UsageError("is no file, and is not overwritten", place=str(path), hint=another)
    if not path.parent.is_dir():
        raise UsageError("is no folder", place=str(path.parent), hint=f"make it, or {another}")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as exc:
        raise _cannot_be_written(path, exc, option) from exc


def write_text(path: Path, text: str | bytes, option: str = "--out") -> None:
    """All of the file or nothing of it. Raises EnvironmentFault."""
    try:
        write_whole(path, text)
    except OSError as exc:
        raise _cannot_be_written(path, exc, option) from exc


def _cannot_be_written(path: Path, exc: OSError, option: str) -> EnvironmentFault:
    return EnvironmentFault(
        f"cannot be written: {exc.strerror}", place=str(path), hint=f"name another file with {option}"
    )
