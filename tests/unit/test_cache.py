"""`edgetl cache`, and why a stage would run: a store with a history, made by hand."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from edgetl.commands import cache
from edgetl.errors import EnvironmentFault, IntegrityError, UsageError
from edgetl.store import Dependencies, Entry, History, Store, maintenance
from edgetl.store.store import remove

DAY = 86400
RECIPE = {"seed": 0, "data": {"image_size": 64}, "teacher": {"epochs": 3}, "distil": {"loss": "dist"}}


def _parts(
    stage: str = "teach", version: int = 1, inputs: dict[str, str] | None = None, **settings: Any
) -> Dependencies:
    return Dependencies.of(stage, version, settings, inputs or {}, ("numpy",))


def _put(store: Store, parts: Dependencies, recipe: str | None = None, days_ago: float = 0) -> Entry:
    """An entry that was made, and last needed by `recipe`, some days ago."""
    with store.draft(parts) as draft:
        (draft.folder / "file").write_text("content")
    assert draft.entry is not None
    then = time.time() - days_ago * DAY
    record = json.loads((draft.entry.folder / "entry.json").read_text())
    record["made"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(then))
    (draft.entry.folder / "entry.json").write_text(json.dumps(record))
    if recipe:
        store.use(draft.entry.key, recipe)
        os.utime(store.root / "used" / draft.entry.key / recipe, (then, then))
    return draft.entry


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / ".edgetl")


def _cache(store: Store, *words: str) -> Any:
    """Its JSON."""
    app = typer.Typer()
    cache.register(app)
    app.callback()(lambda: None)
    done = CliRunner().invoke(app, ["cache", words[0], "--store", str(store.root), "--json", *words[1:]])
    if done.exception is not None:
        raise done.exception
    return json.loads(done.stdout)


def test_list_tells_what_each_result_took_and_who_needed_it(store: Store) -> None:
    entry = _put(store, _parts(epochs=3), "tiny", days_ago=2)
    (item,) = _cache(store, "list")["entries"]
    assert (item["stage"], item["key"], item["size"], item["recipes"]) == ("teach", entry.key, 7, ["tiny"])
    assert time.time() - item["used"] == pytest.approx(2 * DAY, abs=60)


def test_prune_takes_what_nobody_needed_and_what_killed_builds_left(store: Store) -> None:
    old, new = _put(store, _parts(epochs=1), "tiny", 40), _put(store, _parts(epochs=2), "tiny", 20)
    kept = _put(store, _parts(epochs=3), days_ago=50)
    store.use(kept.key, "another")  # made long ago, needed today
    left = [
        store.root / "aside" / "0123-77",
        store.root / "damaged" / "0123-20260101",
        store.root / "scratch" / new.key,
    ]
    trained = store.root / "scratch" / "abcd"  # an interrupted training of today
    for folder in (*left, trained):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    (store.root / "locks").mkdir()
    (store.root / "locks" / "stale").write_text("")
    gone = {str(store.root / one["path"]) for one in _cache(store, "prune", "--dry-run")["removed"]}
    assert gone == {str(path) for path in (*left, old.folder)}
    assert old.folder.is_dir(), "a dry run removes nothing"
    assert _cache(store, "prune")["freed_bytes"] == 7 + 3
    assert not any(path.exists() for path in (*left, old.folder, store.root / "used" / old.key))
    assert all(path.is_dir() for path in (new.folder, kept.folder, trained))
    assert not list((store.root / "locks").iterdir())
    assert len(_cache(store, "prune", "--older-than", "0d")["removed"]) == 3
    assert _cache(store, "list")["entries"] == []


def test_files_that_are_no_results_and_records_that_make_no_sense_break_nothing(store: Store) -> None:
    good, *odd = (_put(store, _parts(epochs=number)) for number in range(7))
    (store.root / "entries" / ".DS_Store").write_text("put here by a file manager")
    changes: list[dict[str, Any]] = [{"made": "yesterday"}, {"seconds": "abc"}, {"files": {"file": ["x", "y"]}}]
    changes += [{"parts": {"inputs": None}}, {"files": []}]
    for entry, change in zip(odd, changes, strict=False):
        record = json.loads((entry.folder / "entry.json").read_text())
        (entry.folder / "entry.json").write_text(json.dumps(record | change))
    (odd[-1].folder / "entry.json").unlink()
    (odd[-1].folder / "entry.json").mkdir()
    assert [item["key"] for item in _cache(store, "list")["entries"]] == [good.key]
    with pytest.raises(IntegrityError, match="6 of 7 results are damaged"):
        _cache(store, "verify")
    assert History(store.root).why(_parts(epochs=99), "tiny", RECIPE)
    assert len(_cache(store, "prune")["removed"]) == 6
    assert _cache(store, "verify")["entries"][0]["key"] == good.key


def test_prune_goes_on_where_something_cannot_be_removed_and_says_so(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stubborn, other = _put(store, _parts(epochs=1), days_ago=40), _put(store, _parts(epochs=2), days_ago=40)

    def refusing(path: Path) -> None:
        if stubborn.key in path.name:
            raise PermissionError(1, "Operation not permitted", str(path))
        remove(path)

    monkeypatch.setattr(maintenance, "remove", refusing)
    with pytest.raises(EnvironmentFault, match=f"1 of 2 .*{stubborn.key}.*: Operation not permitted"):
        _cache(store, "prune")
    assert not other.folder.exists()
    assert not stubborn.folder.exists(), "it was taken out of the way in one step"
    monkeypatch.undo()
    assert len(_cache(store, "prune")["removed"]) == 1


def test_what_lies_besides_is_told_and_unpacked_pictures_go_too(store: Store) -> None:
    _put(store, _parts(epochs=1))
    for part in ("pictures/medmnist", "pictures/skin_phantom", "scratch"):
        (store.root / part / "1-abc").mkdir(parents=True)
        (store.root / part / "1-abc" / "file").write_text("four")
    besides = _cache(store, "list")["besides"]
    assert besides == {"checkpoints": 4, "rendered and unpacked pictures": 8}
    assert len(_cache(store, "prune", "--older-than", "0d")["removed"]) == 4
    assert _cache(store, "list")["besides"] == {}


def test_prune_leaves_alone_what_a_running_build_holds_or_has_used(store: Store) -> None:
    used = _put(store, _parts(epochs=1))
    held = _put(store, _parts(epochs=2), "tiny", days_ago=50)
    with store.building(), store.locked(held.key, "computes teach", print):
        store.use(used.key, "tiny")
        assert _cache(store, "prune", "--older-than", "0d")["removed"] == []
    assert len(_cache(store, "prune", "--older-than", "0d")["removed"]) == 2


def test_verify_finds_a_changed_byte_and_prune_removes_the_result(store: Store) -> None:
    good, bad = _put(store, _parts(epochs=1)), _put(store, _parts(epochs=2))
    assert [check["problem"] for check in _cache(store, "verify")["entries"]] == ["", ""]
    (bad.folder / "file").write_text("c0ntent")
    with pytest.raises(IntegrityError, match="1 of 2 results are damaged"):
        _cache(store, "verify")
    (gone,) = _cache(store, "prune")["removed"]
    assert "damaged: file: got sha256" in gone["why"]
    assert [item["key"] for item in _cache(store, "list")["entries"]] == [good.key]


def test_a_store_that_is_not_there_and_a_strange_age_are_usage_errors(store: Store) -> None:
    with pytest.raises(UsageError, match="there is no store"):
        _cache(store, "list")
    store.root.mkdir()
    with pytest.raises(UsageError, match="expected a number and h, d or w"):
        _cache(store, "prune", "--older-than", "soon")


def test_each_kind_of_change_is_a_reason(store: Store) -> None:
    before = _parts(inputs={"data/table.json": "a"}, teacher={"epochs": 3}, loss="dist", image_size=64)
    _put(store, before, "tiny")
    now = _parts(version=2, inputs={"data/table.json": "b"}, teacher={"epochs": 4}, loss="kd", image_size=None)
    now = Dependencies(now.stage, now.version, now.settings, now.inputs, {"numpy": "99"})
    assert History(store.root).why(now, "tiny", RECIPE) == [
        "the stage's version: 1 -> 2",
        "teacher.epochs: 3 -> 4",
        'distil.loss: "dist" -> "kd"',
        "data.image_size: 64 -> null",
        f"numpy: {before.tools['numpy']} -> 99",
        "data/table.json changed",
    ]


def test_a_section_that_is_gone_and_a_seed_that_was_never_set_are_said_as_a_person_would(store: Store) -> None:
    recipe = RECIPE | {"prune": None, "data": {"split": {"seed": None}}}
    _put(store, _parts(prune={"epochs": 3, "macs": 0.6}, data={"split": {"seed": 0}}), "tiny")
    now = _parts(prune=None, data={"split": {"seed": 1}})
    assert History(store.root).why(now, "tiny", recipe) == ["prune: a section -> null", "seed: 0 -> 1"]


def test_the_reason_is_held_against_what_this_recipe_needed_last(store: Store) -> None:
    _put(store, _parts(epochs=5, rate=1), "other", days_ago=0)
    _put(store, _parts(epochs=3, rate=1), "tiny", days_ago=1)
    _put(store, _parts(epochs=9, rate=1), "tiny", days_ago=3)
    wanted, history = _parts(epochs=6, rate=2), History(store.root)
    assert history.why(wanted, "tiny", None) == ["epochs: 3 -> 6", "rate: 1 -> 2"]
    assert history.why(_parts(epochs=9, rate=2), "a new name", None) == ["rate: 1 -> 2"], "the nearest one"


def test_what_has_no_history_says_so(store: Store) -> None:
    waiting = _parts("distil", inputs={})
    assert History(store.root).why(waiting, "tiny", None, ["teach"]) == ["after teach", "never computed in this store"]
    entry = _put(store, _parts("distil", inputs={"teach/network": "a"}), "tiny")
    assert History(store.root).why(waiting, "tiny", None, ["teach"]) == ["after teach"]
    record = json.loads((entry.folder / "entry.json").read_text())
    del record["parts"]  # as an older edgetl wrote it
    (entry.folder / "entry.json").write_text(json.dumps(record))
    assert "was not recorded" in History(store.root).why(waiting, "tiny", None)[0]
