"""The table of what a shorter schedule costs: strict, and silent as long as it is empty."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgetl.training.ladder import FILE, Ladder, ladder

_ROWS = [
    {"epochs": 60, "balanced_accuracy": -0.01, "auroc": -0.004},
    {"epochs": 30, "balanced_accuracy": -0.031, "auroc": -0.012},
]
_STUDY: dict[str, Any] = {
    "schema": 1,
    "note": "",
    "data": "HAM10000",
    "network": "mobilenetv3_large_100",
    "epochs": 100,
    "commit": "0123abc",
    "rows": _ROWS,
}


def _written(folder: Path, **changes: Any) -> Path:
    (folder / "ladder.json").write_text(json.dumps(_STUDY | changes), encoding="utf-8")
    return folder / "ladder.json"


def test_the_file_of_the_package_holds_to_its_type() -> None:
    Ladder.model_validate_json(FILE.read_text(encoding="utf-8"))


def test_what_is_measured_is_read(tmp_path: Path) -> None:
    table = ladder(_written(tmp_path))
    assert table is not None
    assert [(row.epochs, row.balanced_accuracy, row.auroc) for row in table.rows] == [
        (60, -0.01, -0.004),
        (30, -0.031, -0.012),
    ]


def test_no_file_and_no_rows_are_no_table(tmp_path: Path) -> None:
    assert ladder(tmp_path / "nowhere.json") is None
    assert ladder(_written(tmp_path, rows=[], commit=None)) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"commit": None}, "without the commit"),
        ({"rows": _ROWS[::-1]}, "shorter than the one before"),
        ({"epochs": 60}, "shorter than the one before"),
        ({"rows": [{**_ROWS[0], "balanced_accuracy": -3.1}]}, "greater than or equal to -1"),
        ({"rows": [{**_ROWS[0], "minutes": 3}]}, "minutes"),
    ],
)
def test_what_is_no_study_is_an_error(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=said):
        ladder(_written(tmp_path, **changes))
