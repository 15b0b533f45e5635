"""What a recipe changes about a data set before anything is computed: images left out, labels renamed or merged."""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path

from edgetl.data.records import Reading, Record
from edgetl.errors import DataError
from edgetl.errors.wording import alike, nearest, some

__all__ = ["meanings", "read_patterns", "select"]

_WILD = frozenset("*?[")
_SHOWN = 5
_FEW = 10_000
"""Paths among which the nearest one to a misspelt one is looked for: among more it takes seconds."""
_CONTROLS = frozenset({"Cc", "Zl", "Zp"})
"""Unicode's kinds of line ends and of what moves a cursor."""


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


def meanings(labels: Mapping[str, str | None], records: Sequence[Record], place: Path | str) -> dict[str, str | None]:
    """The recipe's labels without patterns: `*Effusion*` stands for every label that holds it and is not named itself.

    The first pattern that fits a label counts; none stands for an empty one. Raises DataError for a pattern that fits none.
    """
    patterns = {
        name: re.compile(".*".join(map(re.escape, name.split("*"))), re.DOTALL) for name in labels if "*" in name
    }
    known = sorted({record.label for record in records} - {""})
    patterns = {name: pattern for name, pattern in patterns.items() if name not in known}
    exact = {name: new for name, new in labels.items() if name not in patterns}
    found: dict[str, str | None] = {}
    idle = set(patterns)
    for label in known:
        fitting = [name for name, pattern in patterns.items() if pattern.fullmatch(label)]
        idle.difference_update(fitting)
        if fitting and label not in exact:
            found[label] = labels[fitting[0]]
    if idle:
        name = min(idle)
        raise DataError(f"data.labels: {name!r}: no image has such a label{nearest(name, known)}", place=str(place))
    return exact | found


def select(
    records: Sequence[Record],
    labels: Mapping[str, str | None],
    patterns: Sequence[str],
    place: Path | str,
    fewest: int = 2,
) -> Reading:
    """The records that no pattern matches, under their new labels, in the same order.

    Args:
        labels: source's label -> class; None leaves the label's images out, labels that are not named stay.
        patterns: each is an image's path below the root, a folder's, or has wildcards as a shell knows them (`*` also
            goes over slashes). One that matches nothing is a caution: it may be misspelt.
        place: named in errors.
        fewest: classes that must be left.

    Raises:
        DataError: `labels` names one that the source lacks, too few classes are left, or one has a name that is no line
            of text.
    """
    known = sorted({record.label for record in records})
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise DataError(
            f"data.labels: {', '.join(map(repr, unknown))}: no image has such a label{nearest(unknown[0], known)}",
            place=str(place),
        )
    images = [record.image for record in records]
    matches = _matches(images, patterns)
    out = set().union(*matches.values())
    kept = [
        record if new == record.label else replace(record, label=new)
        for record in records
        if record.image not in out and (new := labels.get(record.label, record.label)) is not None
    ]
    classes = sorted({record.label for record in kept})
    if len(classes) < fewest:
        left = f"one class ({classes[0]})" if classes else f"none of {len(records)} images"
        raise DataError(
            f"{left} left after labels were renamed and images left out, expected at least "
            f"{('one class', 'two classes')[fewest - 1]}",
            place=str(place),
        )
    _require_lines(classes, place)
    return Reading(kept, _idle([pattern for pattern in patterns if not matches[pattern]], images))


def _require_lines(classes: Sequence[str], place: Path | str) -> None:
    """A device reads class names a line each out of labels.txt."""
    for name in classes:
        if any(unicodedata.category(letter) in _CONTROLS for letter in name):
            raise DataError(
                f"got the class {name!r}, expected a name without line ends, tabs and other control characters",
                place=str(place),
                hint="rename it at its source, or in the recipe under data.labels",
            )


def _matches(images: Sequence[str], patterns: Sequence[str]) -> dict[str, set[str]]:
    """The images that each pattern names."""
    known = set(images) if patterns else set()
    return {pattern: _meant(pattern, images, known) for pattern in patterns}


def _idle(patterns: Sequence[str], images: Sequence[str]) -> list[str]:
    """The caution about patterns that match nothing."""
    if not patterns:
        return []
    # Looking for what may be meant takes a while, so it is done for those that are shown.
    shown = some([*(f"{name}{_instead(name, images)}" for name in patterns[:_SHOWN]), *patterns[_SHOWN:]], _SHOWN)
    return [f"data.exclude: nothing matches {', '.join(shown)}"]


def _meant(pattern: str, images: Sequence[str], known: Set[str]) -> set[str]:
    """The images that a pattern names: one as it is written (brackets are common in file names), a folder's, or many."""
    wanted = _plain(pattern)
    if exact := {pattern, wanted} & known:
        return exact
    folder = wanted.rstrip("/")
    meant = {image for image in images if image.startswith(f"{folder}/")}
    if not meant and _WILD & set(wanted):
        meant = {*fnmatch.filter(images, wanted), *fnmatch.filter(images, f"{folder}/*")}
    return meant


def _plain(pattern: str) -> str:
    """As paths of images are written: with slashes, from the root on."""
    return pattern.replace("\\", "/").removeprefix("./").lstrip("/")


def _instead(pattern: str, images: Sequence[str]) -> str:
    """What may be meant by a path that is not there: one of the same name elsewhere, or one that looks alike."""
    if _WILD & set(pattern):
        return ""
    wanted = _plain(pattern).rstrip("/")
    folders = sorted({image.rpartition("/")[0] for image in images} - {""})
    paths = [*images, *folders]
    name = wanted.rpartition("/")[2].lower()
    same = [path for path in paths if path.lower().rpartition("/")[2] == name][:_FEW]
    likely = paths if len(paths) <= _FEW else folders
    near = alike(wanted, same or likely, least=0.0 if same else 0.6)
    return f" (did you mean {near[0]}?)" if near else ""
