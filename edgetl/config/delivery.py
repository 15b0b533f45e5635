"""What a recipe ships: the entries of `export`, and the 8-bit files beside the float ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from edgetl.config import names
from edgetl.config.names import OneOf
from edgetl.config.strict import Fraction, Strict

__all__ = ["PRECISIONS", "Export", "Quantize", "parts_of"]

PRECISIONS: Mapping[str, str] = {"fp32": "its float32 file alone", "int8": "its 8-bit file alone"}
"""Of each format; int8 is held against fp32, so that is built first."""


def parts_of(entry: str) -> tuple[str, str]:
    """Format and precision of an entry of `export`, or of a file's name; without a precision the whole format."""
    backend, _, precision = entry.rpartition("-")
    return (backend, precision) if backend and precision in PRECISIONS else (entry, "")


Export = Annotated[str, OneOf(names.BACKENDS, parts=PRECISIONS)]


class Quantize(Strict):
    """Post-training quantization, calibrated on training images."""

    scheme: Literal["int8"] = "int8"
    """Weights and activations in 8 bits, weights per channel."""
    max_drop: Fraction = 0.003
    """Largest loss of balanced accuracy against the same backend's fp32 that passes without a warning."""
    images: Annotated[int, Field(ge=8, le=10_000)] = 256
    """How many training images calibrate the ranges."""
