"""A pipeline of three stages that write numbers, with the real store, locks and walk; also run as a process of its own.

python tiny_pipeline.py FOLDER    builds in FOLDER/.edgetl, and notes what it computed in FOLDER/computed
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from unittest import mock

from edgetl import pipeline
from edgetl.config.loading import load
from edgetl.config.recipe import Recipe
from edgetl.console.progress import Progress, Silent
from edgetl.files import write_whole
from edgetl.stages.common import preflight, sources
from edgetl.stages.common.stage import SOURCE, Context, Stage, Step
from edgetl.store import Store

RECIPE = "name: tiny\nseed: 3\ndata: {kind: folder, root: data}\nteacher: {epochs: 5}\n"


class Told(Silent):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        """Keep the line."""
        self.warnings.append(message)


def _one(context: Context) -> None:
    _note(context, "one")
    (context.folder / "number").write_text(str(context.recipe.seed))


def _two(context: Context) -> None:
    _note(context, "two")
    number = int((context.inputs["one"] / "number").read_text())
    (context.folder / "number").write_text(str(number * 10 + (context.recipe.teachers[0].epochs or 0)))


def _three(context: Context) -> None:
    _note(context, "three")
    (context.folder / "number").write_text((context.inputs["two"] / "number").read_text() + "!")


def _note(context: Context, name: str) -> None:
    time.sleep(0.05)  # long enough for two to meet
    with (context.project / "computed").open("a") as file:
        file.write(f"{name}\n")


def _settings(recipe: Recipe) -> object:
    return {"seed": recipe.seed}


def _epochs(recipe: Recipe) -> object:
    return {"teacher": {"epochs": recipe.teachers[0].epochs}}


STAGES = (
    Stage("one", 1, (SOURCE,), _settings, ("numpy",), _one),
    Stage("two", 1, ("one/number",), _epochs, (), _two),
    Stage("three", 1, ("two/number",), lambda recipe: {}, (), _three),
)


def build(project: Path, *overrides: str, progress: Progress | None = None, fresh: bool = False) -> list[Step]:
    """Build the three stages of a project."""
    (project / "data").mkdir(exist_ok=True)
    write_whole(project / "tiny.yaml", RECIPE)  # another process may be reading it
    loaded = load(project / "tiny.yaml", overrides)
    with (
        mock.patch.object(pipeline, "all_stages", return_value=STAGES),
        mock.patch.object(preflight, "check"),
        mock.patch.object(sources, "fingerprint", return_value="data"),
    ):
        store = Store(project / ".edgetl")
        return pipeline.build(loaded, store, project / "run", progress or Silent(), until="three", fresh=fresh)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
