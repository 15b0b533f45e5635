"""What can change between two measurements of a file: times and sizes, where its operators run, how well it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edgetl.evidence.ratios import Ratio, difference
from edgetl.history.record import Record
from edgetl.results.latency import partitions

__all__ = ["QUANTITIES", "Answers", "Change", "Quantity", "Verdict", "accuracy", "placement"]

Verdict = Literal["worse", "better", "perhaps worse", "perhaps better", "no difference"]
"""perhaps: the interval leaves 1 out, but one of so many comparisons does so by chance."""

DELEGATED_DROP = 0.01
"""From this share of a file's operators on, what an accelerator or delegate no longer takes is a regression."""


@dataclass(frozen=True)
class Quantity:
    """A number of a latency row of which less is better.

    timed: whether noise is in it, so that noisy rows say nothing of it. paced: whether it goes with how quick the machine is,
    so that it is divided by the yardstick where there is one. share: the quantile of the rounds that shows its inner spread;
    None where rounds say nothing about it.
    assumed: by mode, the standard deviation of its logarithm between measurements of one file, until repeated ones tell.
    weight: its part of the error rate of a comparison; that of the median is the largest, as it is what one asks first.
    relevant: a smaller ratio is no difference, however sure it is. fewest: measurements now before it is more than perhaps; a
    model is loaded once in each, and whatever comes between then is in that number.
    """

    name: str
    title: str
    timed: bool
    paced: bool
    share: float | None
    assumed: Mapping[str, float]
    weight: float
    relevant: float
    fewest: int = 1


QUANTITIES = (
    Quantity("p50_ms", "median", True, True, 0.5, {"full": 0.02, "quick": 0.04}, 0.7, 1.02),
    Quantity("p90_ms", "90th percentile", True, True, 0.9, {"full": 0.04, "quick": 0.08}, 0.1, 1.05),
    Quantity("load_ms", "load", True, True, None, {"full": 0.15, "quick": 0.15}, 0.1, 1.2, fewest=3),
    Quantity("peak_rss_mb", "peak memory", False, False, None, {"full": 0.02, "quick": 0.02}, 0.1, 1.05),
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
class Answers:
    """How well an artefact answered before and now, on one target and what computes there."""

    artifact: str
    target: str
    accelerator: str
    changes: tuple[Change, ...]


def placement(before: Record, now: Record) -> list[Change]:
    """What runs on the accelerator or in the delegate: counts and shares that no chance is in."""
    changes = []
    then, here = before.number("delegated"), now.number("delegated")
    if then is not None and here is not None:
        verdict: Verdict = (
            "worse" if then - here >= DELEGATED_DROP else "better" if here - then >= DELEGATED_DROP else "no difference"
        )
        changes.append(Change("delegated", "share of operators on the accelerator", then, here, verdict))
    pieces = [partitions(str(each.row.get("placement", ""))) for each in (before, now)]
    if any(pieces):  # reference kernels alone are no partition, and the worst
        counts = [each or 0 for each in pieces]
        order = [each or 10**6 for each in counts]
        verdict = "worse" if order[1] > order[0] else "better" if order[1] < order[0] else "no difference"
        changes.append(Change("partitions", "partitions of the delegate", counts[0], counts[1], verdict))
    return changes


def accuracy(now: Sequence[Record], before: Sequence[Record]) -> tuple[Answers, ...]:
    """Of each artefact and target where the same images were shown both times; not paired, as single answers are not kept."""
    latest = {_asked(each): each for each in before if each.metrics}
    found: dict[tuple[str, str, str], Answers] = {}
    for record in {_asked(each): each for each in now}.values():  # the last of those that asked the same
        earlier = latest.get(_asked(record))
        artifact, _, target, accelerator = _asked(record)
        where = (artifact, target, accelerator)
        if earlier is None or not record.metrics or where in found:
            continue
        changes = []
        for name in ("balanced_accuracy", "auroc"):
            if name not in record.metrics or name not in earlier.metrics:
                continue
            sides = [(each.value, each.low, each.high) for each in (earlier.metrics[name], record.metrics[name])]
            _, low, high = difference(*sides)
            verdict: Verdict = "worse" if high < 0 else "better" if low > 0 else "no difference"
            title = name.replace("_", " ")
            changes.append(Change(name, title, sides[0][0], sides[1][0], verdict, interval=(low, high)))
        found[where] = Answers(*where, tuple(changes))
    return tuple(found.values())


def _asked(record: Record) -> tuple[str, str, str, str]:
    """What must be equal before two accuracies are held against each other."""
    return record.artifact, record.data, record.row["target"], record.row["accelerator"]
