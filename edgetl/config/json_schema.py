"""Recipes and targets as JSON schema, which editors complete and check YAML with."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

__all__ = ["json_schema"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    """The type as JSON schema; the text under a field is its description. Editors show titles, so only the root has one."""
    found: dict[str, Any] = _tidy(model.model_json_schema(by_alias=True))
    return {"$schema": DIALECT, "title": title} | found


def _tidy(schema: Any) -> Any:
    """Without pydantic's titles of fields, which repeat the name, and with descriptions on one line."""
    if isinstance(schema, list):
        return [_tidy(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "title" and isinstance(value, str):
            continue
        if key == "description" and isinstance(value, str):
            found[key] = " ".join(value.split())
        elif key == "properties":  # names of fields, which `title` and `description` could be too
            found[key] = {name: _tidy(one) for name, one in value.items()}
        else:
            # The alternatives differ in their JSON type; that only one fits need not be checked.
            found["anyOf" if key == "oneOf" else key] = _tidy(value)
    return found
