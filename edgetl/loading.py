"""From a recipe file to a resolved recipe: overrides, variables, the stand-in, and errors with their place.

load(path, ["distil.epochs=3"]) -> Loaded(recipe, project, data_root, stand_in)
"""

from __future__ import annotations

import difflib
import json
import os
import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from edgetl import documents
from edgetl.documents import Document, Path_
from edgetl.errors import DataError, RecipeError, UsageError
from edgetl.recipe import Recipe

Model = TypeVar("Model", bound=BaseModel)

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PATH_FIELDS: tuple[Path_, ...] = (("data", "root"), ("teacher", "weights"), ("student", "weights"))

# What pydantic puts into the place of an error to tell one teacher from a list of them.
_TAGS = ("one", "several")

# What the embedded stand-in brings instead of the recipe's own sizes, so that a first run without data takes minutes.
_STAND_IN: dict[Path_, Any] = {
    ("data", "images"): 1400,
    ("data", "image_size"): 96,
    ("teacher", "epochs"): 5,
    ("distil", "epochs"): 10,
    ("prune", "epochs"): 15,
}


@dataclass(frozen=True)
class Loaded:
    """A recipe that is ready to build.

    project: the folder that the store stands in and that relative paths in the recipe start from.
    data_root: absolute folder of the images; None for a phantom, which renders its own.
    stand_in: name of the synthetic data set in use, whether it stands in or was asked for; None for real data.
    """

    path: Path
    recipe: Recipe
    project: Path
    data_root: Path | None
    stand_in: str | None


def load(path: Path, overrides: Sequence[str] = (), environment: Mapping[str, str] = os.environ) -> Loaded:
    """Read, override, resolve and validate a recipe.

    Raises RecipeError with file:line:column, UsageError for a malformed override, DataError for a root that is missing.
    """
    document = documents.read(path)
    if not isinstance(document.value, dict):
        raise RecipeError("expected a mapping of fields, such as `name: my_model`", place=document.place(()))
    missing = _unset_variables(document, overrides, environment)
    stand_in = _stand_in(document) if missing else None
    if stand_in:
        validate(document, Recipe)  # as it is written: a mistake in what the stand-in replaces must not stay hidden
        document = _with_stand_in(document, stand_in)
    for override in overrides:
        document = _override(document, override)
    if not stand_in:
        document = _expand(document, environment)
    recipe = validate(document, Recipe)
    project = _project(path)
    synthetic = recipe.data.kind if recipe.data.kind == "skin_phantom" else None
    return Loaded(path, recipe, project, _data_root(document, recipe, project), synthetic)


def validate(document: Document, model: type[Model]) -> Model:
    """Check a document against a type; a RecipeError lists each wrong field with its place and the nearest name."""
    try:
        # Through JSON because only there does strict mode take a list for a tuple.
        return model.model_validate_json(json.dumps(document.value), strict=True)
    except ValidationError as exc:
        problems = [_problem(document, model, error) for error in exc.errors(include_url=False)]
        (place, message), rest = problems[0], problems[1:]
        raise RecipeError("\n".join([message, *(f"{where}: {text}" for where, text in rest)]), place=place) from exc


def _problem(document: Document, model: type[BaseModel], error: Any) -> tuple[str, str]:
    """One of pydantic's findings as (place, "field: got, expected, nearest name")."""
    path: Path_ = tuple(step for step in error["loc"] if step not in _TAGS)
    field = ".".join(str(step) for step in path) or "the document"
    got = json.dumps(error["input"])
    if error["type"] == "extra_forbidden":
        text = f"unknown field{nearest(str(path[-1]), _fields(model, path[:-1]))}"
    elif error["type"] == "missing":
        text = "is missing"
    elif error["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", error["ctx"]["expected"]) or [error["ctx"]["expected"]]
        text = f"got {got}, expected one of {', '.join(choices)}{nearest(str(error['input']), choices)}"
    elif error["type"] == "value_error":
        text = str(error["ctx"]["error"])
    else:
        shown = got if len(got) < 60 else got[:57] + "..."
        text = f"got {shown}, expected: {error['msg'].removeprefix('Input should be ')}"
    return document.place(path), f"{field}: {text}"


def nearest(word: str, names: Sequence[str]) -> str:
    """The end of an error message: the known name that is nearest to a word, or all known names."""
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known here: {', '.join(names)}" if names else ""


