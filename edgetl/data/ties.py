"""What belongs together, over chains: a union-find (Tarjan, 1975)."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

__all__ = ["Ties"]

Name = TypeVar("Name", bound=Any)


class Ties(Generic[Name]):
    """Names that were tied, and those that others tie to them; each has its smallest name as root."""

    def __init__(self) -> None:
        self._above: dict[Name, Name] = {}

    def root(self, name: Name) -> Name:
        """The name that stands for all that `name` is tied to; itself where that is nothing."""
        above = self._above.get(name, name)
        while above != name:
            self._above[name] = self._above.get(above, above)
            name, above = above, self._above.get(above, above)
        return name

    def tie(self, one: Name, other: Name) -> None:
        """From now on both have one root."""
        first, second = sorted((self.root(one), self.root(other)))
        self._above[second] = first
