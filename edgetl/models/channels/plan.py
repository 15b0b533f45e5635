"""Which classes go for a share of the MACs: the least important first, in slices.

Important is what has a large L2 norm of all weights of its class, relative to the mean of its group (DepGraph,
https://arxiv.org/abs/2301.12900); groups of the same structure are ranked against each other over the whole network
(isomorphic pruning, https://arxiv.org/abs/2407.04616). Both as torch-pruning 1.6.1 has them. A plan touches no network.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from edgetl.models.channels.bonds import Atoms
from edgetl.models.channels.groups import Channels, Group, Place

__all__ = ["Plan"]

_STEPS = 100
_MOST_OF_A_LAYER = 0.9  # no layer loses more, or the network would be cut in two


class Plan:
    """What is kept of a network, and what that costs.

    kept: [classes] whether a class stays.
    """

    def __init__(self, channels: Channels, groups: Sequence[Group], round_to: int) -> None:
        self.kept: NDArray[np.bool_] = np.ones(len(channels.free), dtype=np.bool_)
        self._channels, self._groups, self._round_to = channels, groups, round_to
        self._sizes = {place: len(numbers) for place, numbers in channels.places.items()}
        self._energy: dict[Place, tuple[tuple[int, ...], NDArray[np.float64]]] = {}
        self.macs = sum(self._macs_of(name) for name in channels.uses)

    def remove(self, target: int, floor: int) -> bool:
        """Remove slices until at most `target` MACs are left, passing over what would leave fewer than `floor`.

        Returns:
            Whether the target was missed because something was passed over.
        """
        if self.macs <= target:
            return False
        passed_over = False
        for group, part in self._slices():
            saved = self._saved(group, len(part))
            if self.macs - saved < floor:
                passed_over = True
                continue
            self._remove(group, part, saved)
            if self.macs <= target:
                return False
        return passed_over

    def _remove(self, group: Group, part: Atoms, saved: int) -> None:
        self.kept[part] = False
        for place, count in group.touches.items():
            self._sizes[place] -= count * len(part)
        self.macs -= saved

    def _macs_of(self, name: str, gone: dict[Place, int] | None = None) -> int:
        shape = self._channels.shapes[name]
        gone = gone or {}
        sizes = (self._sizes.get((name, dim), size) - gone.get((name, dim), 0) for dim, size in enumerate(shape))
        return self._channels.uses[name] * math.prod(sizes)

    def _saved(self, group: Group, count: int) -> int:
        gone = {place: each * count for place, each in group.touches.items()}
        names = {place[0] for place in gone if place[0] in self._channels.uses}
        return sum(self._macs_of(name) - self._macs_of(name, gone) for name in names)

    def _slices(self) -> Iterator[tuple[Group, Atoms]]:
        """Parts of groups, the least important first. A slice that is not taken may come again."""
        initial_sizes = dict(self._sizes)
        initial: dict[str, int] = {}
        for step in range(1, _STEPS + 1):
            scores = self._scores()
            scopes: dict[str, list[tuple[Group, Atoms, NDArray[np.float64]]]] = {}
            for group in reversed(self._groups):  # what is deep goes first where only one of two may
                if self._may_shrink(group, initial_sizes):
                    left = group.classes[self.kept[group.classes]]
                    relative = scores[left] / max(float(scores[left].mean()), np.finfo(np.float64).tiny)
                    scopes.setdefault(group.scope, []).append((group, left, relative))
            for scope, records in scopes.items():
                ranked = np.sort(np.concatenate([relative for _, _, relative in records]))
                whole = initial.setdefault(scope, len(ranked))
                wanted = len(ranked) - int(whole * (1 - _MOST_OF_A_LAYER * step / _STEPS))
                if wanted > 0:
                    for group, left, relative in records:
                        for part in self._parts(group, left, relative, ranked[wanted - 1]):
                            yield group, part

    def _parts(self, group: Group, left: Atoms, relative: NDArray[np.float64], most: float) -> list[Atoms]:
        unit = group.unit(self._round_to)
        rest = len(left) - int((relative <= most).sum())
        count = len(left) - (rest - rest % unit)
        if count == 0 or any(self._sizes[place] - each * count < 2 for place, each in group.touches.items()):
            return []
        chosen = np.sort(left[np.argsort(relative, kind="stable")[:count]])
        parts = []
        while len(chosen):
            size = len(chosen) % unit or unit
            parts.append(chosen[-size:])
            chosen = chosen[:-size]
        return parts

    def _may_shrink(self, group: Group, initial: dict[Place, int]) -> bool:
        sizes = ((self._sizes[place], initial[place]) for place in group.touches)
        return bool(self.kept[group.classes].any()) and all(
            size > 1 and size >= whole * (1 - _MOST_OF_A_LAYER) for size, whole in sizes
        )

    def _scores(self) -> NDArray[np.float64]:
        """[classes] the squared weights of each class, over what is kept."""
        scores = np.zeros(len(self.kept))
        for name, squares in self._channels.energy.items():
            for dim in range(min(squares.ndim, 2)):
                numbers = self._channels.places.get((name, dim))
                if numbers is not None:
                    scores += np.bincount(numbers, self._of_place(name, dim, squares), len(scores))
        return scores

    def _of_place(self, name: str, dim: int, squares: NDArray[np.float64]) -> NDArray[np.float64]:
        if squares.ndim == 1:
            return squares
        size = (self._sizes.get((name, 1 - dim), 1),)
        known = self._energy.get((name, dim))
        if known is None or known[0] != size:
            other = self._channels.places.get((name, 1 - dim))
            kept = np.ones(squares.shape[1 - dim]) if other is None else self.kept[other].astype(np.float64)
            known = (size, squares @ kept if dim == 0 else kept @ squares)
            self._energy[name, dim] = known
        return known[1]
