"""What all documents share: how one becomes a JSON file and is read back, and the kinds of numbers in them.

Reading is strict: a field that is missing, unknown, of another type or out of its range is an IntegrityError. Fields have
no defaults, so that none can be left out; null is written where there is nothing to say. A field that came later, within one
version, has one: what files from before it mean.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar, cast

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from edgetl.errors import Bug, IntegrityError

__all__ = ["Amount", "Count", "Digest", "Document", "Factor", "Positive", "Share", "validated"]

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]
Amount = Annotated[float, Field(ge=0)]
Factor = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
"""A sha256."""

_AGAIN = "edgetl build RECIPE writes it anew"

Kind = TypeVar("Kind")


class Document:
    """Base of the dataclasses that are files of their own.

    FILE: its name in the folder of whoever writes it.
    SCHEMA: raised when a field is renamed, removed, or means something else; a reader takes its own version only.
    """

    FILE: ClassVar[str]
    SCHEMA: ClassVar[int] = 1
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The document in a folder.

        Raises:
            IntegrityError: it is missing, no JSON, of another version, or a field is not what this class says.
        """
        path = folder / cls.FILE
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise IntegrityError(f"cannot be read: {exc}", place=str(path), hint=_AGAIN) from exc
        return cls.from_json(text, place=str(path))

    @classmethod
    def from_json(cls, text: str, place: str = "") -> Self:
        """The document that `to_json` made this text of.

        Args:
            place: where the text is from, for the error.

        Raises:
            IntegrityError: as in `read`.
        """
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise IntegrityError(f"is no JSON: {exc}", place=place, hint=_AGAIN) from exc
        version = content.pop("schema", None) if isinstance(content, dict) else None
        if type(version) is not int or version != cls.SCHEMA:
            raise IntegrityError(f"schema: got {version!r}, expected {cls.SCHEMA}", place=place, hint=_AGAIN)
        try:
            return validated(cls, content)
        except ValueError as exc:
            raise IntegrityError(str(exc), place=place, hint=_AGAIN) from exc

    def to_json(self) -> str:
        """The file's text. What could not be read back is not written: it would be a bug, found stages later."""
        try:
            fields = adapter(type(self)).dump_python(self, mode="json", warnings="error")
            content = {"schema": self.SCHEMA, **fields}
            text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
            self.from_json(text)
        except (PydanticSerializationError, ValueError, IntegrityError) as exc:
            raise Bug(f"{self.FILE} would not be readable: {exc}") from exc
        return text

    def write(self, folder: Path) -> None:
        """Write the file into a folder."""
        (folder / self.FILE).write_text(self.to_json(), encoding="utf-8")


def adapter(kind: type[Kind]) -> TypeAdapter[Kind]:
    """pydantic's reader and writer of a dataclass."""
    return cast("TypeAdapter[Kind]", _adapter(cast("Any", kind)))  # mypy asks whether its instances can be hashed


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)  # some 10 to 100 ms


def validated(kind: type[Kind], content: object) -> Kind:
    """Parsed JSON as an instance of a dataclass with a `__pydantic_config__`.

    Raises:
        ValueError: "field.path: what was got, what was expected" for the first field, and how many more there are.
    """
    try:
        # Through JSON because only there does strict mode take a list for a tuple.
        return adapter(kind).validate_json(json.dumps(content))
    except ValidationError as exc:
        first, *others = exc.errors(include_url=False)
        more = f" (and {len(others)} more)" if others else ""
        raise ValueError(f"{_message(first)}{more}") from exc


def _message(error: Any) -> str:
    place = _dotted(error["loc"])
    if error["type"] == "missing":
        return f"{place}: is missing"
    if error["type"] == "unexpected_keyword_argument":
        return f"{place}: is not a known field"
    if error["type"] == "value_error":
        return f"{place}: {error['ctx']['error']}"
    got = json.dumps(error["input"])
    got = got if len(got) <= 80 else f"{got[:80]}..."
    return f"{place}: got {got}, expected {error['msg'].removeprefix('Input should be ')}"


def _dotted(steps: Sequence[str | int]) -> str:
    """A path as `artifacts.0.bytes`; a step in angle brackets names the alternative that pydantic tried."""
    return ".".join(str(step) for step in steps if not str(step).startswith("<")) or "the document"
