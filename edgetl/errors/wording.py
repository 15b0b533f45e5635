"""How messages say what they all say: the nearest name, a value that was got, a list of which some is enough."""

from __future__ import annotations

import difflib
import json
import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "alike",
    "did_you_mean",
    "first_line",
    "indented",
    "nearest",
    "one_line",
    "quoted",
    "some",
    "without_folders",
]

_BELOW = r"[/\\](?:[^\s'\"():,;/\\]+[/\\])*"
_FOLDERS = re.compile(r"(?<![\w.:/\\])((?:[A-Za-z]:)?[/\\][^\s'\"():,;/\\]+)" + _BELOW)
"""An absolute folder, with the topmost one as its group."""


def alike(word: str, names: Iterable[str], most: int = 1, least: float = 0.6) -> list[str]:
    """Those of `names` that look like `word`, the nearest first; with `least`, in [0, 1], as a misspelling does."""
    return difflib.get_close_matches(word, list(names), n=most, cutoff=least)


def did_you_mean(word: str, names: Iterable[str], most: int = 1) -> str | None:
    """A hint with the nearest of `names`, or None where nothing is near."""
    near = [repr(name) for name in alike(word, names, most)]
    if not near:
        return None
    return f"did you mean {' or '.join([', '.join(near[:-1]), near[-1]] if near[1:] else near)}?"


def nearest(word: str, names: Iterable[str]) -> str:
    """The end of a message about an unknown `word`: the name that is nearest, or all that are known."""
    known = list(names)
    if hint := did_you_mean(word, known):
        return f"; {hint}"
    return f"; known here: {', '.join(known)}" if known else ""


def quoted(value: Any, most: int | None = 60) -> str:
    """A value as JSON on one line, which is YAML too: cut when longer than `most`, printable whatever it holds."""
    letters = json.dumps(value, ensure_ascii=False)
    text = "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in letters)
    return text if most is None or len(text) <= most else text[: most - 3] + "..."


def some(entries: Sequence[str], most: int = 10) -> list[str]:
    """The entries; of more than `most` the first ones, and "... and N more"."""
    return [*entries[:most], *([f"... and {len(entries) - most} more"] if len(entries) > most else [])]


def indented(entries: Sequence[str]) -> str:
    """The entries below a message that ends in a colon, one a line."""
    return "".join(f"\n  {entry}" for entry in some(entries))


def first_line(error: BaseException) -> str:
    """The first line of an error of another library that says something, or the error's name."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def one_line(error: BaseException) -> str:
    """All that an error says, on one line of bounded length."""
    return " ".join(str(error).split())[:300]


def without_folders(text: str) -> str:
    """A text of another library with the names of files alone: where they lie on this machine is nobody's business.

    Layers have names like /stem/conv too: what is no folder at the top of this machine stays.
    """
    for folder in {tempfile.gettempdir(), sys.prefix, str(Path.home()), str(Path.cwd())} - {"/"}:
        text = re.sub(re.escape(folder) + _BELOW, "", text)  # these may have spaces in them
    return _FOLDERS.sub(lambda found: "" if Path(found[1]).is_dir() else found[0], text)
