"""`edgetl init`: from a folder of pictures to a starter recipe."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgetl.api.boundary import boundary
from edgetl.api.data_section import data_section
from edgetl.api.paths import AnyPath, expanded, require_writable, write_text
from edgetl.api.starter import Start, decide, text
from edgetl.config import python_data
from edgetl.config.overrides import Overrides, parsed
from edgetl.config.recipe import Recipe
from edgetl.config.validation import validate
from edgetl.console.events import Listener, reporting_to
from edgetl.data.discovery import discover
from edgetl.data.table_trials import Asked
from edgetl.errors import Interrupted, RecipeError, UsageError
from edgetl.stages.common import sources

__all__ = ["InitResult", "Start", "init"]

_KEPT = {"augment", "bits", "exclude", "image_size", "resize", "split", "stand_in"}
"""Fields of the data section that nobody needs to find out what lies there, or that stay as they are said."""


@dataclass(frozen=True)
class InitResult:
    """A starter recipe that was written, and the decisions in it."""

    recipe: Path
    start: Start

    def to_json(self) -> dict[str, Any]:
        """As `edgetl init --json` prints it."""
        return {"recipe": str(self.recipe), **self.start.to_json()}


@boundary
def init(
    data: AnyPath,
    *,
    out: AnyPath = "recipe.yaml",
    columns: Mapping[str, str] | None = None,
    overrides: Overrides = (),
    force: bool = False,
    progress: Listener = None,
) -> InitResult:
    """Look at a data set and write a starter recipe for it.

    Args:
        data: a folder of pictures, a table or a .npz.
        columns: role -> column of a table, where several may have one.
        overrides: fields of the data section that are known beforehand, as data.level.
        out: the recipe to write.
        force: overwrite it.
        progress: what is told how far it is; nobody without it.

    Raises:
        UsageError: `out` is there already, or its folder is not.
        EnvironmentFault: nothing can be written there.
        DataError: nothing at `data` can be read, several things may be meant, or there is too little for three splits.
    """
    recipe = Path(out)
    require_writable(recipe, force=force)
    asked, said = _asked(columns or {}, overrides)
    try:
        with reporting_to(progress) as reporter, tempfile.TemporaryDirectory() as scratch:
            start = decide(discover(expanded(data), Path(scratch), reporter, asked), recipe, said)
    except KeyboardInterrupt as exc:
        raise Interrupted("interrupted; nothing was written") from exc
    _require_a_kind_for_all(start)
    write_text(recipe, text(start))
    return InitResult(recipe, start)


def _asked(columns: Mapping[str, str], overrides: Overrides) -> tuple[Asked, dict[str, Any]]:
    """What the caller says of the data before anyone looks at them, and what only a build has to know of it."""
    fields = [change.field for change in parsed(overrides)]
    kind = "csv" if columns or any(field.startswith(("data.columns", "data.table")) for field in fields) else "folder"
    section, root = data_section(f"{kind}:data", columns, overrides)
    patterns = sources.exclusions(section, root, Path.cwd())
    said = section.model_dump(mode="json", include=_KEPT, exclude_unset=True, by_alias=True)
    return Asked(sources.layout(section), section.labels, patterns, "data.level" in fields), said


def _require_a_kind_for_all(start: Start) -> None:
    """Raises UsageError where the data turned out to be of a kind that lacks a field that the caller named."""
    section = {"kind": start.kind, "root": start.root, **start.section}
    try:
        validate(python_data.document({"name": start.name, "data": section}, "recipe"), Recipe)
    except RecipeError as exc:
        raise UsageError(f"the data are of kind {start.kind}: {exc.message}", hint=exc.hint) from exc
