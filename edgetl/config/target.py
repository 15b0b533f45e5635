"""A target: a device to measure on, as a frozen type, and where its file is found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from edgetl.config import yaml_document
from edgetl.config.recipe import Strict
from edgetl.config.validation import validate
from edgetl.errors import RecipeError
from edgetl.errors.wording import nearest, quoted


class Target(Strict):
    """A device to measure on."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """What reports call it; recipes name the file."""
    kind: Literal["local"] = "local"
    """local is this machine's CPU."""
    threads: Annotated[tuple[Annotated[int, Field(ge=1, le=1024)] | Literal["all"], ...], Field(min_length=1)] = (
        1,
        "all",
    )
    """Thread counts to measure with; all is every core that the process may use."""


def load(name: str, project: Path) -> Target:
    """Read a target, found as by `find`. Raises RecipeError."""
    return validate(yaml_document.read(find(name, project)), Target)


def find(name: str, project: Path) -> Path:
    """The file of a target by name (`targets/NAME.yaml` of the project, then edgetl's own), or by path.

    A path starts where the command runs, or else at the project.

    Raises RecipeError when there is none, naming those that there are.
    """
    folders = [project / "targets", Path(__file__).parents[1] / "_targets", Path(__file__).parents[2] / "targets"]
    is_path = name.endswith((".yaml", ".yml"))
    candidates = [Path(name), project / name] if is_path else [folder / f"{name}.yaml" for folder in folders]
    for path in candidates:
        if _is_file(path):
            return path
    known = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    raise RecipeError(
        f"no target {quoted(name)}{nearest(name, known)}", place="targets", hint="a target is a file targets/NAME.yaml"
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # no name of a file: too long, or with a NUL
        return False
