"""What a measurement says of a quantity: in its own unit, or in yardsticks where both sides of a comparison have one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import geometric_mean

import numpy as np

from edgetl.evidence.ratios import Measured, block_spread
from edgetl.history.changes import Quantity
from edgetl.history.pace import Paces
from edgetl.history.record import Record

__all__ = ["Reading", "mean", "reading"]

FOLLOWS = 0.3
"""Standard deviation of the exponent with which a network follows the yardstick, about 1: .6 to 1.1 were seen, over an hour in
which the one took 1.3 times as long and networks 1.17 to 1.2 times, and over minutes."""


@dataclass(frozen=True)
class Reading:
    """How the records of one comparison are read. kind: of the yardstick that times are divided by; None for none."""

    paces: Paces
    kind: str | None

    def value(self, record: Record, quantity: Quantity) -> float | None:
        """None where it was not measured, or not beside that yardstick. Divided round by round, as the spread is taken."""
        number = record.number(quantity.name)
        if not number or not quantity.paced or self.kind is None:
            return number or None
        pace = self.paces.of(record)
        if pace is None or pace.kind != self.kind:
            return None
        rounds, paced = record.rounds, self._rounds(record)
        if quantity.share is None or not rounds or not paced:
            return number / pace.ms
        return number * float(np.quantile(paced, quantity.share) / np.quantile(rounds, quantity.share))

    def measured(self, records: Sequence[Record], quantity: Quantity) -> list[Measured]:
        """Of those that have it, with what their own rounds say of its spread."""
        found = []
        for each in records:
            if value := self.value(each, quantity):
                rounds = self._rounds(each) if quantity.paced else each.rounds
                found.append(Measured(value, block_spread(rounds, quantity.share) if quantity.share else 0.0))
        return found

    def machine(self, before: Sequence[Record], now: Sequence[Record]) -> float | None:
        """How many times as long the machine took for the yardstick; None without one."""
        if self.kind is None:
            return None

        def took(side: Sequence[Record]) -> float:
            paces = (self.paces.of(each) for each in side)
            return mean([pace.ms for pace in paces if pace and pace.kind == self.kind])

        return took(now) / took(before)

    def unsure(self, before: Sequence[Record], now: Sequence[Record], quantity: Quantity) -> float:
        """Standard deviation of a ratio's logarithm that dividing by the yardstick leaves, the more the machine differed."""
        machine = self.machine(before, now) if quantity.paced else None
        return 0.0 if machine is None else FOLLOWS * abs(math.log(machine))

    def _rounds(self, record: Record) -> list[float]:
        pace = self.paces.of(record)
        if self.kind is None or pace is None:
            return list(record.rounds)
        both = zip(record.row.get("round_ms") or (), pace.rounds, strict=False)
        return [time / unit for time, unit in both if time > 0]


def reading(before: Sequence[Record], now: Sequence[Record], paces: Paces) -> Reading:
    """By the yardstick that the newest measurement on one side shares with any on the other."""
    there = {pace.kind for each in before if (pace := paces.of(each))}
    kinds = [pace.kind for each in reversed(now) if (pace := paces.of(each)) and pace.kind in there]
    return Reading(paces, kinds[0] if kinds else None)


def mean(values: Sequence[float | None]) -> float:
    """Geometric, of those that are there and above 0."""
    return geometric_mean([value for value in values if value])
