"""From a recipe file to a resolved recipe: overrides, variables, the stand-in, and errors with their place.

load(path, ["distil.epochs=3"]) -> Loaded(recipe, project, data_root, stand_in)
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from edgetl.config import python_data, yaml_document
from edgetl.config.data import Data
from edgetl.config.names import READERS, table
from edgetl.config.overrides import Override, Overrides, dotted, get, parsed, placed
from edgetl.config.recipe import Recipe
from edgetl.config.training import WEIGHTS
from edgetl.config.validation import validate
from edgetl.config.yaml_document import Document, Path_
from edgetl.errors import DataError, RecipeError
from edgetl.errors.wording import quoted

__all__ = ["Loaded", "Resolved", "load", "resolve", "validate"]

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

_IS = {"folder": Path.is_dir, "file": Path.is_file}
_THERE = {"weights": Path.is_file, "unlabelled": Path.is_dir}

# What the embedded stand-in brings instead of the recipe's own sizes, so that a first run without data takes minutes.
_STAND_IN: dict[Path_, Any] = {
    ("data", "images"): 1400,
    ("data", "image_size"): 96,
    ("teacher", "epochs"): 5,
    ("teacher", "batch_size"): 64,
    ("distil", "epochs"): 10,
    ("distil", "batch_size"): 64,
    ("prune", "epochs"): None,
    ("prune", "batch_size"): 64,
}


@dataclass(frozen=True)
class Loaded:
    """A recipe that is ready to build.

    project: the folder that the store stands in and that relative paths in the recipe start from.
    data_root: absolute folder of the images, or their table or .npz; None for a phantom, which renders its own.
    stand_in: name of the synthetic data set in use, whether it stands in or was asked for; None for real data.
    """

    recipe: Recipe
    project: Path
    data_root: Path | None
    stand_in: str | None


@dataclass(frozen=True)
class Resolved:
    """A recipe with everything put in, before any folder is looked for.

    document: the values that were set, and where each was: file:line:column, `--set ...`, or the stand-in.
    missing: an error for each variable of a path that is not set and that no stand-in replaces.
    """

    document: Document
    recipe: Recipe
    stand_in: str | None
    missing: tuple[RecipeError, ...]


Source: TypeAlias = Path | Mapping[str, Any]
"""A recipe's file, or its content. Content belongs to the folder that the program runs in."""


def load(source: Source, overrides: Overrides = (), environment: Mapping[str, str] = os.environ) -> Loaded:
    """Read, override, resolve and validate a recipe.

    Raises RecipeError with file:line:column, UsageError for a malformed override, DataError for a root that is missing.
    """
    resolved = resolve(source, overrides, environment)
    if resolved.missing:
        raise resolved.missing[0]
    project = _project(source) if isinstance(source, Path) else Path.cwd()
    root = _data_root(resolved.document, resolved.recipe, project)
    return Loaded(_with_paths(resolved, project), project, root, resolved.stand_in)


def resolve(source: Source, overrides: Overrides = (), environment: Mapping[str, str] = os.environ) -> Resolved:
    """As `load`, without a look at the data: whatever a recipe says can be shown on any machine."""
    document = yaml_document.read(source) if isinstance(source, Path) else python_data.document(source, "recipe")
    if not isinstance(document.value, dict):
        got = "nothing" if document.value is None else quoted(document.value)
        raise RecipeError(
            f"got {got}, expected a mapping of fields, such as `name: my_model`", place=document.place(())
        )
    changes = tuple(parsed(overrides))
    stand_in = _stand_in(document, changes, environment)
    if stand_in:
        validate(document, Recipe)  # as it is written: a mistake in what the stand-in replaces must not stay hidden
        document = _with_stand_in(document, stand_in)
    for change in changes:
        document = change.applied(document)
    missing: list[RecipeError] = []
    for field in _path_fields(document):
        try:
            document = _expanded(document, field, environment)
        except RecipeError as exc:
            missing.append(exc)
    recipe = validate(document, Recipe)
    synthetic = recipe.data.kind if table(READERS)[recipe.data.kind].render else None
    return Resolved(document, recipe, synthetic, tuple(missing))


def _stand_in(document: Document, changes: Sequence[Override], environment: Mapping[str, str]) -> str | None:
    """The stand-in's name, when a variable in data.root is not set; an overridden root counts, the written does not."""
    stand_in = get(document, ("data", "stand_in"))
    for change in changes:
        if change.field in {"data.root", "data"}:
            document = change.applied(document)
    root = get(document, ("data", "root"))
    unset = isinstance(root, str) and any(not environment.get(name) for name in _VARIABLE.findall(root))
    return str(stand_in) if unset and stand_in is not None else None


