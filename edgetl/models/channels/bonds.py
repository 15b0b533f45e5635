"""What a traced network says about its channels: which must go together, and which must stay.

Every position along a dimension of a parameter is an atom, a number above 0. Tensors that are computed from parameters
carry, for each dimension, the atoms their positions come from: removing an atom removes these positions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["BY_DESIGN", "IMAGE", "NO_ATOM", "OUTPUTS", "WIDTH_OF_GROUPS", "Atoms", "Bonds", "Broken", "Held"]

Atoms = NDArray[np.int64]
"""[n] the atom of each position along one dimension."""

NO_ATOM = 0
"""A position that must stay because nothing is known of it."""

IMAGE = "the image's channels"
OUTPUTS = "the network's outputs"
WIDTH_OF_GROUPS = "the width of a group, where whole groups go"
BY_DESIGN = frozenset((IMAGE, OUTPUTS, WIDTH_OF_GROUPS))
"""Reasons to stay that nobody needs to be told."""


class Broken(Exception):
    """Channels are gone, but not all that depend on each other; never leaves `edgetl.models.channels`."""


class Bonds:
    """Collects bonds between atoms while a network is traced.

    where: what is traced now; the reason that is given for what must stay.
    """

    def __init__(self) -> None:
        self.where = ""
        self._next = NO_ATOM + 1
        self._joined: list[tuple[Atoms, Atoms]] = []
        self._pinned: list[tuple[Atoms, str]] = []

    def fresh(self, count: int) -> Atoms:
        """New atoms for the positions of a dimension."""
        self._next += count
        return np.arange(self._next - count, self._next)

    def join(self, one: Atoms | None, other: Atoms | None) -> None:
        """Position i of one goes whenever position i of the other does; what meets a dimension without atoms stays."""
        if one is None or other is None or one is other:
            if one is not other:
                self.pin(other if one is None else one)
            return
        if len(one) != len(other):
            raise Broken(f"{self.where}: {len(one)} channels meet {len(other)}")
        unknown = (one == NO_ATOM) | (other == NO_ATOM)
        if unknown.any():
            self.pin(one[unknown])
            self.pin(other[unknown])
            one, other = one[~unknown], other[~unknown]
        self._join(one, other)

    def pin(self, atoms: Atoms | None, why: str = "") -> None:
        """These must stay; why: other words than where."""
        if atoms is not None:
            atoms = atoms[atoms != NO_ATOM]
            if len(atoms):
                self._pin(atoms, why or self.where)

    def _join(self, one: Atoms, other: Atoms) -> None:
        self._joined.append((one, other))

    def _pin(self, atoms: Atoms, why: str) -> None:
        self._pinned.append((atoms, why))

    def classes(self) -> Atoms:
        """[atoms + 1] the class of each atom: those that go together have the same. Classes count from 0 in the order of
        their first atom."""
        one = np.concatenate([np.zeros(0, np.int64), *(pair[0] for pair in self._joined)])
        other = np.concatenate([np.zeros(0, np.int64), *(pair[1] for pair in self._joined)])
        first = np.arange(self._next)  # of each atom, the lowest one that it is known to go with
        while (first[one] != first[other]).any():
            lowest = np.minimum(first[one], first[other])
            for atoms in (first[one], first[other]):
                np.minimum.at(first, atoms, lowest)
            while (first != first[first]).any():
                first = first[first]
        classes: Atoms = np.unique(first, return_inverse=True)[1]
        return classes

    def reasons(self, classes: Atoms) -> dict[int, str]:
        """Why a class must stay, for those that must."""
        reasons: dict[int, str] = {}
        for atoms, why in self._pinned:
            for number in np.unique(classes[atoms]).tolist():
                reasons.setdefault(number, why)
        return reasons


class Held(Bonds):
    """Holds a pruned network to the bonds of the whole one.

    classes: as `Bonds.classes` gave them. free: [classes] whether a class may go.
    """

    def __init__(self, classes: Atoms, free: NDArray[np.bool_]) -> None:
        super().__init__()
        self._classes, self._free = classes, free

    def _join(self, one: Atoms, other: Atoms) -> None:
        if (self._classes[one] != self._classes[other]).any():
            raise Broken(f"{self.where}: other channels meet")

    def _pin(self, atoms: Atoms, why: str) -> None:
        if self._free[self._classes[atoms]].any():
            raise Broken(f"{why}: the channels would have to stay")
