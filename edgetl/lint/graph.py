"""The operators of a file: of which kind, after which others, how much work each is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

__all__ = ["EIGHT_BITS", "FLOAT", "Graph", "Kind", "Node", "graph_of"]

Count = Annotated[int, Field(ge=0)]

FLOAT = "float32"
EIGHT_BITS = ("int8", "uint8")


@dataclass(frozen=True)
class Kind:
    """Operators that are alike for a runtime.

    name: as the format calls them.
    takes, gives: numpy's name of what they read and write; int8 where an 8-bit tensor is dequantized for them or quantized
        behind them, `mixed` where inputs differ. Of what has weights int8 says that the weights are 8 bits too.
    weighted: whether they hold weights: convolutions and matrix products with a constant.
    detail: what else decides; `scales` of TFLite's 8-bit arithmetic whose inputs are so much coarser or finer than its output
        that XNNPACK does not take it.
    """

    name: str
    takes: str
    gives: str
    weighted: bool
    detail: str


@dataclass(frozen=True)
class Node:
    """One operator.

    kind: its place in `Graph.kinds`. after: places in `Graph.nodes` of those whose outputs it reads; all are smaller.
    elements: numbers that it writes. macs: its multiply-accumulates, 0 where it has none.
    """

    kind: Count
    after: tuple[Count, ...]
    elements: Count
    macs: Count


@dataclass(frozen=True)
class Graph:
    """A file's operators in an order in which they can be computed; constants, and what is computed of them alone, are none."""

    kinds: tuple[Kind, ...]
    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        for place, node in enumerate(self.nodes):
            if node.kind >= len(self.kinds):
                raise ValueError(f"nodes.{place}: kind {node.kind}, expected less than {len(self.kinds)}")
            if any(before >= place for before in node.after):
                raise ValueError(f"nodes.{place}: comes before what it reads")

    def kind(self, node: Node) -> Kind:
        """What a node is."""
        return self.kinds[node.kind]

    def counts(self) -> dict[Kind, int]:
        """How many there are of each kind, the most frequent first."""
        counted = Counter(node.kind for node in self.nodes)
        return {self.kinds[kind]: count for kind, count in counted.most_common()}

    def weighted(self) -> list[int]:
        """Places of the nodes with weights."""
        return [place for place, node in enumerate(self.nodes) if self.kind(node).weighted]

    def in_float(self) -> dict[Kind, int]:
        """Operators between the first and the last one with weights, these included, that do not compute in 8 bits.

        The last one's output may be float: temperature and softmax follow. None of them, and the graph is integer-only.
        """
        weighted = self.weighted()
        if not weighted:
            return {}
        first, last = weighted[0], weighted[-1]
        counted: Counter[Kind] = Counter()
        for place in range(first, last + 1):
            kind = self.kind(self.nodes[place])
            if kind.takes not in EIGHT_BITS or (kind.gives not in EIGHT_BITS and place != last):
                counted[kind] += 1
        return dict(counted.most_common())


def graph_of(rows: Sequence[tuple[Kind, Sequence[int], int, int]]) -> Graph:
    """A graph of (kind, after, elements, macs) in order."""
    kinds = list(dict.fromkeys(kind for kind, _, _, _ in rows))
    places = {kind: place for place, kind in enumerate(kinds)}
    nodes = tuple(Node(places[kind], tuple(sorted(set(after))), elements, macs) for kind, after, elements, macs in rows)
    return Graph(tuple(kinds), nodes)