def _with_stand_in(document: Document, stand_in: str) -> Document:
    """The recipe on the stand-in: its kind, and its small sizes; sections that the recipe leaves out stay left out."""
    place = f"the stand-in {stand_in}"
    data = {key: value for key, value in document.value["data"].items() if key not in ("root", "stand_in")}
    replaced: dict[Path_, str] = {("data", field): place for field in ("kind", "root", "stand_in")}
    value = {**document.value, "data": {**data, "kind": stand_in}}
    document = Document(document.name, value, {**document.places, **replaced})
    for (name, field), small in _STAND_IN.items():
        for section in _sections(document, str(name)):
            path = (*section, field)
            document = placed(document, path, small, {path: place})
    return document


def _sections(document: Document, name: str) -> list[Path_]:
    """Paths of a section: none where there is none, one for each entry where it is a list, as teachers may be."""
    section = document.value.get(name, None if name == "prune" else {})
    if isinstance(section, list):
        return [(name, index) for index in range(len(section))]
    return [] if section is None else [(name,)]


def _path_fields(document: Document) -> Iterator[Path_]:
    """Where a recipe has paths of files: there ${NAME} is replaced."""
    for name, field in (("data", "root"), ("data", "unlabelled"), ("teacher", "weights"), ("student", "weights")):
        for section in _sections(document, name):
            yield (*section, field)


def _expanded(document: Document, path: Path_, environment: Mapping[str, str]) -> Document:
    """The document with ${NAME} replaced in one field. Raises RecipeError for a name that is not set, or no name."""
    text, place = get(document, path), document.place(path)
    if not isinstance(text, str) or "${" not in text:
        return document
    if "${" in _VARIABLE.sub("", text):
        raise RecipeError(f"{dotted(path)}: got {quoted(text)}, expected ${{NAME}} of letters, digits, _", place=place)
    for name in _VARIABLE.findall(text):
        if not environment.get(name):
            hint = f"export {name}=/path/to/the/folder" + (", or name a stand_in" if path[0] == "data" else "")
            raise RecipeError(f"{dotted(path)}: the environment variable {name} is not set", place=place, hint=hint)
    value = _VARIABLE.sub(lambda match: environment[match[1]], text)
    if not value.isprintable():  # also what is not UTF-8: Python holds such a byte as half a surrogate pair
        raise RecipeError(f"{dotted(path)}: got {quoted(value)}, expected a path of printable text", place=place)
    return placed(document, path, value, {path: place})


def _project(path: Path) -> Path:
    """The folder a recipe belongs to: its own, or the one above when that is called `recipes`."""
    folder = path.resolve().parent
    return folder.parent if folder.name == "recipes" else folder


def _with_paths(resolved: Resolved, project: Path) -> Recipe:
    """The recipe with absolute paths of the weights' files and of unlabelled pictures; what is not there stays as it is."""
    document = resolved.document
    for field in _path_fields(document):
        text, there = get(document, field), _THERE.get(str(field[-1]))
        if there is None or not isinstance(text, str) or text in WEIGHTS:
            continue
        with contextlib.suppress(OSError, RuntimeError, ValueError):  # whoever reads it says what is wrong with it
            file = next((path for path in _candidates(text, project) if there(path)), None)
            if file is not None:
                document = placed(document, field, str(file.absolute()), {field: document.place(field)})
    return resolved.recipe if document is resolved.document else validate(document, Recipe)


def _candidates(text: str, project: Path) -> list[Path]:
    """What the shell set is relative to where the user stands, what the recipe says to the recipe's project.

    Raises OSError, RuntimeError, ValueError: no such home, no such path.
    """
    path = Path(text).expanduser()
    return [path] if path.is_absolute() else [Path.cwd() / path, project / path]


def _data_root(document: Document, recipe: Recipe, project: Path) -> Path | None:
    if recipe.data.root is None:
        return None
    place = document.place(("data", "root"))
    try:
        return _found(recipe.data, project, place)
    except (OSError, RuntimeError, ValueError) as exc:  # a folder that may not be entered, a name too long, ~nobody
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise DataError(f"data.root: {quoted(recipe.data.root)} cannot be looked at: {reason}", place=place) from exc


def _found(data: Data, project: Path, place: str) -> Path:
    """Absolute path of a root that is there. Raises DataError when it is not."""
    assert data.root is not None
    candidates = _candidates(data.root, project)
    reader = table(READERS)[data.kind]
    for candidate in candidates:
        if any(_IS[what](candidate) for what in reader.takes):
            # A link to a table stays one: the paths in it start where it stands, not where its content is kept.
            return candidate.parent.resolve() / candidate.name if candidate.is_file() else candidate.resolve()
    reason = "does not exist"
    if any(candidate.exists() for candidate in candidates):
        reason = "is a folder" if "file" in reader.takes else "is a file"
    raise DataError(
        f"data.root: {quoted(data.root)} {reason}, expected {reader.root}",
        place=place,
        hint="set the path right; a root that is set never falls back to the stand-in",
    )
