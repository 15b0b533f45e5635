"""A target: a device to measure on, as frozen types, and where its file is found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from edgetl import documents
from edgetl.errors import RecipeError
from edgetl.loading import nearest, validate
from edgetl.recipe import Strict


class Target(Strict):
    """One device.

    kind: local is this machine's CPU.
    threads: thread counts to measure with; all is every core the process may use.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    kind: Literal["local"] = "local"
    threads: Annotated[tuple[Annotated[int, Field(ge=1, le=1024)] | Literal["all"], ...], Field(min_length=1)] = (
        1,
        "all",
    )


def load(name: str, project: Path) -> Target:
    """Read a target by name (`targets/NAME.yaml` of the project, then edgetl's own) or by path.

    Raises RecipeError when there is none, naming those that there are.
    """
    folders = [project / "targets", Path(__file__).parent / "_targets", Path(__file__).parent.parent / "targets"]
    candidates = [Path(name)] if name.endswith((".yaml", ".yml")) else [folder / f"{name}.yaml" for folder in folders]
    for path in candidates:
        if path.is_file():
            return validate(documents.read(path), Target)
    known = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    raise RecipeError(
        f"no target {name!r}{nearest(name, known)}", place="targets", hint="a target is a file targets/NAME.yaml"
    )
