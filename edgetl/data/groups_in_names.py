"""Groups out of names: which images show one patient, where files are called after them.

A recipe says so (`data.group`); what names look like is proposed, and never assumed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgetl.data.layout import GroupPattern
from edgetl.data.readers.hints import data_field
from edgetl.data.records import Record
from edgetl.errors import DataError
from edgetl.errors.wording import quoted

__all__ = ["Proposal", "grouped", "propose"]

_LIKELY = (
    GroupPattern("name", r"(?i)((?:patient|person|subject|case|lesion|pat|sub|pid)[_-]?\d+)(?!\d)"),
    GroupPattern("path", r"(?i)((?:patient|person|subject|case|lesion|pat|sub|pid)[_-]?\d+)[^/]*/"),
    GroupPattern("name", r"(?i)^(.+?)[ _-]*(?:left|right|od|os|[_-][lr])(?![a-z])"),
    GroupPattern("name", r"^([A-Za-z]*[_-]?\d+)[_-]"),
)
"""What names with a patient look like: the word and a number, in the name or a folder's; an eye; a number before another."""
_SAMPLE = 2_000
_LEAST_SHARE, _LEAST_SIZE = 0.5, 1.05
"""Share of the names that a pattern has to be in, and images of a group on average, below which it says nothing."""
_SHOWN = 3
_LARGEST = 0.2
"""Share of the images that one group may have: what most names begin with is no patient."""


@dataclass(frozen=True)
class Proposal:
    """A pattern that names look like.

    images: whose names it is in. groups: different ones. torn: groups in several prescribed splits.
    example: a group and its first images.
    """

    rule: GroupPattern
    images: int
    groups: int
    torn: int
    example: tuple[str, tuple[str, ...]]

    @property
    def hint(self) -> str:
        """What to write to have it, in a recipe and beside --data."""
        return data_field("group", f"{{from: {self.rule.source}, pattern: {quoted(self.rule.pattern, None)}}}")

    def to_json(self) -> dict[str, Any]:
        """The field `data.group` that it proposes, and what it would do."""
        return {
            "group": {"from": self.rule.source, "pattern": self.rule.pattern},
            "images": self.images,
            "groups": self.groups,
            "torn": self.torn,
        }


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
        group = _group(record, rule, expression)
        named.append(replace(record, group=group or record.image))
        if group is None:
            lone.append(record.image)
    if len(lone) == len(records):
        raise DataError(
            f"data.group: {rule.pattern!r} is found in the {rule.source} of none of {len(records)} images, such as {lone[0]}",
            place=place,
            hint="a regular expression of what the names begin with, such as ^(person\\d+)_",
        )
    if not lone:
        return named, ()
    return named, (
        f"{rule.pattern!r} is not in the {rule.source} of {len(lone)} images, such as {lone[0]}: each is a group of its own",
    )


def propose(records: Sequence[Record]) -> Proposal | None:
    """The pattern by which the names seem to say which images show one patient; None where the source knows its groups.

    It has to be in at least half of the names, bring some together, and put no fifth of all images into one group.
    """
    if any(record.group is not None for record in records):
        return None
    for rule in _LIKELY:
        expression = re.compile(rule.pattern)
        sample = records[:: max(1, len(records) // _SAMPLE)]
        if sum(_group(record, rule, expression) is not None for record in sample) < _LEAST_SHARE * len(sample):
            continue
        members: defaultdict[str, list[Record]] = defaultdict(list)
        for record in records:
            if (group := _group(record, rule, expression)) is not None:
                members[group].append(record)
        images = sum(map(len, members.values()))
        largest = max(map(len, members.values()))
        if images < _LEAST_SIZE * len(members) or largest > max(_LARGEST * len(records), 2):
            continue
        torn = sum(len({record.split for record in group if record.split}) > 1 for group in members.values())
        name = min(members, key=lambda name: (len(members[name]) < 2, name))
        shown = tuple(record.image for record in members[name][:_SHOWN])
        return Proposal(rule, images, len(members), torn, (name, shown))
    return None


def _group(record: Record, rule: GroupPattern, expression: re.Pattern[str]) -> str | None:
    """What the pattern finds of a record's group; None where it finds nothing."""
    match = expression.search(record.image if rule.source == "path" else record.image.rpartition("/")[2])
    if match is None:
        return None
    return "/".join(part for part in (match.groups() if expression.groups else (match[0],)) if part) or None
