"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Finding", "State"]

State = Literal["ok", "warning", "broken", "absent", "unknown"]


@dataclass(frozen=True)
class Finding:
    """What was found, and what to do about it.

    state: ok; warning, which a build survives or does not need; broken, which the main recipe needs; absent, which nothing
        needs yet; unknown, which shows once it is used. fix: for warning and broken.
    """

    group: str
    name: str
    state: State
    detail: str
    fix: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields, as JSON takes them."""
        return asdict(self)