def _fields(model: type[BaseModel], path: Path_) -> list[str]:
    """Names of the fields of the type that stands at a path of a model."""
    for step in path:
        annotation = model.model_fields[str(step)].annotation if str(step) in model.model_fields else None
        inner = [
            part
            for part in (annotation, *typing.get_args(annotation))
            if isinstance(part, type) and issubclass(part, BaseModel)
        ]
        if not inner:
            return []
        model = inner[0]
    return sorted(info.alias or name for name, info in model.model_fields.items())


def _override(document: Document, override: str) -> Document:
    """Apply one `a.b=c`; the value is YAML, so `null`, `[onnx]` and `{macs: 0.5}` work."""
    field, equals, text = override.partition("=")
    path: Path_ = tuple(field.strip().split("."))
    if not equals or not all(path):
        raise UsageError(f"--set {override}: expected FIELD=VALUE", hint="for example --set distil.epochs=3")
    name = f"--set {override}"
    parsed = documents.parse(text, name)
    return _placed(document, path, parsed.value, {(*path, *inner): name for inner in parsed.places})


def _placed(document: Document, path: Path_, value: Any, places: Mapping[Path_, str]) -> Document:
    """A copy of the document with one value put at a path; missing or null mappings on the way are made."""
    root: dict[Any, Any] = dict(document.value)
    here = root
    for step in path[:-1]:
        inner = here.get(step)
        if inner is not None and not isinstance(inner, dict):
            raise RecipeError(f"{'.'.join(map(str, path))}: {step} is no mapping", place=places[path])
        here[step] = here = dict(inner or {})
    here[path[-1]] = value
    return Document(document.name, root, {**document.places, **places})


def _get(document: Document, path: Path_) -> Any:
    value = document.value
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _unset_variables(document: Document, overrides: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Variables in data.root that the environment lacks; an overridden root counts, the written one then does not."""
    for override in overrides:
        if override.partition("=")[0].strip() in {"data.root", "data"}:
            document = _override(document, override)
    root = _get(document, ("data", "root"))
    return [name for name in _VARIABLE.findall(root) if not environment.get(name)] if isinstance(root, str) else []


def _stand_in(document: Document) -> str | None:
    value = _get(document, ("data", "stand_in"))
    return str(value) if value is not None else None


def _with_stand_in(document: Document, stand_in: str) -> Document:
    """The recipe on the stand-in: its kind, and its small sizes; sections that the recipe leaves out stay left out."""
    place = f"the stand-in {stand_in}"
    document = _placed(document, ("data", "kind"), stand_in, {("data", "kind"): document.place(("data", "stand_in"))})
    data = {key: value for key, value in document.value["data"].items() if key not in ("root", "stand_in")}
    document = _placed(document, ("data",), data, {})
    for path, value in _STAND_IN.items():
        section = document.value.get(path[0], {})
        if section is not None and (path[0] != "prune" or section):
            document = _placed(document, path, value, {path: place})
    return document


def _expand(document: Document, environment: Mapping[str, str]) -> Document:
    """Replace ${NAME} in the fields that are paths."""
    for path in _PATH_FIELDS:
        text = _get(document, path)
        if not isinstance(text, str):
            continue
        for name in _VARIABLE.findall(text):
            if not environment.get(name):
                raise RecipeError(
                    f"{'.'.join(map(str, path))}: the environment variable {name} is not set",
                    place=document.place(path),
                    hint=f"export {name}=/path/to/the/folder" + (", or name a stand_in" if path[0] == "data" else ""),
                )
        expanded = _VARIABLE.sub(lambda match: environment[match[1]], text)
        document = _placed(document, path, expanded, {path: document.place(path)})
    return document


def _project(path: Path) -> Path:
    """The folder a recipe belongs to: its own, or the one above when that is called `recipes`."""
    folder = path.resolve().parent
    return folder.parent if folder.name == "recipes" else folder


def _data_root(document: Document, recipe: Recipe, project: Path) -> Path | None:
    if recipe.data.root is None:
        return None
    root = Path(recipe.data.root).expanduser()
    # What the shell set is relative to where the user stands, what the recipe says to the recipe's project.
    candidates = [root] if root.is_absolute() else [Path.cwd() / root, project / root]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate.resolve()
    reason = "is a file" if any(candidate.exists() for candidate in candidates) else "does not exist"
    raise DataError(
        f"data.root: {recipe.data.root} {reason}, expected a folder of kind {recipe.data.kind}",
        place=document.place(("data", "root")),
        hint="set the path right; a root that is set never falls back to the stand-in",
    )
