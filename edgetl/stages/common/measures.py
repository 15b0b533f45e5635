"""The measures of one set of test predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgetl.data.table import DataTable
from edgetl.evidence.calibration import reliability
from edgetl.evidence.intervals import with_intervals
from edgetl.results.evaluation import Measures

if TYPE_CHECKING:
    import numpy.typing as npt


def measured(
    name: str, table: DataTable, probabilities: npt.NDArray[Any], thresholds: Mapping[str, float], seed: int
) -> Measures:
    """Metrics with 95 % intervals over groups, the confusion counts and the reliability bins of the test split.

    Args:
        name: of the network or file that said so.
        probabilities: [n, C], rows as in `table.of("test")`.
        thresholds: per class, chosen on validation.
        seed: of the resampling.
    """
    import numpy as np

    labels = table.labels("test")
    confusion = np.zeros((len(table.classes), len(table.classes)), dtype=np.int64)
    np.add.at(confusion, (labels, probabilities.argmax(axis=1)), 1)
    return Measures(
        name=name,
        metrics=with_intervals(probabilities, labels, table.groups("test"), table.classes, thresholds, seed),
        thresholds=dict(thresholds),
        confusion=tuple(map(tuple, confusion.tolist())),
        reliability=reliability(probabilities, labels),
    )
