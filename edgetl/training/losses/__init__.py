"""What a teacher's outputs say to a student: pure functions, one paper each, in one table.

Every loss takes student logits [B, C], teacher logits [B, C] and a temperature > 0, and returns a scalar >= 0 that is
0 when the student says what the teacher says. The label loss beside it belongs to the task (edgetl.tasks).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from torch import Tensor

from edgetl.training.losses.dist import dist
from edgetl.training.losses.kd import kd, kd_standardized

__all__ = ["DISTIL_LOSSES", "DistilLoss", "dist", "kd", "kd_standardized"]

DistilLoss = Callable[[Tensor, Tensor, float], Tensor]

DISTIL_LOSSES: Mapping[str, DistilLoss] = MappingProxyType(
    {
        "dist": dist,
        "kd": kd,
        "kd_standardized": kd_standardized,
    }
)
