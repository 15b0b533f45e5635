"""A target: a device to measure on. Its file is found here; what the file may say belongs to its kind of device."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, cast

from pydantic import Field

from edgetl.config import yaml_document
from edgetl.config.names import DEVICES, OneOf, table
from edgetl.config.places import target_folders
from edgetl.config.strict import Strict
from edgetl.config.validation import validate
from edgetl.errors import RecipeError
from edgetl.errors.wording import nearest, quoted

__all__ = ["Target", "load", "load_all", "types"]

_KINDS = OneOf(DEVICES)
_USUAL = "local"


class Target(Strict):
    """What the target files of every kind of device say; a kind adds its own fields."""

    REFUSED: ClassVar[Mapping[str, str]] = {}
    """Fields that someone may look for and that there are not, with what is to be done instead."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """What reports call it; recipes name the file."""
    kind: Annotated[str, _KINDS] = _USUAL
    """Which kind of device."""

    @property
    def origin(self) -> Literal["measured", "emulated"]:
        """What a time on it is, as its rows say."""
        return "measured"

    def find_machine(self) -> str:
        """Names the machine, as far as can be told now: targets of one machine are never measured at the same time.

        May ask a device, for some seconds.
        """
        return "this machine" if table(_KINDS.where)[self.kind].here else f"{self.kind} {self.name}"


def types() -> dict[str, type[Target]]:
    """Kind of device -> the type of its target files."""
    return {name: cast(type[Target], pkgutil.resolve_name(kind.target)) for name, kind in table(_KINDS.where).items()}


def load(name: str, project: Path, place: str = "targets") -> Target:
    """Read a target, found as by `find`. Raises RecipeError."""
    document, known = yaml_document.read(find(name, project, place)), types()
    kind = document.value.get("kind") if isinstance(document.value, dict) else None
    # One without a kind that there is goes through the usual type, which says what is wrong.
    return validate(document, known[kind if isinstance(kind, str) and kind in known else _USUAL])


def load_all(names: Sequence[str], project: Path, place: str = "targets") -> list[Target]:
    """Read targets that are measured together. place: who names them.

    Raises RecipeError, also where two have one name: their rows would be mixed.
    """
    found: dict[str, tuple[str, Target]] = {}
    for file in names:
        each = load(file, project, place)
        if each.name in found:
            raise RecipeError(
                f"got {quoted(found[each.name][0])} and {quoted(file)}, both named {quoted(each.name)}, expected two names",
                place=place,
                hint="name each target once, and give each target file its own `name`",
            )
        found[each.name] = file, each
    return [each for _, each in found.values()]


def find(name: str, project: Path, place: str = "targets") -> Path:
    """The file of a target by name (`targets/NAME.yaml` of the project, then edgetl's own), or by path.

    A path starts where the command runs, or else at the project.

    place: who names it: the recipe's field, or an option.

    Raises RecipeError when there is none, naming those that there are.
    """
    folders = target_folders(project)
    is_path = name.endswith((".yaml", ".yml"))
    candidates = [Path(name), project / name] if is_path else [folder / f"{name}.yaml" for folder in folders]
    for path in candidates:
        if _is_file(path):
            return path
    known = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    raise RecipeError(
        f"no target {quoted(name)}{nearest(name, known)}", place=place, hint="a target is a file targets/NAME.yaml"
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # no name of a file: too long, or with a NUL
        return False
