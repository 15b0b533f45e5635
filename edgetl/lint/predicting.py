"""A file's operators against what is known of a runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgetl.lint.graph import EIGHT_BITS, FLOAT, Graph, Kind, Node
from edgetl.lint.partitions import pieces
from edgetl.lint.rules import Rules, Verdict

__all__ = ["Features", "Finding", "Integers", "Pays", "Prediction", "features", "predict"]

Integers = Literal["yes", "no", "unknown"]
Pays = Literal["faster", "slower", "unknown"]

_CONVERSIONS = frozenset({"QUANTIZE", "DEQUANTIZE"})
"""Operators of their own in TFLite's files; elsewhere they belong to what stands before and behind them."""


@dataclass(frozen=True)
class Finding:
    """Operators of one kind that a runtime does not compute as the file says, or of which nothing is known.

    operator: its name, with a detail that counts. takes, gives: as in `graph.Kind`. source: where the rule is from, with the
    runtime's version; empty of an unknown one.
    """

    operator: str
    takes: str
    gives: str
    count: int
    verdict: Verdict
    note: str
    source: str


@dataclass(frozen=True)
class Features:
    """What decides whether int8 pays.

    pieces: of a runtime that cuts the graph; 1 elsewhere. native_macs: share of the multiply-accumulates that are computed in
    8 bits. converted: numbers that pass between 8 bits and float32 for each thousand of all multiply-accumulates, around what
    a runtime without pieces computes in float, or by operators of the file that do nothing else. elements:
    numbers that operators write for each thousand: what is moved, not multiplied.
    """

    pieces: int
    native_macs: float
    converted: float
    elements: float


@dataclass(frozen=True)
class Prediction:
    """What a runtime is expected to make of a file.

    rules: name of the rules, or empty where nothing is known of the runtime.
    findings: what does not run as the file says, or is unknown, the most frequent first.
    operators: how many there are. layers, native_layers: those with weights, and how many of them run as the file says.
    pieces: of the graph that its delegate takes; None where the runtime does not cut, or an operator is unknown.
    integer_only: whether nothing between first and last layer is computed in float. int8: against its float32 twin; unknown of
        one that is no int8 file.
    """

    artifact: str
    rules: str
    findings: tuple[Finding, ...]
    operators: int
    layers: int
    native_layers: int
    pieces: int | None
    integer_only: Integers
    int8: Pays


def predict(artifact: str, graph: Graph | None, name: str, rules: Rules | None) -> Prediction:
    """Hold the operators of an artefact (BACKEND-PRECISION) against the rules of that name; None where nothing is known."""
    if graph is None:
        return Prediction(artifact, name if rules else "", (), 0, 0, 0, None, "unknown", "unknown")
    int8 = artifact.endswith("-int8")
    verdicts = {kind: _verdict(kind, rules) for kind in graph.kinds}
    kinds = [graph.kind(node) for node in graph.nodes]
    layers = [kind for kind in kinds if kind.weighted]
    unknown = rules is None or "unknown" in verdicts.values()
    cut = None if rules is None or not rules.cuts or unknown else pieces(graph, _taken(graph, rules))
    return Prediction(
        artifact=artifact,
        rules=name if rules else "",
        findings=tuple(_findings(graph, rules, verdicts)),
        operators=len(kinds),
        layers=len(layers),
        native_layers=sum(_as_said(kind, verdicts[kind], int8=int8) for kind in layers),
        pieces=cut,
        integer_only=_integer_only(graph, verdicts) if int8 else "no",
        int8=_pays(graph, rules) if int8 and rules is not None and not (rules.cuts and unknown) else "unknown",
    )


def features(graph: Graph, rules: Rules) -> Features:
    """Of an int8 file. An unknown operator counts as one that is computed in float."""
    macs = sum(node.macs for node in graph.nodes)
    native, converted = 0, 0
    for node in graph.nodes:
        kind = graph.kind(node)
        verdict = rules.verdict(kind)
        if kind.weighted and _as_said(kind, verdict, int8=True):
            native += node.macs
        if verdict != "native" and not rules.cuts:
            converted += _converted(graph, node)
        if kind.name in _CONVERSIONS and FLOAT in (kind.takes, kind.gives):
            converted += node.elements
    cut = pieces(graph, _taken(graph, rules)) if rules.cuts else 1
    elements = sum(node.elements for node in graph.nodes)
    share = 1 / macs if macs else 0.0
    return Features(cut, native * share, 1000 * converted * share, 1000 * elements * share)


def _converted(graph: Graph, node: Node) -> int:
    """Numbers that are dequantized for an operator and quantized behind it."""
    kind = graph.kind(node)
    read = sum(graph.nodes[before].elements for before in node.after) if kind.takes in EIGHT_BITS else 0
    return read + (node.elements if kind.gives in EIGHT_BITS else 0)


def _verdict(kind: Kind, rules: Rules | None) -> Verdict:
    return rules.verdict(kind) if rules else "unknown"


def _taken(graph: Graph, rules: Rules) -> list[bool]:
    return [rules.verdict(graph.kind(node)) != "falls_back" for node in graph.nodes]


def _as_said(layer: Kind, verdict: Verdict, *, int8: bool) -> bool:
    return verdict == "native" and (not int8 or layer.takes in EIGHT_BITS)


def _findings(graph: Graph, rules: Rules | None, verdicts: dict[Kind, Verdict]) -> list[Finding]:
    found = []
    for kind, count in graph.counts().items():
        if verdicts[kind] == "native":
            continue
        rule = rules.rule(kind) if rules else None
        note, source = (rule.note, f"{rule.version}; {rule.source}") if rule else ("", "")
        name = f"{kind.name} ({kind.detail})" if kind.detail else kind.name
        found.append(Finding(name, kind.takes, kind.gives, count, verdicts[kind], note, source))
    return found


def _integer_only(graph: Graph, verdicts: dict[Kind, Verdict]) -> Integers:
    """No where an operator is float in the file, or becomes float in the runtime."""
    weighted = graph.weighted()
    if graph.in_float() or not weighted:
        return "no"
    inside = {verdicts[graph.kind(node)] for node in graph.nodes[weighted[0] : weighted[-1] + 1]}
    if "falls_back" in inside:
        return "no"
    return "unknown" if "unknown" in inside else "yes"


def _pays(graph: Graph, rules: Rules) -> Pays:
    seen = features(graph, rules)
    for expectation in rules.expectations:
        if all(low <= getattr(seen, name) <= high for name, (low, high) in expectation.when.items()):
            return expectation.int8
    return "unknown"
