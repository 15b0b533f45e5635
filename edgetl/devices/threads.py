"""Thread counts as target files name them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

ThreadCounts = Annotated[
    tuple[Annotated[int, Field(ge=1, le=1024)] | Literal["all"], ...],
    Field(min_length=1),
]


def resolved(counts: Iterable[int | Literal["all"]], cores: int) -> tuple[int, ...]:
    """Each once, in ascending order; `all` is every core that a process may use."""
    return tuple(sorted({cores if count == "all" else count for count in counts}))
