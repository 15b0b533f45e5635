"""The store: nothing half-written is seen, nothing finished is lost."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from pathlib import Path

import pytest

from edgetl.errors import EnvironmentFault
from edgetl.store import Store, key


def _put(store: Store, name: str, content: str, stage: str = "data") -> None:
    with store.draft(name, stage) as draft:
        (draft.folder / "sub").mkdir()
        (draft.folder / "sub" / "file.txt").write_text(content)


def test_an_entry_is_found_again_with_its_files_and_digest(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.find("k") is None
    _put(store, "k", "content")
    entry = store.find("k")
    assert entry is not None
    assert entry.files["sub/file.txt"][1] == len("content")
    assert (entry.folder / "sub" / "file.txt").read_text() == "content"


def test_a_digest_depends_on_the_content_asked_for_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name, note in (("a", "1"), ("b", "2")):
        with store.draft(name, "teach") as draft:
            (draft.folder / "network").mkdir()
            (draft.folder / "network" / "weights").write_text("same")
            (draft.folder / "training.json").write_text(note)
    a, b = store.find("a"), store.find("b")
    assert a is not None
    assert b is not None
    assert a.digest("network") == b.digest("network")
    assert a.digest() != b.digest()
    assert a.digest("net") != a.digest("network"), "a folder, not a prefix"


def test_an_error_leaves_no_entry_but_the_scratch_for_the_next_try(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with contextlib.suppress(KeyboardInterrupt), store.draft("k", "teach") as draft:
        (draft.folder / "half").write_text("x")
        (draft.scratch / "epoch-1").write_text("checkpoint")
        raise KeyboardInterrupt
    assert store.find("k") is None
    assert not list((tmp_path / "aside").iterdir())
    with store.draft("k", "teach") as draft:
        assert (draft.scratch / "epoch-1").read_text() == "checkpoint"
        assert not list(draft.folder.iterdir())
    assert store.find("k") is not None
    assert not (tmp_path / "scratch" / "k").exists()


def test_seconds_are_summed_over_the_tries_even_when_one_was_killed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with contextlib.suppress(KeyboardInterrupt), store.draft("k", "teach") as draft:
        (draft.scratch / "checkpoint").write_text("x")
        raise KeyboardInterrupt
    later = (tmp_path / "scratch" / "k" / "checkpoint").stat().st_mtime + 100  # killed after 100 s of training
    os.utime(tmp_path / "scratch" / "k" / "checkpoint", (later, later))
    _put(store, "k", "x")
    entry = store.find("k")
    assert entry is not None
    assert 99.0 < entry.seconds < 110.0


@pytest.mark.parametrize("damage", ["missing", "shorter", "no record", "broken record"])
def test_a_damaged_entry_counts_as_not_there_and_is_replaced(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path)
    _put(store, "k", "content")
    entry = store.find("k")
    assert entry is not None
    file, record = entry.folder / "sub" / "file.txt", entry.folder / "entry.json"
    if damage == "missing":
        file.unlink()
    elif damage == "shorter":
        file.write_text("cont")
    elif damage == "no record":
        record.unlink()
    else:
        record.write_text("{")
    assert store.find("k") is None
    _put(store, "k", "new")
    again = store.find("k")
    assert again is not None
    assert (again.folder / "sub" / "file.txt").read_text() == "new"


def test_a_full_disk_is_an_environment_fault_and_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(EnvironmentFault, match="disk is full"), store.draft("k", "data"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert store.find("k") is None
    assert not list((tmp_path / "aside").iterdir())


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((EnvironmentFault, NotADirectoryError)), Store(tmp_path / "file").draft("k", "data"):
        pass


def test_the_key_depends_on_each_of_its_parts() -> None:
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
    record = json.loads((tmp_path / "entries" / "k" / "entry.json").read_text())
    assert (record["schema"], record["stage"]) == (1, "data")
