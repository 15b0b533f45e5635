"""Is this bundle slower, larger or worse than it was? Each file against its namesake, where both ran under the same conditions.

What is never held against each other: other machines, other versions of a runtime, other modes of measuring, emulated times
and measured ones, noisy rows. That is said row by row, as a comparison that was not made is no good news.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from edgetl.evidence.ratios import Measured, Ratio, Spread, block_spread, difference, moderated, ratio
from edgetl.history.choosing import Baseline
from edgetl.history.record import CIRCUMSTANCES, Record

__all__ = ["QUANTITIES", "Change", "Comparison", "Quantity", "RowComparison", "Verdict", "compare"]

Verdict = Literal["worse", "better", "perhaps worse", "perhaps better", "no difference"]
"""perhaps: the interval leaves 1 out, but one of so many comparisons does so by chance."""

ERROR_RATE = 0.05
"""Of a whole comparison: how often one in which nothing changed may call anything worse or better."""
DELEGATED_DROP = 0.01
"""From this share of a file's operators on, what an accelerator or delegate no longer takes is a regression."""


@dataclass(frozen=True)
class Quantity:
    """A number of a latency row of which less is better.

    share: the quantile of the rounds that shows its inner spread; None where rounds say nothing about it.
    assumed: by mode, the standard deviation of its logarithm between measurements of one file, until repeated ones tell.
    relevant: a smaller ratio is no difference, however sure it is.
    """

    name: str
    title: str
    share: float | None
    assumed: Mapping[str, float]
    relevant: float


QUANTITIES = (
    Quantity("p50_ms", "median", 0.5, {"full": 0.02, "quick": 0.04}, 1.02),
    Quantity("p90_ms", "90th percentile", 0.9, {"full": 0.04, "quick": 0.08}, 1.05),
    Quantity("load_ms", "load", None, {"full": 0.15, "quick": 0.15}, 1.2),
    Quantity("peak_rss_mb", "peak memory", None, {"full": 0.02, "quick": 0.02}, 1.05),
)


@dataclass(frozen=True)
class Change:
    """A number before and now.

    before, now: geometric mean over the measurements of either side, or the value itself of a share or a count.
    ratio: of times and sizes. interval: of the difference now minus before of an accuracy. Both None where the number is
    not random.
    """

    quantity: str
    title: str
    before: float
    now: float
    verdict: Verdict
    ratio: Ratio | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class RowComparison:
    """An artefact on a target under one set of circumstances.

    reason: why nothing could be compared; "" where it was. before, now: measurements on either side. same_file: whether
    both are of the same bytes. repeats: repeated measurements that the spread of the median rests on; 0: it is assumed.
    """

    artifact: str
    target: str
    threads: int
    batch: int
    accelerator: str
    mode: str
    reason: str
    before: int = 0
    now: int = 0
    same_file: bool = False
    repeats: int = 0
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """A bundle's measurements against earlier ones. unseen: artefacts that were measured before and are not now."""

    baseline: str
    rows: tuple[RowComparison, ...]
    accuracy: Mapping[str, tuple[Change, ...]]
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
            f"{name}: {change.title}"
            for name, changes in self.accuracy.items()
            for change in changes
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
    runs = {record.run for record in now}
    before = [record for record in baseline.records if record.run not in runs]
    groups: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for record in now:
        groups[(record.artifact, *record.place)].append(record)
    rows = [_row(group, before, [*history, *now]) for group in groups.values()]
    targets, names = {record.row["target"] for record in now}, {record.artifact for record in now}
    missing = {each.artifact: None for each in before if each.row["target"] in targets and each.artifact not in names}
    return Comparison(baseline.about, tuple(_judged(rows)), _accuracy(now, before), tuple(missing))


def _row(now: Sequence[Record], before: Sequence[Record], history: Sequence[Record]) -> RowComparison:
    """Changes with the verdicts of single comparisons; `_judged` takes all of them together."""
    one = now[-1]
    shown = {name: one.row[name] for name in ("target", "threads", "batch", "accelerator", "mode")}
    same = [each for each in before if (each.artifact, each.place) == (one.artifact, one.place)]
    quiet_now, quiet_before = ([each for each in some if not each.noisy] for some in (now, same))
    if not (quiet_now and quiet_before):
        reason = _unlike(one, before) if not same else f"noisy {'now' if not quiet_now else 'then'}"
        if same and not quiet_now and one.row.get("noise"):
            reason += f": {one.row['noise']}"
        return RowComparison(one.artifact, **shown, reason=reason)
    changes, repeats = [], 0
    for quantity in QUANTITIES:
        sides = [_measured(side, quantity) for side in (quiet_before, quiet_now)]
        if not all(sides):
            continue
        spread = _spread(quantity, quiet_now, quiet_before, history)
        repeats = spread.repeats if quantity.name == "p50_ms" else repeats
        found = ratio(sides[0], sides[1], spread)
        means = [ratio([Measured(1.0)], side, spread).value for side in sides]
        changes.append(Change(quantity.name, quantity.title, means[0], means[1], "no difference", found))
    return RowComparison(
        one.artifact,
        **shown,
        reason="",
        before=len(quiet_before),
        now=len(quiet_now),
        same_file=quiet_before[-1].content == one.content,
        repeats=repeats,
        changes=(*changes, *_placement(quiet_before[-1], one)),
    )


