"""Recipes and targets seen from their types: what may stand at a place, and each field's default and meaning.

A place is a path of names and indices, as in a document: ("teacher", 0, "epochs").
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from edgetl.config.names import OneOf

__all__ = ["Field", "alternatives", "fields", "find", "marks", "names", "place", "section"]

Step = str | int


@dataclass(frozen=True)
class Field:
    """A field of a model.

    name: as it is written in YAML. meaning: the text under the field, on one line.
    """

    name: str
    attribute: str
    meaning: str
    info: FieldInfo

    @property
    def default(self) -> Any:
        """What it is when nobody sets it; `...` where it must be set."""
        return ... if self.info.is_required() else self.info.get_default(call_default_factory=True)

    @property
    def takes_null(self) -> bool:
        """Whether `null` is one of its values."""
        return _takes_null(self.info.annotation)


def fields(model: type[BaseModel]) -> Iterator[Field]:
    """The fields of a model in their order."""
    for attribute, info in model.model_fields.items():
        yield Field(info.alias or attribute, attribute, _meaning(info), info)


def marks(annotation: Any) -> tuple[OneOf, ...]:
    """The tables that an annotation names."""
    own = tuple(mark for mark in getattr(annotation, "__metadata__", ()) if isinstance(mark, OneOf))
    return own + tuple(mark for part in typing.get_args(annotation) for mark in marks(part))


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The types that a field takes, without None and without the constraints on them."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return alternatives(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return tuple(kind for part in typing.get_args(annotation) for kind in alternatives(part))
    return () if annotation is type(None) else (annotation,)


def section(annotation: Any) -> type[BaseModel] | None:
    """The model that a field takes, alone or in a list; None where it takes plain values."""
    for kind in alternatives(annotation):
        if _is_model(kind):
            return typing.cast(type[BaseModel], kind)
        if typing.get_origin(kind) is tuple:
            inner = section(typing.get_args(kind)[0])
            if inner is not None:
                return inner
    return None


def place(model: type[BaseModel], location: Sequence[Step]) -> tuple[tuple[Step, ...], bool]:
    """pydantic's place of an error as a path of the document, and whether it speaks of one alternative as a whole.

    Where a field takes several types, pydantic puts the name of the one it tried between two steps.
    """
    path: list[Step] = []
    here: tuple[Any, ...] = (model,)
    tagged = False
    for step in location:
        if len(here) > 1 and not tagged:
            tagged = True
            continue
        path.append(step)
        here, tagged = _below(here, step), False
    return tuple(path), tagged


def find(model: type[BaseModel], path: Sequence[Step]) -> Field | None:
    """The field at a path; None where none is, as at an entry of a list."""
    here: tuple[Any, ...] = (model,)
    for step in path[:-1]:
        here = _below(here, step)
    return next((field for kind in here if _is_model(kind) for field in fields(kind) if field.name == path[-1]), None)


def names(model: type[BaseModel], path: Sequence[Step]) -> list[str]:
    """Names of the fields of the model that stands at a path; empty where none does."""
    here: tuple[Any, ...] = (model,)
    for step in path:
        here = _below(here, step)
    return sorted({field.name for kind in here if _is_model(kind) for field in fields(kind)})


def _below(here: tuple[Any, ...], step: Step) -> tuple[Any, ...]:
    """The types that may stand one step below any of these types."""
    below: list[Any] = []
    for kind in here:
        origin = typing.get_origin(kind)
        if _is_model(kind):
            below += [
                part for field in fields(kind) if field.name == step for part in alternatives(field.info.annotation)
            ]
        elif (origin is tuple and isinstance(step, int)) or origin is dict:
            below += alternatives(typing.get_args(kind)[0 if origin is tuple else 1])
    return tuple(below)


def _meaning(info: FieldInfo) -> str:
    """The text under a field, and what each name means where it takes one of a table."""
    named = [*(mark for mark in info.metadata if isinstance(mark, OneOf)), *marks(info.annotation)]
    parts = [f"{name}: {about}" for mark in named for name, about in mark.entries().items()]
    text = " ".join((info.description or "").split())
    return f"{text} {'; '.join(parts)}." if parts else text


def _takes_null(annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    if origin in (typing.Annotated, typing.Union, types.UnionType):
        return any(_takes_null(part) for part in typing.get_args(annotation))
    return annotation is type(None)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
