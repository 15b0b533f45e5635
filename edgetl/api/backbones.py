"""`edgetl backbones`: which backbones go the whole way, how large and how fast they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgetl.api.boundary import boundary
from edgetl.errors import UsageError
from edgetl.errors.wording import nearest
from edgetl.runtime.backends import BACKENDS

if TYPE_CHECKING:
    from edgetl.models.chain import Backbone

__all__ = ["BackbonesResult", "backbones"]


@dataclass(frozen=True)
class BackbonesResult:
    """The backbones that were asked for, the fastest first.

    note, machine, image_size: how and where they were measured; of random weights.
    """

    backbones: Sequence[Backbone]
    note: str
    machine: str
    image_size: int

    def to_json(self) -> dict[str, Any]:
        """As `edgetl backbones --json` prints it."""
        return {
            "note": self.note,
            "machine": self.machine,
            "image_size": self.image_size,
            "backbones": [backbone.model_dump(mode="json") for backbone in self.backbones],
        }


@boundary
def backbones(*, below: float | None = None, format: str | None = None) -> BackbonesResult:  # noqa: A002
    """The measured backbones.

    Args:
        below: only those whose file takes less than so many milliseconds for an inference on one thread of the machine that
            measured: any file's of the format, or the unpruned fp32 file in ONNX Runtime without one.
        format: only those that can be had in this one: onnx, openvino or tflite, or an artefact such as tflite-int8.

    Raises:
        UsageError: an unknown format, or the table was not measured in this version.
    """
    from edgetl.models.chain import chain

    artifacts = [f"{backend}-{precision}" for backend in BACKENDS for precision in ("fp32", "int8")]
    if format is not None and format not in (*BACKENDS, *artifacts):
        raise UsageError(f"--format {format}: unknown{nearest(format, [*BACKENDS, *artifacts])}")
    table = chain()
    if table is None:
        raise UsageError("no backbones were measured", hint="python -m benchmarks.backbones measures them")
    timed = [(_milliseconds(backbone, format), backbone) for backbone in table.backbones if backbone.problem is None]
    chosen = [
        (milliseconds, backbone)
        for milliseconds, backbone in timed
        if milliseconds is not None and (below is None or milliseconds < below)
    ]
    ordered = [backbone for _, backbone in sorted(chosen, key=lambda pair: (pair[0], pair[1].name))]
    return BackbonesResult(tuple(ordered), table.note, table.machine, table.image_size)


def _milliseconds(backbone: Backbone, format: str | None) -> float | None:  # noqa: A002
    """What it is judged by; None where there is no such file."""
    if format is None:
        return backbone.onnx_ms
    times = [file.p50_ms for file in backbone.files if file.name.startswith(format) and file.p50_ms is not None]
    return min(times, default=None)
