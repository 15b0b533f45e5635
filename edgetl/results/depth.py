"""How deep the grey of the pictures is: what every stage that decodes one has to agree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from edgetl.results.document import Document
from edgetl.runtime.depth import FEWEST_BITS, MOST_BITS

__all__ = ["Depth"]


@dataclass(frozen=True)
class Depth(Document):
    """bits: that unsigned 16-bit grey uses, measured or as the recipe says."""

    FILE: ClassVar[str] = "depth.json"

    bits: Annotated[int, Field(ge=FEWEST_BITS, le=MOST_BITS)]
