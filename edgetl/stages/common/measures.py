"""The measures of one set of test predictions, in the form that report.json and the page take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgetl.data.table import DataTable
from edgetl.evidence.calibration import reliability
from edgetl.evidence.intervals import with_intervals

if TYPE_CHECKING:
    import numpy.typing as npt


def test_metrics(
    table: DataTable, probabilities: npt.NDArray[Any], thresholds: Mapping[str, float], seed: int
) -> dict[str, Any]:
    """Metrics with 95 % intervals over groups, the confusion counts and the reliability bins of the test split.

    Args:
        probabilities: [n, C], rows as in `table.of("test")`.
        thresholds: per class, chosen on validation.
    """
    import numpy as np

    labels = table.labels("test")
    intervals = with_intervals(probabilities, labels, table.groups("test"), table.classes, thresholds, seed)
    confusion = np.zeros((len(table.classes), len(table.classes)), dtype=np.int64)
    np.add.at(confusion, (labels, probabilities.argmax(axis=1)), 1)
    return {
        "metrics": {name: interval.to_json() for name, interval in intervals.items()},
        "thresholds": dict(thresholds),
        "confusion": confusion.tolist(),
        "reliability": reliability(probabilities, labels),
    }
