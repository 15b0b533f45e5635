"""Which columns of a table hold what: named by the recipe, called as usual, or known by what is in them."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from edgetl.data.readers import labels
from edgetl.data.readers.hints import as_yaml, data_field
from edgetl.data.readers.paths import plain, stem_of
from edgetl.data.readers.tables import Columned
from edgetl.data.records import split_named
from edgetl.errors import DataError, UsageError
from edgetl.errors.wording import alike, did_you_mean, quoted

__all__ = ["USUAL", "NoColumn", "NoLabelColumn", "Roles", "find", "plain_name"]

USUAL: Mapping[str, tuple[str, ...]] = {
    "path": (
        *(
            "path",
            "image",
            "images",
            "file",
            "filename",
            "file_name",
            "filepath",
            "file_path",
            "image_path",
            "img_path",
        ),
        *("image_file", "image_filename", "image_name", "img_name", "img", "picture", "image_id", "img_id", "id_code"),
        *("image_index", "image_file_path", "isic_id", "dicom_path"),
    ),
    "label": (
        *("label", "labels", "class", "class_name", "dx", "diagnosis", "diagnostic", "target", "category", "level"),
        *("grade", "dr_grade", "retinopathy_grade", "adjudicated_dr_grade"),
        *("finding", "findings", "finding_label", "finding_labels"),
        *("pathology", "benign_malignant", "ground_truth"),
    ),
    "group": (
        *("patient", "patient_id", "patientid", "subject", "subject_id", "subjectid", "group", "group_id"),
        *("case", "case_id", "study", "study_id", "studyinstanceuid", "lesion", "lesion_id"),
    ),
    "mask": ("mask", "mask_path", "mask_file", "segmentation", "segmentation_path"),
    "split": ("split", "set", "subset", "partition", "fold"),
}
"""Names that columns usually have, in lower case with underscores; of groups the largest first."""

_SAMPLE = 500
"""Rows by which a column without a usual name is known."""
_MOST = 0.9
"""Share of them that has to be a picture's name in the column of paths."""
_MOST_CLASSES = 50
_SHOWN = 5


class NoColumn(DataError):
    """A table has no column of a role that it needs, or not the one that is named."""


class NoLabelColumn(NoColumn):
    """Of a table that has a column of pictures."""


@dataclass(frozen=True)
class Roles:
    """Lower-case columns by what they hold.

    label: one column, or one a class.
    cautions: what was taken for what although nothing named it.
    """

    path: str
    label: tuple[str, ...]
    group: str | None = None
    mask: str | None = None
    split: str | None = None
    cautions: tuple[str, ...] = ()

    @property
    def taken(self) -> set[str]:
        """All columns that hold something."""
        return {*self.label, *(name for name in (self.path, self.group, self.mask, self.split) if name)}


def find(table: Columned, columns: Mapping[str, str | Sequence[str]], is_picture: Callable[[str], bool]) -> Roles:
    """The roles of a table's columns.

    Args:
        columns: role -> column, or columns for the label, as the recipe names them.
        is_picture: whether a cell names a picture that is there.

    Raises:
        UsageError: a role that no column has.
        DataError: a column that is not there or has two roles, several that may have one, or none for path or label.
    """
    if not any(plain_name(name) in USUAL["path"] for name in table.spelt):
        table.require_a_header(is_picture)
    search = _Search(table, columns)
    path = search.path(is_picture)
    group, mask, split = search.group(), search.usual("mask"), search.split()
    return Roles(path, search.label(), group, mask, split, tuple(search.cautions))


