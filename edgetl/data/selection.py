"""What a recipe changes about a data set before anything is computed: images left out, labels renamed or merged."""

from __future__ import annotations

import difflib
import fnmatch
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgetl.data.records import DataWarning, Record
from edgetl.errors import DataError

__all__ = ["nearest", "read_patterns", "select"]

_WILD = frozenset("*?[")
_SHOWN = 5


def read_patterns(path: Path) -> tuple[str, ...]:
    """The patterns in a text file: one a line, without empty lines and those that begin with #.

    Raises:
        DataError: it cannot be read, or is no UTF-8 text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as exc:
        raise DataError("got bytes that are not UTF-8 text, expected a pattern a line", place=str(path)) from exc
    except OSError as exc:
        raise DataError(f"cannot be read: {exc.strerror}", place=str(path)) from exc
    return tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))


def select(
    records: Sequence[Record], labels: Mapping[str, str | None], patterns: Sequence[str], root: Path
) -> list[Record]:
    """The records that no pattern matches, under their new labels.

    Args:
        labels: source's label -> class; None leaves the label's images out, labels that are not named stay.
        patterns: each is an image's path below the root, a folder with a slash at its end, or has wildcards as a shell
            knows them (`*` also goes over slashes). One that matches nothing is warned of: it may be misspelt.
        root: named in errors.

    Raises:
        DataError: `labels` names one that the source lacks, or fewer than two classes are left.
    """
    found = sorted({record.label for record in records})
    unknown = [label for label in labels if label not in found]
    if unknown:
        raise DataError(
            f"data.labels: {', '.join(map(repr, unknown))}: no image has such a label{nearest(unknown[0], found)}",
            place=str(root),
        )
    out = _matched([record.image for record in records], patterns)
    kept = [
        record if new == record.label else replace(record, label=new)
        for record in records
        if record.image not in out and (new := labels.get(record.label, record.label)) is not None
    ]
    classes = sorted({record.label for record in kept})
    if len(classes) < 2:
        left = f"one class ({classes[0]})" if classes else f"none of {len(records)} images"
        raise DataError(
            f"{left} left after labels were renamed and images left out, expected at least two classes", place=str(root)
        )
    return kept


def _matched(images: Sequence[str], patterns: Sequence[str]) -> set[str]:
    known = set(images) if patterns else set()
    matched: set[str] = set()
    idle: list[str] = []
    for pattern in patterns:
        wanted = pattern.removeprefix("./").lstrip("/")
        found = {wanted} & known  # as it is written first: brackets are common in file names
        if wanted.endswith("/"):
            found = {image for image in images if image.startswith(wanted)}
        elif not found and _WILD & set(wanted):
            found = set(fnmatch.filter(images, wanted))
        matched |= found
        if not found:
            idle.append(pattern)
    if idle:
        shown = ", ".join(idle[:_SHOWN]) + (f" and {len(idle) - _SHOWN} more" if len(idle) > _SHOWN else "")
        warnings.warn(f"data.exclude: nothing matches {shown}", DataWarning, stacklevel=3)
    return matched


def nearest(word: str, names: Sequence[str]) -> str:
    """The end of a message: the name that is nearest to a word, or all names."""
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known here: {', '.join(names)}" if names else ""
