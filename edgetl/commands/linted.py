"""A prediction of what a target makes of a recipe's files, for a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgetl.api.check import Finding, Linted, Prediction

__all__ = ["lines"]

_VERDICTS = {"falls_back": "falls back", "slow_int8": "slow in int8", "unknown": "unknown"}


def lines(linted: Linted) -> Iterator[str]:
    """A line for each file, and one for each kind of operator that does not run as the file says, or is unknown."""
    yield f"{linted.target}, predicted from the untrained network's files (nothing was trained or measured):"
    for prediction in linted.artifacts:
        yield f"  {prediction.artifact:<14} {_said(prediction)}"
        if prediction.rules and not _nothing_known(prediction):
            yield from (f"    {_finding(finding)}" for finding in prediction.findings)
            yield from _sources(prediction)


def _said(prediction: Prediction) -> str:
    if not prediction.operators:
        return "unknown: its operators cannot be read"
    if not prediction.rules:
        return f"unknown: no rules for this backend there ({prediction.operators} operators)"
    if _nothing_known(prediction):
        return f"unknown: no rule names any of its {prediction.operators} operators"
    int8 = prediction.artifact.endswith("-int8")
    how = "in int8" if int8 else "as the file says"
    parts = [f"{prediction.native_layers} of {prediction.layers} layers {how}"]
    if prediction.pieces is not None:
        parts.append(f"{prediction.pieces} partition{'s' * (prediction.pieces != 1)}")
    if int8:
        parts.append(f"integer only: {prediction.integer_only}")
        expected = {"unknown": "unknown whether int8 is faster than float32"}
        parts.append(expected.get(prediction.int8, f"int8 expected to be {prediction.int8.upper()} than float32"))
    return "; ".join(parts)


def _nothing_known(prediction: Prediction) -> bool:
    unknown = [finding.count for finding in prediction.findings if finding.verdict == "unknown"]
    return sum(unknown) == prediction.operators


def _finding(finding: Finding) -> str:
    note = f": {finding.note}" if finding.note else ""
    types = f"{finding.takes} to {finding.gives}"
    return f"{_VERDICTS[finding.verdict]:<12} {finding.count:>3} x {finding.operator}, {types}{note}"


def _sources(prediction: Prediction) -> Iterator[str]:
    for source in dict.fromkeys(finding.source for finding in prediction.findings if finding.source):
        yield f"    seen with {source}"