class _Search:
    """What is known of a table's columns so far."""

    def __init__(self, table: Columned, columns: Mapping[str, str | Sequence[str]]) -> None:
        self._table = table
        self._there = f"the columns are {', '.join(' '.join(name.split()) for name in table.spelt if name) or 'none'}"
        self._named = {role: self._known(role, names) for role, names in columns.items() if names}
        self.cautions: list[str] = []
        self._taken = [name for names in self._named.values() for name in names]
        twice = next((name for name in self._taken if self._taken.count(name) > 1), None)
        if twice is not None:
            raise self._error(
                f"data.columns: got {self._spelt(twice)!r} for two of {', '.join(columns)}; {self._there}"
            )

    def usual(self, role: str) -> str | None:
        """The column that the recipe names, or the only one that is called as usual. Raises DataError for several."""
        if role in self._named:
            return self._named[role][0]
        fitting = self._fitting(role)
        if len(fitting) > 1:
            raise self._several(role, fitting)
        return self._take(fitting[0]) if fitting else None

    def path(self, is_picture: Callable[[str], bool]) -> str:
        """The column that says where the picture is."""
        fitting = self._fitting("path")
        if "path" in self._named or len(fitting) == 1:
            return self.usual("path") or ""
        rows = [row for _, row in islice(self._table.rows(), _SAMPLE)]
        free = fitting or [name for name in self._table.names if name and name not in self._taken]
        counts = Counter(name for row in rows for name in free if row[name] and is_picture(row[name]))
        holding = [name for name in free if counts[name] >= max(1, _MOST * len(rows))]
        holding = [name for name in holding if fitting or not _may_be_an_age([row[name] for row in rows])]
        if len(holding) > 1 and all(len({stem_of(plain(row[name])) for name in holding}) == 1 for row in rows):
            said = ", ".join(map(self._spelt, holding))
            holding = [max(holding, key=lambda name: sum(plain(row[name]).count("/") for row in rows))]
            self.cautions.append(
                f"columns {said} name the same pictures: {self._spelt(holding[0])} is taken for the path"
            )
        elif len(holding) == 1:
            self.cautions.append(
                f"column {self._spelt(holding[0])} holds names of pictures that are there: taken for the path"
            )
        elif fitting and not holding:
            said = ", ".join(map(self._spelt, fitting))
            raise NoColumn(
                f"{said} may each be the path, and none of them holds pictures that are there; {self._there}",
                place=self._table.place,
                hint=_naming("path", self._spelt(fitting[0])),
            )
        else:
            raise self._several("path", holding) if holding else self._none("path")
        return self._take(holding[0])

    def group(self) -> str | None:
        """The column of what belongs together; of patient and lesion the patient, who has several lesions."""
        fitting = sorted(self._fitting("group"), key=lambda name: USUAL["group"].index(plain_name(name)))
        if "group" in self._named or len(fitting) < 2:
            return self.usual("group")
        names = ", ".join(map(self._spelt, fitting))
        chosen = self._spelt(fitting[0])
        self.cautions.append(f"{names} may each be the group; {chosen} is taken, which keeps the most together")
        return self._take(fitting[0])

    def split(self) -> str | None:
        """The column of prescribed splits; of several that are called so, the one that holds some."""
        fitting = self._fitting("split")
        if "split" not in self._named and len(fitting) > 1:
            holding = [name for name in fitting if any(split_named(row[name]) for _, row in self._table.rows())]
            if len(holding) < 2:
                return self._take(holding[0]) if holding else None
        return self.usual("split")

    def label(self) -> tuple[str, ...]:
        """The column of the class, or the columns of the classes."""
        if "label" in self._named:
            return self._named["label"]
        if (usual := self.usual("label")) is not None:
            return (usual,)
        flags = self._flags()
        if not flags:
            raise self._none("label")
        self._taken += flags
        self.cautions.append(
            f"each row has just one of the columns {', '.join(map(self._spelt, flags))} set: taken for the classes"
        )
        return flags

    def _flags(self) -> tuple[str, ...]:
        """Columns of which each row has just one set. Raises DataError where some row has several set, or none."""
        free = [name for name in self._table.names if name and name not in self._taken]
        single = several = rows = 0
        for _, row in self._table.rows():
            free = [name for name in free if labels.is_flag(row[name])]
            if len(free) < 2:
                return ()
        for _, row in self._table.rows():
            marks = _marks(row, free)
            rows += 1
            single += marks == 1
            several += marks > 1
        if single == rows:
            return tuple(free)
        if several:
            spelt = ", ".join(map(self._spelt, free))
            raise labels.SeveralLabels(
                f"no column is the label; {several} of {rows} rows have 1 in several of the columns {spelt}: these are "
                "several labels per image, and edgetl learns one label per image",
                place=self._table.place,
                hint=f"to ask for one of them: {_naming('label', self._spelt(free[0]))}",
            )
        if single >= _MOST * rows:
            written = quoted([self._spelt(name) for name in free], None)
            raise labels.NoLabel(
                f"no column is the label; {rows - single} of {rows} rows have 1 in none of the columns "
                f"{', '.join(map(self._spelt, free))}",
                place=self._table.place,
                hint=f"if they are the classes: {data_field('columns.label', written)}",
            )
        return ()

    def _fitting(self, role: str) -> list[str]:
        return [name for name in self._table.names if plain_name(name) in USUAL[role] and name not in self._taken]

    def _take(self, name: str) -> str:
        self._taken.append(name)
        return name

    def _known(self, role: str, names: str | Sequence[str]) -> tuple[str, ...]:
        """The columns that the recipe names, in lower case."""
        if role not in USUAL:
            raise UsageError(
                f"columns: got {role!r}, expected one of {', '.join(USUAL)}", hint=_naming("label", "COLUMN")
            )
        wanted = [names] if isinstance(names, str) else names
        for column in wanted:
            if column.strip().lower() not in self._table.names:
                raise NoColumn(
                    f"data.columns.{role}: got {column!r}, which is no column; {self._there}",
                    place=self._table.place,
                    hint=did_you_mean(column, self._table.spelt),
                )
        return tuple(column.strip().lower() for column in wanted)

    def _several(self, role: str, fitting: Sequence[str]) -> DataError:
        spelt = list(map(self._spelt, fitting))
        said = ", ".join(spelt)
        if role == "label":
            said = "; ".join(f"{name} ({self._values(name)})" for name in spelt)
        return self._error(f"{said} may each be the {role}; {self._there}", _naming(role, spelt[0]))

    def _none(self, role: str) -> DataError:
        spelt = self._table.spelt
        near = [name for name in spelt if alike(plain_name(name), USUAL[role], least=0.7)]
        message = f"no column is the {role}; {self._there}"
        if role == "label":
            few = [
                name
                for name in spelt
                if name.lower() not in self._taken and 1 < len(self._counts(name)) <= _MOST_CLASSES
            ]
            near = near or few
            message += "".join(f"\n  {name}: {self._values(name)}" for name in few[:_SHOWN])
        kind = NoLabelColumn if role == "label" else NoColumn
        return kind(message, place=self._table.place, hint=_naming(role, near[0] if near else "COLUMN"))

    def _values(self, name: str) -> str:
        counts = self._counts(name)
        shown = ", ".join(f"{quoted(value, 30)} {count}" for value, count in counts.most_common(_SHOWN))
        return f"{shown}, ..." if len(counts) > _SHOWN else shown

    def _counts(self, name: str) -> Counter[str]:
        """How often which value is in a column; of one with many different ones the first."""
        counts: Counter[str] = Counter()
        for _, row in self._table.rows():
            counts[row[name.lower()]] += 1
            if len(counts) > _MOST_CLASSES:
                break
        return counts

    def _spelt(self, name: str) -> str:
        return self._table.spelt[self._table.names.index(name)]

    def _error(self, message: str, hint: str | None = None) -> DataError:
        return DataError(message, place=self._table.place, hint=hint)


def _may_be_an_age(cells: Sequence[str]) -> bool:
    """Whether cells are small numbers some of which repeat: a picture may be called so by chance."""
    return all(re.fullmatch(r"\d{0,3}", cell) for cell in cells) and len(set(cells)) < len(cells)


def _marks(row: Mapping[str, str], columns: Sequence[str]) -> int:
    """In how many of the columns a row says yes or maybe."""
    label = labels.marked(row, columns, {name: str(at) for at, name in enumerate(columns)})
    return label.count(labels.BAR) + 1 if label else 0


def _naming(role: str, column: str) -> str:
    written = as_yaml(column)
    pair = f"{role}={column}" if column == written else f'{role}="{column.replace(chr(34), chr(34) * 2)}"'
    return (
        f"name it in the recipe: data: {{columns: {{{role}: {written}}}}}; beside --data: --columns {shlex.quote(pair)}"
    )


def plain_name(name: str) -> str:
    """A column's name as `USUAL` spells it: in lower case, with underscores for spaces and dashes."""
    return re.sub(r"[\s\-]+", "_", name.strip().lower())
