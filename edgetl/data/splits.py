"""Train, validation and test, so that no group is in two of them and every class is in all three.

Groups are dealt class by class, the rarest class first; a group with several labels is dealt with its rarest.
Within a class they go in an order drawn by seed, larger ones first, each to the split that is furthest behind its share
of groups and images so far. That keeps the shares right in both, which a shuffle does not: the lesions that were
photographed often are often the malignant ones. A group's draw depends on the seed and its own name only, so the
records' order is irrelevant.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from edgetl.data.records import SPLITS, Record, Split, group_of
from edgetl.errors import DataError
from edgetl.errors.wording import quoted

__all__ = ["split"]

_ANEW = "data: {split: {prescribed: ignore}}"
"""What deals images anew, in a recipe."""


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    labels: Counter[str]
    size: int


def split(records: Sequence[Record], val: float, test: float, seed: int) -> list[Split]:
    """The split of each record, in the records' order.

    A split that the source prescribes is kept. Where it prescribes only some, the missing ones are cut from its
    training images (`val` and `test` are then shares of those), to which records without a prescription belong.

    Raises:
        DataError: a group in two prescribed splits, or a class with too few groups to be in every split.
    """
    groups = _groups(records)
    dealt = _prescribed(records)
    prescribed = set(dealt.values())
    shares = {name: share for name, share in (("val", val), ("test", test)) if name not in prescribed}
    if shares:
        pool = [group for group in groups if dealt.get(group.name, "train") == "train"]
        dealt.update(_deal(pool, {"train": 1.0 - sum(shares.values()), **shares}, seed))
    for group in groups:
        dealt.setdefault(group.name, "train")
    _require_every_class(groups, dealt, prescribed)
    return [dealt[group_of(record)] for record in records]


def _groups(records: Iterable[Record]) -> list[_Group]:
    shared: dict[tuple[str, ...], Counter[str]] = {}  # most groups are alike: a counter for each would be large
    groups = []
    for name, members in groupby(sorted(records, key=group_of), key=group_of):
        labels = tuple(sorted(record.label for record in members))
        groups.append(_Group(name, shared.setdefault(labels, Counter(labels)), len(labels)))
    return groups


def _prescribed(records: Iterable[Record]) -> dict[str, Split]:
    """Group -> its prescribed split."""
    splits: dict[str, Split] = {}
    members: defaultdict[str, list[str]] = defaultdict(list)
    torn: set[str] = set()
    for record in records:
        if record.split is None:
            continue
        name = group_of(record)
        members[name].append(f"{record.image} ({record.split})")
        if splits.setdefault(name, record.split) != record.split:
            torn.add(name)
    if torn:
        first = "; ".join(f"{name}: {', '.join(sorted(members[name])[:4])}" for name in sorted(torn)[:5])
        raise DataError(
            f"{len(torn)} groups are in two prescribed splits: {first}{'; ...' if len(torn) > 5 else ''}",
            hint=f"move each group to one side, or drop the prescribed splits: {_ANEW}; tests on training data measure nothing",
        )
    return splits


def _deal(groups: Sequence[_Group], shares: Mapping[str, float], seed: int) -> dict[str, Split]:
    """Deal `groups` to the splits in `shares`, which sum to 1."""
    spread = Counter(label for group in groups for label in group.labels)
    rarity = sorted(spread, key=lambda label: (spread[label], label))
    strata: defaultdict[str, list[_Group]] = defaultdict(list)
    for group in groups:
        strata[next(label for label in rarity if label in group.labels)].append(group)
    dealt: dict[str, Split] = {}
    covered: defaultdict[str, set[str]] = defaultdict(set)
    for label in rarity:
        ordered = sorted(strata[label], key=lambda group: (-group.size.bit_length(), _draw(seed, group.name)))
        quotas = _quotas(len(ordered), shares, covered[label])
        for group, name in zip(ordered, _sequence(ordered, quotas, shares), strict=True):
            dealt[group.name] = name
            for other in group.labels:
                covered[other].add(name)
    _repair(groups, dealt, [name for name in SPLITS if name in shares], seed)
    return dealt


def _draw(seed: int, name: str) -> bytes:
    """A number for the group that looks random, the same on every machine and whatever other groups there are."""
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()


def _quotas(count: int, shares: Mapping[str, float], covered: set[str]) -> dict[Split, int]:
    """How many of `count` groups each split gets: its share, and at least one where the class has none yet."""
    quotas: dict[Split, int] = {}
    left = count
    for name in SPLITS[1:]:
        if name in shares:
            least = 0 if name in covered else 1
            quotas[name] = min(left, max(least, round(shares[name] * count)))
            left -= quotas[name]
    return {"train": left, **quotas}


def _sequence(groups: Sequence[_Group], quotas: Mapping[Split, int], shares: Mapping[str, float]) -> list[Split]:
    """The split of each group in turn: whichever with quota left is furthest behind in groups and images together."""
    images = sum(group.size for group in groups)
    left = dict(quotas)
    behind = dict.fromkeys(quotas, 0.0)
    sequence: list[Split] = []
    for group in groups:
        for name in behind:
            behind[name] += shares[name] * (1 / len(groups) + group.size / images)
        chosen = max((name for name in left if left[name]), key=lambda name: behind[name])
        behind[chosen] -= 1 / len(groups) + group.size / images
        left[chosen] -= 1
        sequence.append(chosen)
    return sequence


def _repair(groups: Sequence[_Group], dealt: dict[str, Split], splits: Sequence[Split], seed: int) -> None:
    """Move single groups until each class is in each split, as far as that leaves no other class without.

    Needed where a class sits only in groups that were dealt with rarer classes, and for classes of very few groups.
    """
    presence = Counter((label, dealt[group.name]) for group in groups for label in group.labels)
    labels = sorted({label for group in groups for label in group.labels})
    if all(presence[label, name] for label in labels for name in splits):
        return
    movable = sorted(groups, key=lambda group: (group.size, _draw(seed, group.name)))
    for label in labels:
        for name in splits:
            if presence[label, name]:
                continue
            for group in movable:
                source = dealt[group.name]
                if label in group.labels and all(presence[other, source] > 1 for other in group.labels):
                    dealt[group.name] = name
                    presence.subtract((other, source) for other in group.labels)
                    presence.update((other, name) for other in group.labels)
                    break


def _require_every_class(groups: Sequence[_Group], dealt: Mapping[str, Split], prescribed: set[Split]) -> None:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for group in groups:
        for label in group.labels:
            counts[label][dealt[group.name]] += 1
    lacking = {
        label: missing for label in sorted(counts) if (missing := [name for name in SPLITS if not counts[label][name]])
    }
    if not lacking:
        return
    absent = [
        f"{label} has {counts[label].total()} groups ({', '.join(f'{name} {counts[label][name]}' for name in SPLITS)}), "
        f"none in {' and '.join(missing)}"
        for label, missing in lacking.items()
    ]
    hints = []
    if prescribed and all(counts[label].total() >= len(SPLITS) for label in lacking):
        hints.append(f"to deal the images anew: {_ANEW}")
    if prescribed and len(counts) - len(lacking) >= 2:
        out = ", ".join(f"{quoted(label, None)}: null" for label in lacking)
        hints.append(f"to leave the classes out: data: {{labels: {{{out}}}}}")
    hint = "; ".join(hints) or "add images, merge the class or leave it out"
    raise DataError(
        f"got classes that are not in every split: {'; '.join(absent)}; expected each class in each split", hint=hint
    )
