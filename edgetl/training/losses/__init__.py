"""What a teacher's outputs say to a student: pure functions, one paper each, in one table.

Every loss takes student logits [B, C], teacher logits [B, C], a temperature > 0 and the labels of the images, class indices
int64 [B] or, where images are blended, shares of the classes float [B, C]. It returns a scalar >= 0 that is 0 when the student
says what the teacher says. It is pure tensor code on one device, which looks at no number: it runs inside a CUDA graph.
The label loss beside it belongs to the task (edgetl.tasks).
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["DISTIL_LOSSES", "DistilLoss", "Loss"]

DistilLoss = Callable[["Tensor", "Tensor", float, "Tensor"], "Tensor"]
"""(student logits [B, C], teacher logits [B, C], temperature, labels [B] or [B, C]) -> scalar."""


@dataclass(frozen=True)
class Loss:
    """A loss by its name in recipes.

    about: what it is, in a few words, and its paper. load: MODULE:FUNCTION. fewest_classes: with which it teaches anything.
    """

    name: str
    about: str
    load: str
    fewest_classes: int = 2

    def function(self) -> DistilLoss:
        """The loss itself; brings torch."""
        return cast(DistilLoss, pkgutil.resolve_name(self.load))


_ENTRIES = (
    Loss("dist", "correlations over classes and over the batch (Huang et al., 2022)", f"{__name__}.dist:dist"),
    Loss("dkd", "kd with the label and the other classes weighed apart (Zhao et al., 2022)", f"{__name__}.dkd:dkd"),
    Loss("kd", "softened probabilities (Hinton et al., 2015)", f"{__name__}.kd:kd"),
    Loss(
        "kd_standardized",
        "kd of z-scored logits (Sun et al., 2024)",
        f"{__name__}.kd:kd_standardized",
        fewest_classes=3,
    ),
)

DISTIL_LOSSES: dict[str, Loss] = {loss.name: loss for loss in _ENTRIES}
"""By name, as `distil.loss` of a recipe takes them."""
