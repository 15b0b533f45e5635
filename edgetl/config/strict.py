"""What every section of a recipe and every target is: frozen, typed, closed; and the numbers that sections share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

__all__ = ["Epochs", "Fraction", "Rate", "Seed", "Strict", "Whole"]

Fraction = Annotated[float, Field(gt=0.0, le=1.0)]
Epochs = Annotated[int, Field(ge=1, le=1000)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Rate = Annotated[float, Field(gt=0.0, le=1.0)]


def _whole(value: Any) -> Any:
    if isinstance(value, bool | float):  # Python has True == 1 == 1.0, and a Literal takes them all
        raise ValueError(f"got {str(value).lower()}, expected a whole number")
    return value


Whole = BeforeValidator(_whole)


class Strict(BaseModel):
    """Frozen, typed, and closed: unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
