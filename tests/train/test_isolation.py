"""Each stage of a real build with nothing at hand but what it names, while every recipe field that it reads is noted.

A stage finds hard links of the files in its `needs` and `files`, the pictures that these list, and no others: one that opens
more fails, also where a native runtime opens it. Fields that it reads must be in its `settings`, or covered by what it needs.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import tiny_project
from pydantic import BaseModel
from recipe_changes import CHANGES, ONE_VALUE
from tiny_project import REAL_WEIGHTS

from edgetl import pipeline
from edgetl.config.fields import fields, section
from edgetl.config.loading import Loaded, load
from edgetl.config.recipe import Recipe
from edgetl.config.strict import Strict
from edgetl.console.progress import Silent
from edgetl.stages.common.stage import SOURCE, UNLABELLED, Stage

_CHANGES = REAL_WEIGHTS | {"data.unlabelled": "further"}
# What a stage reads that its settings leave out, and the input that is another one whenever the field is.
_COVERED = {
    ("teach", "data.image_size"): "data/train/pixels.npy",
    ("distil", "data.image_size"): "data/train/pixels.npy",
    ("trial", "data.image_size"): "data/train/pixels.npy",
    ("distil", "teacher"): "teach/network",
    ("prune", "data.image_size"): "data/train/pixels.npy",
    ("prune", "teacher"): "teach/network",
    ("unlabelled", "data.unlabelled"): UNLABELLED,
    ("trial", "teacher.members"): "teach.2/network",
    ("distil", "teacher.members"): "teach.2/network",
    ("prune", "teacher.members"): "teach.2/network",
}
# With pruning and its reference, or without pruning: a student is trained, and it is the same. So is the first of members.
_WITHOUT_EFFECT = {("distil", "prune"), ("teach", "teacher.members")}


@dataclass
class Build:
    """What the stages read, and their results."""

    loaded: Loaded
    results: dict[str, Path] = field(default_factory=dict)
    fields: dict[str, set[str]] = field(default_factory=dict)


def _link(path: Path, to: Path) -> None:
    """Hard links of a file, or of all files in a folder."""
    for file in [path] if path.is_file() else [inner for inner in path.rglob("*") if inner.is_file()]:
        place = to / file.relative_to(path) if path.is_dir() else to
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(file, place)


def _alone(stage: Stage, build: Build, folder: Path) -> tuple[Loaded, dict[str, Path]]:
    """A folder with what the stage names: its recipe, and the folders of the stages it needs."""
    inputs: dict[str, Path] = {}
    for need in stage.reads(build.loaded.recipe):
        name, _, path = need.partition("/")
        if name in build.results:
            inputs[name] = folder / "inputs" / name
            _link(build.results[name] / path, inputs[name] / path)
    project = folder / "project"
    (project / "data").mkdir(parents=True)
    shutil.copy(build.loaded.project / tiny_project.FILE, project)
    for file in stage.files(build.loaded, folder).values():
        _link(file, project / file.relative_to(build.loaded.project))
    if UNLABELLED in stage.needs:
        _link(build.loaded.project / "further", project / "further")
    data = build.loaded.project / "data"
    if SOURCE in stage.needs:
        _link(data, project / "data")
    else:
        (project / "data" / "table.csv").touch()  # a recipe whose data is missing does not load
    for listed in folder.glob("inputs/data/*/originals.json"):
        for image in json.loads(listed.read_text()):
            _link(data / image, project / "data" / image)
    return load(project / tiny_project.FILE), inputs


def _paths(model: type[BaseModel] = Recipe, path: str = "") -> Iterator[tuple[type[BaseModel], str, str]]:
    """(type, attribute, dotted path) of each field of the recipe that holds a value, or may be left out."""
    for one in fields(model):
        inner = section(one.info.annotation)
        if inner is None or one.takes_null:
            yield model, one.attribute, f"{path}{one.name}"
        if inner is not None:
            yield from _paths(inner, f"{path}{one.name}.")


_PATHS = {(model, attribute): path for model, attribute, path in _paths()}


def _note_fields(seen: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Note every field of a recipe that is read, one by one or in a dump of its section."""

    def read(model: Strict, name: str) -> Any:
        if (type(model), name) in _PATHS:
            seen.add(_PATHS[type(model), name])
        return object.__getattribute__(model, name)

    def dumping(dump: Callable[..., Any]) -> Callable[..., Any]:
        def dumped(model: Strict, **options: Any) -> Any:
            left_out = options.get("exclude") or ()
            for name in type(model).model_fields:
                if name not in left_out and isinstance(value := getattr(model, name), Strict):
                    value.model_dump()
            return dump(model, **options)

        return dumped

    monkeypatch.setattr(Strict, "__getattribute__", read, raising=False)
    for name in ("model_dump", "model_dump_json"):
        monkeypatch.setattr(Strict, name, dumping(getattr(Strict, name)))


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory, few_timed_runs: None) -> Iterator[Build]:
    """Every stage of a tiny real build, one after the other, each alone with what it names."""
    place = tmp_path_factory.mktemp("isolation")
    (place / "original").mkdir()
    (place / "empty").mkdir()
    loaded = tiny_project.read(tiny_project.write_trainable(place / "original"), _CHANGES)
    build = Build(loaded)
    before = Path.cwd()
    os.chdir(place / "empty")
    try:
        for stage in pipeline.all_stages():
            if stage.active(loaded.recipe):
                folder = place / stage.name
                alone, inputs = _alone(stage, build, folder)
                for name in ("result", "scratch"):
                    (folder / name).mkdir()
                source = alone.project / "data" / "table.csv"
                context = pipeline._context(alone, folder / "result", inputs, folder / "scratch", source, Silent())
                seen: set[str] = set()
                with pytest.MonkeyPatch.context() as monkeypatch:
                    _note_fields(seen, monkeypatch)
                    stage.run(context)
                build.fields[stage.name] = seen
                build.results[stage.name] = folder / "result"
        yield build
    finally:
        os.chdir(before)


def test_every_stage_runs_on_what_it_names(build: Build) -> None:
    assert list(build.results) == [stage.name for stage in pipeline.all_stages() if stage.active(build.loaded.recipe)]
    assert not any((build.loaded.project.parent / "empty").iterdir()), "nothing is written where the command runs"


def _changed(project: Path, path: str) -> Recipe:
    """The recipe with another value in a field; without a teacher nobody says anything of unlabelled pictures."""
    without = {"data.unlabelled": None} if path == "teacher" else {}
    return tiny_project.read(project, _CHANGES | without | CHANGES[path][0]).recipe


def test_a_stage_keys_each_field_that_it_reads(build: Build) -> None:
    recipe, project = build.loaded.recipe, build.loaded.project
    unsaid = {
        (stage.name, path)
        for stage in pipeline.all_stages()
        for path in build.fields.get(stage.name, set()) - ONE_VALUE
        if stage.settings(recipe) == stage.settings(_changed(project, path))
    }
    assert unsaid == _COVERED.keys() | _WITHOUT_EFFECT
    stages = {stage.name: stage for stage in pipeline.all_stages()}
    for (name, _), need in _COVERED.items():
        assert need in stages[name].needs
