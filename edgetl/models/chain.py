"""Which timm backbones go the whole way through edgetl, with sizes and times: a table that `benchmarks.backbones` measures.

Everything in it is of networks with random weights, on the machine that it names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from edgetl.config.strict import Strict

__all__ = ["FILE", "Backbone", "Chain", "ChainFile", "Variant", "chain"]

FILE = Path(__file__).with_name("chain.json")


class ChainFile(Strict):
    """An artefact of the pruned network. problem: why there is none; the other fields are null then."""

    name: str
    bytes: int | None = None
    difference: float | None = None
    """Largest one between its probabilities and PyTorch's, of fp32."""
    p50_ms: float | None = None
    """Median of an inference on one thread."""
    problem: str | None = None


class Variant(Strict):
    """The backbone with another attention, up to ONNX. reached: share of the MACs that pruning left."""

    attention: str
    placed: int | None = None
    """Places where it was put."""
    parameters: int | None = None
    reached: float | None = None
    problem: str | None = None


class Backbone(Strict):
    """One backbone.

    macs, parameters: of one image, unpruned. onnx_ms: of the unpruned fp32 file, on one thread.
    reached: share of the MACs that pruning left, in prune_seconds with a peak of prune_mb.
    problem: what refuses it before any training; None where it goes the way.
    seconds: of the whole chain, until its end or until it was refused.
    """

    name: str
    macs: int | None = None
    parameters: int | None = None
    onnx_ms: float | None = None
    reached: float | None = None
    prune_seconds: float | None = None
    prune_mb: float | None = None
    files: tuple[ChainFile, ...] = ()
    attention: tuple[Variant, ...] = ()
    problem: str | None = None
    seconds: float = 0.0

    @property
    def works(self) -> tuple[str, ...]:
        """Names of the artefacts that can be had."""
        return tuple(file.name for file in self.files if file.problem is None)


class Chain(Strict):
    """The table."""

    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    note: str
    machine: str
    image_size: int
    share: float
    """Of the MACs, to which each was pruned."""
    backbones: tuple[Backbone, ...]


def chain(file: Path | None = None) -> Chain | None:
    """The table; None where it was not measured yet."""
    path = file or FILE
    return Chain.model_validate_json(path.read_text(encoding="utf-8")) if path.is_file() else None
