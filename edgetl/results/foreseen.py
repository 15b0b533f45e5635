"""What a target was expected to make of a file before the training, and what was measured there afterwards."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from edgetl.evidence.intervals import Interval
from edgetl.lint.predicting import Pays, Prediction
from edgetl.results.document import Count
from edgetl.results.latency import Latency, partitions
from edgetl.results.twins import Twins

__all__ = ["Foreseen", "foreseen"]

Agreement = Literal["agrees", "differs", "undecided", "not predicted"]

_SAME = 0.05
_LAYERS = re.compile(r"int8 (\d+)")


@dataclass(frozen=True)
class Foreseen:
    """One artefact on one target, with the fewest threads that were measured there.

    rules: which, of `edgetl/lint/rules`; empty where there are none. falls_back, slow, unknown: numbers of operators.
    layers, native_layers: with weights, and those of them expected to be computed as the file says. measured_layers: in int8,
        as the runtime says; null where it does not count them, and of float32 files.
    pieces, measured_pieces: of the graph in a delegate; null where there is none, or it is not known.
    int8, measured_int8: an int8 file against its float32 twin; `same` where the whole interval of the quotient is within a
        twentieth of 1, `unknown` where it only holds 1. ratio: that quotient of times.
    agreement: of all that was predicted and measured. `undecided` where something was predicted and the measurement tells
        nothing of it; `not predicted` where nothing was.
    """

    artifact: str
    target: str
    rules: str
    falls_back: Count
    slow: Count
    unknown: Count
    layers: Count
    native_layers: Count
    measured_layers: Count | None
    pieces: Count | None
    measured_pieces: Count | None
    integer_only: Literal["yes", "no", "unknown"]
    int8: Pays
    measured_int8: Literal["faster", "slower", "same", "unknown"]
    ratio: Interval | None
    agreement: Agreement


def foreseen(prediction: Prediction, row: Latency, pair: Twins | None) -> Foreseen:
    """Hold a prediction against a row of its artefact, and against its twin's of the same rounds."""
    counts = dict.fromkeys(("falls_back", "slow_int8", "unknown"), 0)
    for finding in prediction.findings:
        counts[finding.verdict] = counts.get(finding.verdict, 0) + finding.count
    pieces, layers = partitions(row.placement), _layers(prediction, row)
    measured = _measured(pair)
    sides: list[tuple[object, object]] = [(prediction.pieces, pieces)]
    if _counts_layers(prediction) and not counts["unknown"]:
        sides.append((prediction.native_layers, layers))
    if prediction.int8 != "unknown":
        sides.append((prediction.int8, measured if measured != "unknown" else None))
    return Foreseen(
        artifact=prediction.artifact,
        target=row.target,
        rules=prediction.rules,
        falls_back=counts["falls_back"],
        slow=counts["slow_int8"],
        unknown=counts["unknown"],
        layers=prediction.layers,
        native_layers=prediction.native_layers,
        measured_layers=layers,
        pieces=prediction.pieces,
        measured_pieces=pieces,
        integer_only=prediction.integer_only,
        int8=prediction.int8,
        measured_int8=measured,
        ratio=pair.ratio if pair else None,
        agreement=_agreement(sides),
    )


def _agreement(sides: Sequence[tuple[object, object]]) -> Agreement:
    """Of pairs (predicted, measured), each None where it is not known."""
    predicted = [(expected, found) for expected, found in sides if expected is not None]
    held = [(expected, found) for expected, found in predicted if found is not None]
    if not held:
        return "undecided" if predicted else "not predicted"
    return "agrees" if all(expected == found for expected, found in held) else "differs"


def _counts_layers(prediction: Prediction) -> bool:
    """Whether it says how many layers are computed in int8."""
    return prediction.artifact.endswith("-int8") and bool(prediction.rules)


def _layers(prediction: Prediction, row: Latency) -> int | None:
    """Layers in int8, by a `compute_precision` such as "int8 36, float32 18", "int8" of all, "float32" of none."""
    if not _counts_layers(prediction):
        return None
    if found := _LAYERS.search(row.compute_precision):
        return int(found[1])
    return {"int8": prediction.layers, "float32": 0}.get(row.compute_precision)


def _measured(pair: Twins | None) -> Literal["faster", "slower", "same", "unknown"]:
    if pair is None or pair.ratio is None:
        return "unknown"
    if pair.slower or pair.faster:
        return "slower" if pair.slower else "faster"
    return "same" if pair.ratio.low > 1 - _SAME and pair.ratio.high < 1 + _SAME else "unknown"
