"""Recipes and targets as JSON schema, which editors complete and check YAML with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

__all__ = ["by_kind", "json_schema"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    """The type as JSON schema; the text under a field is its description. Editors show titles, so only the root has one."""
    schema: dict[str, Any] = _tidy(model.model_json_schema(by_alias=True))
    return {"$schema": DIALECT, "title": title} | schema


def by_kind(models: Mapping[str, type[BaseModel]], title: str) -> dict[str, Any]:
    """Any of several types, which the field `kind` tells apart; where it is missing, the one whose default it is."""
    places, schema = models_json_schema([(model, "validation") for model in models.values()], by_alias=True)
    for kind, model in models.items():
        of_kind = schema["$defs"][places[model, "validation"]["$ref"].rpartition("/")[2]]
        of_kind["properties"]["kind"] = {"const": kind} | {
            key: value for key, value in of_kind["properties"]["kind"].items() if not key.startswith("enum")
        }
        if model.model_fields["kind"].default != kind:
            of_kind["required"] = [*of_kind.get("required", []), "kind"]
    alternatives = [places[model, "validation"] for model in models.values()]
    tidied: dict[str, Any] = _tidy(schema)
    return {"$schema": DIALECT, "title": title, "anyOf": alternatives} | tidied


def _tidy(schema: Any) -> Any:
    """Without pydantic's titles of fields, which repeat the name, and with descriptions on one line."""
    if isinstance(schema, list):
        return [_tidy(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    tidied: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "title" and isinstance(value, str):
            continue
        if key == "description" and isinstance(value, str):
            tidied[key] = " ".join(value.split())
        elif key == "properties":  # names of fields, which `title` and `description` could be too
            tidied[key] = {name: _tidy(part) for name, part in value.items()}
        else:
            # The alternatives differ in their JSON type; that only one fits need not be checked.
            tidied["anyOf" if key == "oneOf" else key] = _tidy(value)
    return tidied
