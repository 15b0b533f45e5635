"""Is this bundle slower, larger or worse than it was? Each file against its namesake, where both ran under the same conditions.

Medians and 90th percentiles are divided by the yardstick beside them, where both sides have one: that a shared machine is
slower today says nothing of a file. What is never held against each other: other machines, other versions of a runtime, other
modes of measuring, emulated times and measured ones, noisy rows. That is said row by row, as a comparison that was not made is
no good news.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from edgetl.evidence.ratios import Ratio, Spread, moderated, ratio
from edgetl.history.changes import QUANTITIES, Answers, Change, Quantity, Verdict, accuracy, placement
from edgetl.history.choosing import Baseline
from edgetl.history.pace import Paces
from edgetl.history.reading import Reading, mean, reading
from edgetl.history.record import CIRCUMSTANCES, Record

__all__ = ["Comparison", "RowComparison", "compare"]

ERROR_RATE = 0.05
"""Of all times and sizes of a comparison: how often one in which nothing changed may call any worse or better."""


@dataclass(frozen=True)
class RowComparison:
    """An artefact on a target under one set of circumstances.

    reason: why no time could be compared; "" where it was. What noise does not touch, memory and where operators run, is
    compared in noisy rows too. differs: where none was measured alike, in which circumstances the nearest one
    differed, then and now; empty where only the machine did. before, now: quiet measurements on either side; measured: all of
    now. same_file: whether both are of the same bytes. repeats: repeated measurements that the spread of the median rests on;
    0: it is assumed. machine: how many times as long as before the machine took for its yardstick, by which times were
    divided; None without one. strange: the machine of now has a yardstick, and those of before have none like it: no time is
    slower for certain.
    """

    artifact: str
    target: str
    threads: int
    batch: int
    accelerator: str
    mode: str
    reason: str
    differs: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    before: int = 0
    now: int = 0
    measured: int = 0
    same_file: bool = False
    repeats: int = 0
    machine: float | None = None
    strange: bool = False
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """A bundle's measurements against earlier ones. unseen: which rows were measured before and are not now, in words."""

    baseline: str
    rows: tuple[RowComparison, ...]
    accuracy: tuple[Answers, ...]
    unseen: tuple[str, ...] = ()

    @property
    def regressions(self) -> list[str]:
        """What got worse, a few words each."""
        timed = [
            f"{row.artifact} x{row.threads} on {row.target}: {change.title}"
            for row in self.rows
            for change in row.changes
            if change.verdict == "worse"
        ]
        answered = [
            f"{each.artifact} on {each.target}: {change.title}"
            for each in self.accuracy
            for change in each.changes
            if change.verdict == "worse"
        ]
        return timed + answered

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {**asdict(self), "regressions": self.regressions}


def compare(now: Sequence[Record], baseline: Baseline, history: Sequence[Record]) -> Comparison:
    """Hold measurements against earlier ones.

    Args:
        now: of one bundle, at least one.
        history: everything that is known, for how much repeated measurements of one file differ.
    """
    now, measured = _once(now), {record.measurement for record in now}
    before = _once([record for record in baseline.records if record.measurement not in measured])
    groups: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for record in now:
        groups[(record.artifact, *record.place)].append(record)
    alike: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for record in (*history, *now):
        alike[record.place].append(record)
    paces = Paces([*history, *before, *now])
    rows = [_row(group, before, alike[group[-1].place], paces) for group in groups.values()]
    return Comparison(baseline.about, tuple(_judged(rows)), accuracy(now, before), _unseen(now, before))


def _unseen(now: Sequence[Record], before: Sequence[Record]) -> tuple[str, ...]:
    """What was measured before on a target that is measured now, and is not, in words."""

    def which(record: Record) -> tuple[Any, ...]:
        return (record.artifact, *(record.row[name] for name in ("target", "threads", "batch")))

    targets, seen = {each.row["target"] for each in now}, {which(each) for each in now}
    gone = {which(each): None for each in before if each.row["target"] in targets and which(each) not in seen}
    return tuple(
        f"{artifact} x{threads} on {target}" + (f" batch {batch}" if batch != 1 else "")
        for artifact, target, threads, batch in gone
    )


def _once(records: Sequence[Record]) -> list[Record]:
    """What a build measured is kept again where its bundle is another one: the last of these."""
    return list({(each.measurement, each.artifact, each.place): each for each in records}.values())


