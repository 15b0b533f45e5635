"""Measurements as text for other programs: JSON with everything, CSV with a column for each number."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from edgetl.history.record import Record

__all__ = ["to_csv", "to_json"]

_LEFT_OUT = ("machine", "metrics", "row")


def to_json(records: Sequence[Record]) -> str:
    """A list of objects, one a measurement."""
    return json.dumps([record.to_json() for record in records], indent=1, ensure_ascii=False) + "\n"


def to_csv(records: Sequence[Record]) -> str:
    """A header and a line for each measurement; columns are those that any of them has, empty where one has none.

    Fields of the latency row under their own names, the machine's as machine.processor and so on, metrics as balanced_accuracy,
    balanced_accuracy.low and balanced_accuracy.high. The rounds are only in JSON. A text that a spreadsheet would take for a
    formula is led by an apostrophe.
    """
    flat = [_flat(record) for record in records]
    columns = list(dict.fromkeys(name for line in flat for name in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _flat(record: Record) -> dict[str, Any]:
    line = {name: value for name, value in vars(record).items() if name not in _LEFT_OUT}
    line |= {f"machine.{name}": value for name, value in asdict(record.machine).items()}
    line |= {name: value for name, value in record.row.items() if not isinstance(value, list | tuple | Mapping)}
    for name, value in record.metrics.items():
        line |= {name: value.value, f"{name}.low": value.low, f"{name}.high": value.high}
    return {name: _harmless(value) for name, value in line.items()}


def _harmless(value: Any) -> Any:
    """On one line: csv quotes no carriage return, and what stands behind one begins another cell."""
    if not isinstance(value, str):
        return value
    line = " ".join(value.splitlines())
    return f"'{line}" if line[:1] in ("=", "+", "-", "@", "\t") else line
