"""Which files are pictures, and which look like pictures or hold some and are not read, by their endings."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["SUFFIXES", "TABLES", "TEXT", "WORKBOOKS", "ending", "is_table", "is_unread", "unread_kind", "unread_named"]

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
_DOUBLE = (".nii.gz", ".tar.gz")
TABLES, TEXT, WORKBOOKS = (".csv", ".tsv", ".tab"), (".txt", ".lst"), (".xlsx", ".xls", ".ods")
"""Endings of tables, of text that may be one, and of what a spreadsheet program exports as one."""
_LABELS = frozenset({*TABLES, *TEXT, *WORKBOOKS, ".json"})
_PROSE = re.compile(
    r"(read.?me|licen[cs]e|notice|copying|change.?log|requirements|citation|description)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class _Kind:
    """Files that are not read. `advice` is what to do with them, for a set that has nothing else."""

    name: str
    endings: frozenset[str]
    advice: str


_SLICES = "export their slices as PNG"
_PICTURES = "save them as PNG or JPEG"
_NUMBERED = ".0"
"""Stands for every ending that is a number: the last one of a DICOM file's UID."""
_KINDS = (
    _Kind("NIfTI volumes", frozenset({".nii", ".nii.gz"}), _SLICES),
    _Kind("volumes", frozenset({".mha", ".mhd", ".nrrd", ".h5", ".mat"}), _SLICES),
    _Kind("arrays", frozenset({".npy"}), "save each as PNG"),
    _Kind("DICOM files", frozenset({".dcm", ".dicom"}), "export them as PNG"),
    _Kind("files without an ending of their own, as DICOM files are", frozenset({"", _NUMBERED}), "export them as PNG"),
    _Kind("videos", frozenset({".mp4", ".avi", ".mov", ".mkv", ".wmv", ".webm", ".m4v"}), "export their frames as PNG"),
    _Kind("archives", frozenset({".zip", ".tar", ".tar.gz", ".gz", ".tgz", ".7z", ".rar"}), "extract them"),
    _Kind("whole slides", frozenset({".svs", ".ndpi", ".mrxs", ".scn"}), "export regions of them as PNG"),
    _Kind("raw photographs", frozenset({".raw", ".cr2", ".nef"}), _PICTURES),
    _Kind("pictures", frozenset({".avif", ".heic", ".heif", ".j2k", ".jp2", ".jpx", ".jxl"}), _PICTURES),
    _Kind("documents", frozenset({".pdf", ".psd"}), "export their pictures as PNG"),
)
_BY_ENDING = {end: kind for kind in _KINDS for end in kind.endings}


def ending(name: str) -> str:
    """The ending of a file's name in lower case, with both of `.nii.gz`; empty where it has none."""
    lower = name.lower()
    if lower.endswith(_DOUBLE):
        return lower[-7:]
    end = os.path.splitext(lower)[1]  # noqa: PTH122 - a Path for each file takes longer than all else that is done with it
    return "" if end == "." else end


def is_unread(end: str) -> bool:
    """Whether files of this ending look like pictures, or hold some, and are not read."""
    return _kind(end) is not None


def unread_kind(end: str) -> str | None:
    """What files of this ending are, where they are not read: "DICOM files (.dcm)". A number is an id's end, and no ending."""
    kind = _BY_ENDING.get(end) if end else None
    return f"{kind.name} ({end})" if kind else None


def is_table(name: str) -> bool:
    """Whether a file may hold labels, by its name: what everybody puts beside data to be read by people does not."""
    return ending(name) in _LABELS and _PROSE.match(name) is None


def unread_named(names: Iterable[str]) -> tuple[str, str]:
    """What these files are, and what to do with them: "3 NIfTI volumes (.nii.gz)", "export their slices as PNG"."""
    ends = Counter(ending(name) for name in names)
    parts, advice = [], []
    for kind in _KINDS:
        own = {end: count for end, count in ends.items() if _kind(end) is kind}
        if own:
            shown = ", ".join(sorted(own)[:3]).strip(", ")
            parts.append(f"{sum(own.values())} {kind.name}{f' ({shown})' if shown else ''}")
            advice.append(kind.advice)
    return ", ".join(parts), "; ".join(dict.fromkeys(advice))


def _kind(end: str) -> _Kind | None:
    return _BY_ENDING.get(_NUMBERED if end[1:].isdecimal() else end)
