"""The one contract at both ends of every artefact, checked when it is opened and at every run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ..bundle_files import Place
from ..errors import IntegrityError

if TYPE_CHECKING:
    import numpy.typing as npt

Image: TypeAlias = "npt.NDArray[np.uint8]"
Probabilities: TypeAlias = "npt.NDArray[np.float32]"
Shape = tuple[int, int, int, int]


def check_signature(
    path: Place, inputs: Sequence[tuple[str, Sequence[object]]], outputs: Sequence[tuple[str, Sequence[object]]]
) -> tuple[Shape, tuple[int, int]]:
    """The shapes of input and output, if the artefact takes one uint8 [N, H, W, 3] and gives one float32 [N, C].

    Args:
        path: of the model file, for the message.
        inputs, outputs: numpy name of the dtype and shape of each.

    Raises:
        IntegrityError: anything else.
    """
    if len(inputs) == 1 and len(outputs) == 1:
        (dtype, shape), (out_dtype, out_shape) = inputs[0], outputs[0]
        sides = tuple(side for side in shape if isinstance(side, int) and side > 0)
        classes = tuple(side for side in out_shape if isinstance(side, int) and side > 0)
        if dtype == "uint8" and len(sides) == len(shape) == 4 and sides[3] == 3:  # noqa: SIM102
            if out_dtype == "float32" and len(classes) == len(out_shape) == 2 and classes[0] == sides[0]:
                return (sides[0], sides[1], sides[2], 3), (sides[0], classes[1])
    raise IntegrityError(
        f"takes {_listed(inputs)} and gives {_listed(outputs)}, expected one uint8 [N, H, W, 3] and one float32 [N, C]",
        place=str(path),
        hint="export it with edgetl build",
    )


def check_image(image: Image, shape: Shape) -> Image:
    """`image`, C-contiguous, if it is uint8 of that shape; else ValueError, before a runtime reads past its end."""
    if image.dtype != np.uint8 or image.shape != shape:
        raise ValueError(f"got {image.dtype} {list(image.shape)}, expected uint8 {list(shape)}")
    return np.ascontiguousarray(image)


def check_threads(threads: int) -> int:
    """`threads` if at least 1: 0 means "all of them" to some runtimes and 1 to others."""
    if threads < 1:
        raise ValueError(f"got {threads} threads, expected at least 1")
    return threads


def precision_of(weighted: Sequence[str]) -> str:
    """What the layers with weights compute in: "float32", or "int8 52, float32 2" when they differ."""
    kinds = sorted(set(weighted), key=lambda kind: (-weighted.count(kind), kind))
    counts = {kind: weighted.count(kind) for kind in kinds}
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{kind} {count}" for kind, count in counts.items()) or "unknown"


def _listed(tensors: Sequence[tuple[str, Sequence[object]]]) -> str:
    return " and ".join(f"{dtype} [{', '.join(map(str, shape))}]" for dtype, shape in tensors) or "nothing"
