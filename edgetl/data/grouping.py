"""Groups out of names: which images show one patient, where files are called after them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from edgetl.data.layout import GroupPattern
from edgetl.data.records import Record
from edgetl.errors import DataError

__all__ = ["grouped"]


def grouped(records: Sequence[Record], rule: GroupPattern | None, place: str) -> tuple[list[Record], tuple[str, ...]]:
    """The records with the groups that their names say, and a caution about names that say none.

    Args:
        rule: None leaves the groups as they are.
        place: named in errors.

    Raises:
        DataError: the pattern is found in no name.
    """
    if rule is None:
        return list(records), ()
    expression = re.compile(rule.pattern)
    named, lone = [], []
    for record in records:
        text = record.image if rule.source == "path" else record.image.rpartition("/")[2]
        match = expression.search(text)
        if match is None:
            lone.append(record.image)
            named.append(replace(record, group=record.image))
        else:
            found = [part for part in match.groups() if part] if expression.groups else [match[0]]
            named.append(replace(record, group="/".join(found) or record.image))
    if len(lone) == len(records):
        raise DataError(
            f"data.group: {rule.pattern!r} is found in the {rule.source} of none of {len(records)} images, such as {lone[0]}",
            place=place,
            hint="a regular expression of what the names begin with, such as ^(person\\d+)_",
        )
    if not lone:
        return named, ()
    return named, (
        f"{len(lone)} images are a group each, as {rule.pattern!r} is not in their {rule.source}: {lone[0]}",
    )
