"""Into how many pieces a delegate cuts a graph: TFLite's own way of partitioning.

TensorFlow Lite, `PartitionGraphIntoIndependentNodeSubsets` (lite/graph_info.cc): go through the graph again and again, and
collect what can be computed already and is of the kind of the first such operator, until nothing is left of that kind; then
begin the next piece.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgetl.lint.graph import Graph

__all__ = ["pieces"]


def pieces(graph: Graph, taken: Sequence[bool]) -> int:
    """How many pieces go to the delegate.

    Args:
        taken: of each node, whether the delegate takes such an operator.
    """
    done: set[int] = set()
    delegated = 0
    while len(done) < len(graph.nodes):
        of: bool | None = None
        for place, node in enumerate(graph.nodes):  # one pass is enough: nodes come after what they read
            if place in done or not done.issuperset(node.after):
                continue
            if of is None:
                of = taken[place]
            if taken[place] == of:
                done.add(place)
        delegated += bool(of)
    return delegated
