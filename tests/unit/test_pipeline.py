"""The build's walk over stages: once each, for all builds together, from results that are what they were."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny_pipeline
from tiny_pipeline import Told, build

from edgetl import pipeline
from edgetl.api.plan import planned
from edgetl.config.loading import load
from edgetl.config.recipe import Recipe
from edgetl.console.progress import Progress
from edgetl.data.table import DataTable
from edgetl.errors import DataError, IntegrityError
from edgetl.pipeline import _walk
from edgetl.stages.common import forecast
from edgetl.stages.common.stage import SOURCE, Context, Stage, Step
from edgetl.store import Store


def _computed(project: Path) -> list[str]:
    """Names of the stages that were computed since the last call."""
    path = project / "computed"
    names = path.read_text().split() if path.is_file() else []
    path.unlink(missing_ok=True)
    return names


def _number(steps: list[Step]) -> str:
    assert steps[-1].entry is not None
    return (steps[-1].entry.folder / "number").read_text()


def test_builds_at_once_in_one_store_compute_each_stage_once(tmp_path: Path) -> None:
    words = [sys.executable, tiny_pipeline.__file__, str(tmp_path)]
    builds = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.communicate()[1] for process in builds]
    assert [process.returncode for process in builds] == [0] * 4, said
    assert _computed(tmp_path) == ["one", "two", "three"]
    assert _number(build(tmp_path)) == "35!"
    assert not list((tmp_path / ".edgetl" / "locks").iterdir())


@pytest.mark.parametrize("file", ["number", "entry.json"])
def test_a_damaged_result_is_named_and_computed_again_and_what_follows_is_not(tmp_path: Path, file: str) -> None:
    entry = build(tmp_path)[0].entry
    assert entry is not None
    (entry.folder / file).write_text("4")
    _computed(tmp_path)
    told = Told()
    steps = build(tmp_path, progress=told)
    assert _computed(tmp_path) == ["one"]
    assert [step.cached for step in steps] == [False, True, True]
    assert f"the stored result of one is damaged: {file}" in told.warnings[0]
    assert _number(steps) == "35!"


def test_a_damaged_result_of_unknown_state_is_found_before_a_stage_reads_it(tmp_path: Path) -> None:
    entry = build(tmp_path)[0].entry
    assert entry is not None
    (tmp_path / ".edgetl" / "verified" / entry.key).unlink()  # a store from elsewhere
    (entry.folder / "number").write_text("4")
    _computed(tmp_path)
    assert _number(build(tmp_path, "teacher.epochs=6")) == "36!"
    assert _computed(tmp_path) == ["one", "two", "three"]


def test_a_disk_that_damages_at_once_ends_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path)
    find = Store.find

    def rotten(store: Store, key: str, stage: str = "") -> object:
        for path in (store.root / "entries").glob("*/number"):
            path.write_text("rotten")
        return find(store, key, stage)

    monkeypatch.setattr(Store, "find", rotten)
    with pytest.raises(IntegrityError, match="the stored result of"):
        build(tmp_path)


@pytest.mark.parametrize("what", ["the data set", "w.pth"])
def test_what_changes_while_a_stage_reads_it_ends_the_build(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = iter(["before", "before", "after"])  # when it is planned, when the build begins, when the stage has ended

    def outside(stage: Stage, loaded: object, store: object) -> dict[str, str]:
        name = SOURCE if what == "the data set" else what
        return {name: next(content)} if stage.name == "one" else {}

    monkeypatch.setattr(pipeline, "_outside", outside)
    with pytest.raises(DataError, match=f"{what} changed while one was computed from it"):
        build(tmp_path)
    assert not list((tmp_path / ".edgetl" / "entries").glob("*"))


def test_fresh_computes_everything_once(tmp_path: Path) -> None:
    build(tmp_path)
    _computed(tmp_path)
    assert not any(step.cached for step in build(tmp_path, fresh=True))
    assert _computed(tmp_path) == ["one", "two", "three"]


def _training(name: str, *needs: str, fails: bool = False) -> Stage:
    """A stage that trains, or is stopped in the middle of it."""

    def run(context: Context) -> None:
        with (context.project / "computed").open("a") as file:
            file.write(f"{name}\n")
        (context.scratch / "checkpoints").mkdir(exist_ok=True)
        if fails:
            raise KeyboardInterrupt
        (context.folder / "number").write_text(name)

    def settings(recipe: Recipe) -> object:
        return {"teacher": {"epochs": recipe.teachers[0].epochs}} if name == "distil" else {}

    return Stage(name, 1, tuple(f"{need}/number" for need in needs), settings, (), run, trains=name != "data")


def test_before_the_first_training_a_forecast_is_made_of_those_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell(
        recipe: Recipe,
        folder: Path,
        stages: set[str],
        progress: Progress,
        *,
        begun: bool,
        rehearsal: None,
        unlabelled: None,
    ) -> None:
        with (tmp_path / "computed").open("a") as file:
            file.write(f"{','.join(sorted(stages))}:{begun}\n")
        assert (folder / "number").read_text() == "data"

    monkeypatch.setattr(forecast, "tell", tell)
    monkeypatch.setattr(DataTable, "load", lambda *_: SimpleNamespace(classes=("a", "b")))
    stages = [
        _training("data"),
        _training("teach", "data"),
        _training("distil", "data", "teach"),
        _training("three", "data"),
    ]
    monkeypatch.setattr(
        tiny_pipeline, "STAGES", [*stages[:2], _training("distil", "data", "teach", fails=True), stages[3]]
    )
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path)
    assert _computed(tmp_path) == ["data", "distil,teach,three:False", "teach", "distil"]
    monkeypatch.setattr(tiny_pipeline, "STAGES", stages)
    build(tmp_path)
    assert _computed(tmp_path) == ["distil,three:True", "distil", "three"]
    build(tmp_path)
    assert _computed(tmp_path) == []
    build(tmp_path, "teacher.epochs=7")
    assert _computed(tmp_path) == ["distil:False", "distil"], "three is cached, and does not wait for it"
    build(tmp_path, fresh=True)
    assert _computed(tmp_path) == ["data", "distil,teach,three:False", "teach", "distil", "three"]


def _why(project: Path, *overrides: str) -> dict[str, object]:
    loaded, store = load(project / "tiny.yaml", overrides), Store(project / ".edgetl")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgetl.stages.common.sources.fingerprint", lambda loaded, store: "data")
        steps = list(_walk(loaded, store, tiny_pipeline.STAGES, None, fresh=False))
    return {stage.name: stage.to_json().get("why") for stage in planned(loaded, store, steps, fresh=False)}


def test_a_plan_says_why(tmp_path: Path) -> None:
    build(tmp_path)
    assert _why(tmp_path) == {"one": None, "two": None, "three": None}
    assert _why(tmp_path, "teacher.epochs=7") == {
        "one": None,
        "two": ["teacher.epochs: 5 -> 7"],
        "three": ["after two"],
    }
    changed = _why(tmp_path, "seed=4", "teacher.epochs=7")
    assert changed == {"one": ["seed: 3 -> 4"], "two": ["after one", "teacher.epochs: 5 -> 7"], "three": ["after two"]}