def _row(now: Sequence[Record], before: Sequence[Record], alike: Sequence[Record], paces: Paces) -> RowComparison:
    """Changes whose verdicts `_judged` gives. alike: all that is known of any file under the same circumstances."""
    one = now[-1]
    shown = {name: one.row[name] for name in ("target", "threads", "batch", "accelerator", "mode")}
    same = [each for each in before if (each.artifact, each.place) == (one.artifact, one.place)]
    if not same:
        reason, differs = _unlike(one, before)
        return RowComparison(one.artifact, **shown, reason=reason, differs=differs)
    quiet = ([each for each in same if not each.noisy], [each for each in now if not each.noisy])
    read = reading(*quiet, paces)
    changes, repeats = [], 0
    for quantity in QUANTITIES:
        sides = quiet if quantity.timed else (same, now)
        measured = [read.measured(side, quantity) for side in sides]
        if not all(measured):
            continue
        spread = _spread(quantity, sides[1], sides[0], alike, read)
        repeats = spread.repeats if quantity.name == "p50_ms" else repeats
        means = [mean([each.number(quantity.name) for each in side]) for side in sides]
        found = ratio(measured[0], measured[1], spread, read.unsure(*quiet, quantity))
        changes.append(Change(quantity.name, quantity.title, means[0], means[1], "no difference", found))
    return RowComparison(
        one.artifact,
        **shown,
        reason=_noise(quiet, one),
        before=len(quiet[0]),
        now=len(quiet[1]),
        measured=len(now),
        same_file=same[-1].content == one.content,
        repeats=repeats,
        machine=read.machine(*quiet),
        strange=read.kind is None and any(paces.of(each) for each in quiet[1]),
        changes=(*changes, *placement(same[-1], one)),
    )


def _noise(quiet: Sequence[Sequence[Record]], one: Record) -> str:
    """Which side has noisy rows alone, then and now; "" where neither has."""
    if not quiet[1]:
        return "noisy now" + (f": {one.row['noise']}" if one.row.get("noise") else "")
    return "" if quiet[0] else "noisy then"


def _unlike(one: Record, before: Sequence[Record]) -> tuple[str, dict[str, tuple[Any, Any]]]:
    """Why none of the earlier measurements will do, after the one that comes nearest: in words, and what differs."""
    namesakes = [each for each in before if (each.artifact, each.row["target"]) == (one.artifact, one.row["target"])]
    if not namesakes:
        return "was not measured on this target before", {}

    def differences(other: Record) -> tuple[list[str], dict[str, tuple[Any, Any]]]:
        sides = {name: (other.row[name], one.row[name]) for name in CIRCUMSTANCES if other.row[name] != one.row[name]}
        words = [f"{name} {then} then, {now} now" for name, (then, now) in sides.items()]
        if other.place[len(CIRCUMSTANCES) :] != one.place[len(CIRCUMSTANCES) :]:
            machines = [f"{each.machine.processor}, {each.machine.cores} cores" for each in (other, one)]
            what = f"{machines[0]} then, {machines[1]} now" if machines[0] != machines[1] else machines[0]
            words.insert(0, f"another machine ({what})")
        return words, sides

    found = [differences(each) for each in reversed(namesakes)]
    words, sides = min(found, key=lambda each: len(each[0]))
    return "; ".join(words), sides


def _spread(
    quantity: Quantity, now: Sequence[Record], before: Sequence[Record], alike: Sequence[Record], read: Reading
) -> Spread:
    """How much repeated measurements differ under these circumstances: of these two files, else of others beside them.

    Each side stands for itself, also where both are one file: whether they differ from each other is the question.
    """
    contents = {now[-1].content, before[-1].content}
    sides = {record.measurement: name for name, side in (("now", now), ("before", before)) for record in side}

    def grouped(records: Iterable[Record]) -> list[list[float]]:
        groups: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
        for each in records:
            value = read.value(each, quantity)
            if value and not (quantity.timed and each.noisy):
                groups[each.content, sides.get(each.measurement, "")][each.measurement] = value
        return [list(group.values()) for group in groups.values()]

    assumed = quantity.assumed.get(now[-1].row["mode"], max(quantity.assumed.values()))
    own = moderated(grouped(each for each in alike if each.content in contents), assumed)
    if own.repeats:
        return own
    # Files that were measured in one run share its luck: they count as one.
    everything = grouped(alike)
    freedom = max((len(group) - 1 for group in everything), default=0)
    return moderated(everything, assumed, freedom)


def _judged(rows: Sequence[RowComparison]) -> Iterator[RowComparison]:
    """Verdicts that hold together: of many comparisons some look like a change by chance (Bonferroni's bound, weighted)."""
    quantities = {quantity.name: quantity for quantity in QUANTITIES}
    counts = Counter(change.quantity for row in rows for change in row.changes)
    for row in rows:
        changes = []
        for change in row.changes:
            if change.ratio is not None:
                quantity = quantities[change.quantity]
                level = ERROR_RATE * quantity.weight / counts[change.quantity]
                enough = (row.now if quantity.timed else row.measured) >= quantity.fewest
                enough = enough and not (quantity.paced and row.strange)
                change = replace(change, verdict=_verdict(change.ratio, quantity, level if enough else 0.0))
            changes.append(change)
        yield replace(row, changes=tuple(changes))


def _verdict(found: Ratio, quantity: Quantity, level: float) -> Verdict:
    """Of one ratio, for certain where chance alone is rarer than `level`."""
    certain = found.chance < level
    if found.low > 1 and found.value >= quantity.relevant:
        return "worse" if certain else "perhaps worse"
    if found.high < 1 and found.value <= 1 / quantity.relevant:
        return "better" if certain else "perhaps better"
    return "no difference"
