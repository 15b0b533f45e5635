"""The store: nothing half-written is seen, nothing finished is lost."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from edgetl.errors import EnvironmentFault
from edgetl.files import sha256_of
from edgetl.store import DamagedEntry, Dependencies, Entry, Store


def _parts(name: str, stage: str = "data", **settings: Any) -> Dependencies:
    return Dependencies.of(stage, 1, {"name": name, **settings}, {}, ())


def _put(store: Store, name: str, content: str, stage: str = "data") -> Entry:
    with store.draft(_parts(name, stage)) as draft:
        (draft.folder / "sub").mkdir()
        (draft.folder / "sub" / "file.txt").write_text(content)
    assert draft.entry is not None
    return draft.entry


def test_an_entry_is_found_again_with_its_files_and_digest(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.find(_parts("k").key) is None
    made = _put(store, "k", "content")
    entry = Store(tmp_path).find(made.key)
    assert entry == made
    assert entry.files["sub/file.txt"][1] == len("content")
    assert (entry.folder / "sub" / "file.txt").read_text() == "content"


def test_a_digest_depends_on_the_content_asked_for_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name, note in (("a", "1"), ("b", "2")):
        with store.draft(_parts(name)) as draft:
            (draft.folder / "network").mkdir()
            (draft.folder / "network" / "weights").write_text("same")
            (draft.folder / "training.json").write_text(note)
    a, b = store.find(_parts("a").key), store.find(_parts("b").key)
    assert a is not None
    assert b is not None
    assert a.digest("network") == b.digest("network")
    assert a.digest() != b.digest()
    assert a.digest("net") != a.digest("network"), "a folder, not a prefix"


def test_an_error_leaves_no_entry_but_the_scratch_for_the_next_try(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with contextlib.suppress(KeyboardInterrupt), store.draft(_parts("k")) as draft:
        (draft.folder / "half").write_text("x")
        (draft.scratch / "epoch-1").write_text("checkpoint")
        raise KeyboardInterrupt
    assert store.find(_parts("k").key) is None
    assert not list((tmp_path / "aside").iterdir())
    with store.draft(_parts("k")) as draft:
        assert (draft.scratch / "epoch-1").read_text() == "checkpoint"
        assert not list(draft.folder.iterdir())
    assert store.find(_parts("k").key) is not None
    assert not (tmp_path / "scratch" / _parts("k").key).exists()


def test_seconds_are_summed_over_the_tries_even_when_one_was_killed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with contextlib.suppress(KeyboardInterrupt), store.draft(_parts("k")) as draft:
        (draft.scratch / "checkpoint").write_text("x")
        raise KeyboardInterrupt
    later = (
        tmp_path / "scratch" / _parts("k").key / "checkpoint"
    ).stat().st_mtime + 100  # killed after 100 s of training
    os.utime(tmp_path / "scratch" / _parts("k").key / "checkpoint", (later, later))
    _put(store, "k", "x")
    entry = store.find(_parts("k").key)
    assert entry is not None
    assert 99.0 < entry.seconds < 110.0


@pytest.mark.parametrize("damage", ["missing", "shorter", "changed", "no record", "broken record", "strange record"])
def test_a_damaged_entry_is_named_set_aside_and_replaced(tmp_path: Path, damage: str) -> None:
    key = _put(Store(tmp_path), "k", "content").key
    file, record = (tmp_path / "entries" / key / name for name in ("sub/file.txt", "entry.json"))
    if damage == "missing":
        file.unlink()
    elif damage == "shorter":
        file.write_text("cont")
    elif damage == "changed":
        file.write_text("c0ntent")
    elif damage == "no record":
        record.unlink()
    else:
        record.write_text("{" if damage == "broken record" else "[]")
    store, said = Store(tmp_path), list[str]()
    with pytest.raises(DamagedEntry, match=record.name if "record" in damage else "sub/file.txt") as caught:
        store.find(key, "data")
    store.set_aside(caught.value, said.append)
    assert "the stored result of data is damaged" in said[0]
    assert store.find(key) is None
    assert len(list((tmp_path / "damaged").iterdir())) == 1
    assert _put(store, "k", "new").folder.joinpath("sub/file.txt").read_text() == "new"
    assert store.find(key) is not None


def test_a_file_is_read_again_only_when_it_changed_since_it_was_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = _put(Store(tmp_path), "k", "content")
    os.utime(entry.folder / "sub" / "file.txt")  # touched, not changed
    read: list[str] = []

    def counted(path: Path) -> str:
        read.append(path.name)
        return sha256_of(path)

    monkeypatch.setattr("edgetl.store.store.sha256_of", counted)
    for expected in (["file.txt"], ["file.txt"]):
        store = Store(tmp_path)
        assert store.find(entry.key) is not None
        store.use(entry.key, "recipe")  # what a build does, and a dry run does not
        store.verify(entry)
        assert read == expected


def test_an_entry_that_was_never_verified_is_when_it_is_consumed(tmp_path: Path) -> None:
    entry = _put(Store(tmp_path), "k", "content")
    (tmp_path / "verified" / entry.key).unlink()  # a store of an older edgetl, or a copied one
    (entry.folder / "sub" / "file.txt").write_text("c0ntent")
    store = Store(tmp_path)
    assert store.find(entry.key) is not None, "sizes are right, and nobody reads it"
    store.verify(entry, "other")
    with pytest.raises(DamagedEntry, match=r"sub/file\.txt: got sha256"):
        store.verify(entry, "sub")


def test_what_a_killed_build_left_is_gone_when_its_stage_is_computed_again(tmp_path: Path) -> None:
    left = tmp_path / "aside" / f"{_parts('k').key}-99999"
    left.mkdir(parents=True)
    (left / "half").write_text("x")
    _put(Store(tmp_path), "k", "content")
    assert not list((tmp_path / "aside").iterdir())


def test_a_fresh_result_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    _put(store, "k", "old")
    key = _put(store, "k", "newer").key
    entry = Store(tmp_path).find(key)
    assert entry is not None
    assert (entry.folder / "sub" / "file.txt").read_text() == "newer"
    assert not list((tmp_path / "aside").iterdir())


def test_a_record_of_tries_that_a_full_disk_cut_off_is_no_error(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch" / _parts("k").key
    scratch.mkdir(parents=True)
    (scratch / "tries.json").write_text("[[1.0, 2")
    assert _put(Store(tmp_path), "k", "content").seconds < 5


def test_a_full_disk_is_an_environment_fault_and_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(EnvironmentFault, match="disk is full"), store.draft(_parts("k")):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert store.find(_parts("k").key) is None
    assert not list((tmp_path / "aside").iterdir())


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((EnvironmentFault, NotADirectoryError)), Store(tmp_path / "file").draft(_parts("k")):
        pass


def test_the_key_depends_on_each_of_its_parts() -> None:
    def key(stage: str, version: int, settings: Any, inputs: dict[str, str], tools: tuple[str, ...]) -> str:
        return Dependencies.of(stage, version, settings, inputs, tools).key

    base = key("teach", 1, {"epochs": 3}, {"data/": "d"}, ("numpy",))
    assert base == key("teach", 1, {"epochs": 3}, {"data/": "d"}, ("numpy",))
    others = [
        key("distil", 1, {"epochs": 3}, {"data/": "d"}, ("numpy",)),
        key("teach", 2, {"epochs": 3}, {"data/": "d"}, ("numpy",)),
        key("teach", 1, {"epochs": 4}, {"data/": "d"}, ("numpy",)),
        key("teach", 1, {"epochs": 3}, {"data/": "e"}, ("numpy",)),
        key("teach", 1, {"epochs": 3}, {"data/": "d"}, ("pillow",)),
    ]
    assert len({base, *others}) == 6


def test_the_record_says_what_it_is(tmp_path: Path) -> None:
    _put(Store(tmp_path), "k", "x", stage="data")
    record = json.loads((tmp_path / "entries" / _parts("k").key / "entry.json").read_text())
    assert (record["schema"], record["stage"]) == (1, "data")
    assert record["parts"] == _parts("k").to_json()
