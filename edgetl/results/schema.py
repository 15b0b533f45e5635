"""The JSON schema of report.json, made from its types, for whoever reads reports with something else than Python.

python -m edgetl.results.schema [--write | --check] docs/report.schema.json
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import DataclassSchema

from edgetl.results.document import Document, adapter
from edgetl.results.report import Report

__all__ = ["json_schema", "text"]


class _Described(GenerateJsonSchema):
    """With the classes' docstrings, and closed as the reader is: pydantic closes the outermost object alone."""

    def dataclass_schema(self, schema: DataclassSchema) -> JsonSchemaValue:
        described = super().dataclass_schema(schema)
        return described | {
            "description": inspect.getdoc(schema["cls"]) or "",
            "additionalProperties": False,
        }


def json_schema(kind: type[Document], title: str) -> dict[str, Any]:
    """What a document's files hold to."""
    schema: dict[str, Any] = adapter(kind).json_schema(schema_generator=_Described)
    for described in (schema, *schema["$defs"].values()):
        for field in described["properties"].values():
            field.pop("title", None)  # repeats the field's name
    version = {"const": kind.SCHEMA}
    properties, required = {"schema": version, **schema["properties"]}, ["schema", *schema["required"]]
    return {
        "$schema": _Described.schema_dialect,
        **schema,
        "title": title,
        "properties": properties,
        "required": required,
    }


def text() -> str:
    """The schema of report.json, as its file."""
    return json.dumps(json_schema(Report, "edgetl report.json"), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Print, write or check the file."""
    if len(sys.argv) == 1:
        print(text(), end="")
        return
    if len(sys.argv) != 3 or sys.argv[1] not in ("--write", "--check"):
        sys.exit((__doc__ or "").partition("\n\n")[2].rstrip())
    path = Path(sys.argv[2])
    if sys.argv[1] == "--write":
        path.write_text(text(), encoding="utf-8")
    elif not path.is_file() or path.read_text(encoding="utf-8") != text():
        sys.exit(f"{path}: not what the types say: run `python -m edgetl.results.schema --write {path}`")


if __name__ == "__main__":
    main()
