"""Try on the network itself what its bonds say, and leave whole what does not work.

What a network's own code asks of its sizes (a view with a number in it, a slice up to one) is seen only when it runs.
Each group loses its first channels, all groups at once; if the network then fails, halves are tried until the groups
that it fails with are known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from edgetl.models.channels.cut import holds
from edgetl.models.channels.groups import Channels, Group, Whole
from edgetl.models.channels.plan import Plan

__all__ = ["Trials"]

_MOST_TRIALS = 80  # of .1 to .5 s each
_MOST_PLANS = 4

_Kept = Callable[[Sequence[Group]], NDArray[np.bool_]]


@dataclass
class Trials:
    """Which groups of a network can be pruned; found out by trying.

    progress: called with the number of trials done and the most there can be.
    """

    network: nn.Module
    image: Tensor
    channels: Channels
    round_to: int
    progress: Callable[[int, int], None] | None = None
    groups: list[Group] = field(default_factory=list)
    whole: list[Whole] = field(default_factory=list)
    _done: int = 0
    _number: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Try a slice of every group."""
        self._number = {id(group): number for number, group in enumerate(self.channels.groups)}
        self.whole.extend(self.channels.whole)
        self._sort(list(self.channels.groups), self._slice)

    @property
    def lost(self) -> int:
        """How much of the network turned out not to work, of what its bonds allowed: positions of channels."""
        sound = {id(group) for group in self.groups}
        lost = (group for group in self.channels.groups if id(group) not in sound)
        return sum(len(group.classes) * sum(group.touches.values()) for group in lost)

    def plan(self, target: int, tolerance: int) -> Plan:
        """A plan that the network works with, for at most `target` MACs if there is one.

        Slices that overshoot the target by more than `tolerance` are passed over as long as smaller ones get there.
        """
        for _ in range(_MOST_PLANS):
            plan = self._planned(target, tolerance)
            if self._fails(plan.kept) is None:
                return plan
            self._sort(list(self.groups), partial(_as_in, plan.kept))
        return Plan(self.channels, (), self.round_to)

    def _planned(self, target: int, tolerance: int) -> Plan:
        plan = Plan(self.channels, self.groups, self.round_to)
        if plan.remove(target, target - tolerance):
            plan.remove(target, 0)
        return plan

    def _sort(self, groups: list[Group], kept: _Kept) -> None:
        """Part those that the network works without from those that it needs whole."""
        sound, needed = self._halve(groups, kept)
        if needed and self._fails(kept(sound)) is not None:  # each alone, but not together
            together: list[Group] = []
            for group in sound:
                why = self._fails(kept([*together, group]))
                if why is None:
                    together.append(group)
                else:
                    needed[group.name, int(group.classes[0])] = Whole(group.name, len(group.classes), why)
            sound = together
        self.groups = sound
        self.whole.extend(needed.values())

    def _halve(self, groups: list[Group], kept: _Kept) -> tuple[list[Group], dict[tuple[str, int], Whole]]:
        why = self._fails(kept(groups)) if groups else None
        if why is None:
            return groups, {}
        if len(groups) == 1:
            group = groups[0]
            return [], {(group.name, int(group.classes[0])): Whole(group.name, len(group.classes), why)}
        middle = len(groups) // 2
        sound, needed = self._halve(groups[:middle], kept)
        others, more = self._halve(groups[middle:], kept)
        return sound + others, {**needed, **more}

    def _fails(self, kept: NDArray[np.bool_]) -> str | None:
        if self._done >= _MOST_TRIALS:
            return "not tried: too much of this network fails"
        self._done += 1
        if self.progress is not None:
            self.progress(self._done, _MOST_TRIALS)
        return holds(self.network, self.image, self.channels, kept)

    def _slice(self, groups: Sequence[Group]) -> NDArray[np.bool_]:
        """One to three units of each, so that what has the same length only by chance has not after it."""
        kept = np.ones(len(self.channels.free), dtype=np.bool_)
        for group in groups:
            unit = group.unit(self.round_to)
            room = min((len(self.channels.places[place]) - 2) // each for place, each in group.touches.items())
            units = min(1 + self._number[id(group)] % 3, room // unit)
            kept[group.classes[: units * unit]] = False
        return kept


def _as_in(planned: NDArray[np.bool_], groups: Sequence[Group]) -> NDArray[np.bool_]:
    kept = np.ones_like(planned)
    for group in groups:
        kept[group.classes] = planned[group.classes]
    return kept
