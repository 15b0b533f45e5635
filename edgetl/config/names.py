"""Text fields that take a name of a table, looked up when a value is validated: config itself imports no other room."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from pydantic_core import PydanticKnownError, core_schema

__all__ = ["ATTENTION", "BACKENDS", "DEVICES", "DISTIL_LOSSES", "READERS", "Entry", "OneOf", "table"]

ATTENTION = "edgetl.models.attention:ATTENTION"
BACKENDS = "edgetl.runtime.backends:BACKENDS"
DEVICES = "edgetl.devices:DEVICES"
DISTIL_LOSSES = "edgetl.training.losses:DISTIL_LOSSES"
READERS = "edgetl.data.readers:READERS"


class Entry(Protocol):
    """What the tables' entries have in common. about: what it is, in a few words, for references and editors."""

    @property
    def about(self) -> str:
        """What it is."""


def table(place: str) -> Mapping[str, Any]:
    """The table at a place such as "edgetl.devices:DEVICES", as it is now."""
    return cast(Mapping[str, Any], pkgutil.resolve_name(place))


@dataclass(frozen=True)
class OneOf:
    """Marks a text field: `Annotated[str, OneOf("edgetl.devices:DEVICES")]`.

    where: the table's place. also: further words that the field takes, and what they mean.
    only: attribute that an entry must have set to be named here.
    parts: what may follow an entry's name after a hyphen, and what that means.
    """

    where: str
    also: Mapping[str, str] = field(default_factory=dict, hash=False)
    only: str = ""
    parts: Mapping[str, str] = field(default_factory=dict, hash=False)

    def meanings(self) -> dict[str, str]:
        """Name -> what it is."""
        named = self.entries()
        parts = {f"{name}-{part}": f"{named[name]}, {of}" for name in named for part, of in self.parts.items()}
        return {**named, **parts}

    def entries(self) -> dict[str, str]:
        """`meanings` of whole entries alone."""
        entries: Mapping[str, Entry] = table(self.where)
        named = {name: entry.about for name, entry in entries.items() if not self.only or getattr(entry, self.only)}
        return {**self.also, **named}

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self._checked)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Callable[[Any], Any]) -> dict[str, Any]:
        meanings = self.meanings()
        # Editors show the second list beside the first; validators pass over it.
        return {"type": "string", "enum": list(meanings), "enumDescriptions": list(meanings.values())}

    def _checked(self, value: Any) -> str:
        names = list(self.meanings())
        if isinstance(value, str) and value in names:
            return value
        # The error of a Literal with these names.
        raise PydanticKnownError("literal_error", {"expected": ", ".join(map(repr, names))})