def _unlike(one: Record, before: Sequence[Record]) -> str:
    """Why none of the earlier measurements will do, after the one that comes nearest."""
    namesakes = [each for each in before if (each.artifact, each.row["target"]) == (one.artifact, one.row["target"])]
    if not namesakes:
        return "was not measured on this target before"

    def differences(other: Record) -> list[str]:
        found = [
            f"{name} {other.row[name]} then, {one.row[name]} now"
            for name in CIRCUMSTANCES
            if other.row[name] != one.row[name]
        ]
        if other.place[len(CIRCUMSTANCES) :] != one.place[len(CIRCUMSTANCES) :]:
            machines = [f"{each.machine.processor}, {each.machine.cores} cores" for each in (other, one)]
            what = f"{machines[0]} then, {machines[1]} now" if machines[0] != machines[1] else machines[0]
            found.insert(0, f"another machine ({what})")
        return found

    found: list[list[str]] = sorted([differences(each) for each in reversed(namesakes)], key=len)
    return "; ".join(found[0])


def _measured(records: Sequence[Record], quantity: Quantity) -> list[Measured]:
    values = [(each, each.number(quantity.name)) for each in records]
    return [
        Measured(value, block_spread(each.rounds, quantity.share) if quantity.share else 0.0)
        for each, value in values
        if value
    ]


def _spread(quantity: Quantity, now: Sequence[Record], before: Sequence[Record], history: Sequence[Record]) -> Spread:
    """How much repeated measurements differ under these circumstances: of these two files, else of others beside them.

    Each side stands for itself, also where both are one file: whether they differ from each other is the question.
    """
    place, contents = now[-1].place, {now[-1].content, before[-1].content}
    sides = {record.run: name for name, side in (("now", now), ("before", before)) for record in side}
    groups: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for each in history:
        value = each.number(quantity.name)
        if each.place == place and not each.noisy and value:
            groups[each.content, sides.get(each.run, "")][each.run] = value
    assumed = quantity.assumed.get(now[-1].row["mode"], max(quantity.assumed.values()))
    own = moderated([list(group.values()) for (content, _), group in groups.items() if content in contents], assumed)
    if own.repeats:
        return own
    # Files that were measured in one run share its luck: they count as one.
    freedom = max((len(group) - 1 for group in groups.values()), default=0)
    return moderated([list(group.values()) for group in groups.values()], assumed, freedom)


def _judged(rows: Sequence[RowComparison]) -> Iterator[RowComparison]:
    """Verdicts that hold together: of many comparisons some look like a change by chance (Bonferroni's bound)."""
    many = sum(change.ratio is not None for row in rows for change in row.changes)
    relevant = {quantity.name: quantity.relevant for quantity in QUANTITIES}
    for row in rows:
        changes = []
        for change in row.changes:
            found = change.ratio
            if found is None:
                changes.append(change)
                continue
            verdict: Verdict = "no difference"
            least = relevant[change.quantity]
            if found.low > 1 and found.value >= least:
                verdict = "worse" if found.chance * many < ERROR_RATE else "perhaps worse"
            elif found.high < 1 and found.value <= 1 / least:
                verdict = "better" if found.chance * many < ERROR_RATE else "perhaps better"
            changes.append(replace(change, verdict=verdict))
        yield replace(row, changes=tuple(changes))


def _placement(before: Record, now: Record) -> list[Change]:
    """What runs on the accelerator or in the delegate: counts and shares that no chance is in."""
    changes = []
    then, here = before.number("delegated"), now.number("delegated")
    if then is not None and here is not None:
        verdict: Verdict = (
            "worse" if then - here >= DELEGATED_DROP else "better" if here - then >= DELEGATED_DROP else "no difference"
        )
        changes.append(Change("delegated", "share of operators on the accelerator", then, here, verdict))
    pieces = [re.search(r"(\d+) partition", str(each.row.get("placement", ""))) for each in (before, now)]
    if any(pieces):  # reference kernels alone are no partition, and the worst
        counts = [int(each[1]) if each else 0 for each in pieces]
        order = [each or 10**6 for each in counts]
        verdict = "worse" if order[1] > order[0] else "better" if order[1] < order[0] else "no difference"
        changes.append(Change("partitions", "partitions of the delegate", counts[0], counts[1], verdict))
    return changes


def _accuracy(now: Sequence[Record], before: Sequence[Record]) -> dict[str, tuple[Change, ...]]:
    """Of each artefact that was evaluated on the same images both times; not paired, as single answers are not kept."""
    latest = {(each.artifact, each.data): each for each in before if each.metrics}
    found: dict[str, tuple[Change, ...]] = {}
    for record in now:
        earlier = latest.get((record.artifact, record.data))
        if earlier is None or not record.metrics or record.artifact in found:
            continue
        changes = []
        for name in ("balanced_accuracy", "auroc"):
            if name not in record.metrics or name not in earlier.metrics:
                continue
            sides = [(each.value, each.low, each.high) for each in (earlier.metrics[name], record.metrics[name])]
            _, low, high = difference(*sides)
            if record.content == earlier.content:  # one file, the same images
                low = high = 0.0
            verdict: Verdict = "worse" if high < 0 else "better" if low > 0 else "no difference"
            title = name.replace("_", " ")
            changes.append(Change(name, title, sides[0][0], sides[1][0], verdict, interval=(low, high)))
        found[record.artifact] = tuple(changes)
    return found
