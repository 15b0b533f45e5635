"""A file is the old one or the new one, whatever happens while it is written; and what tells one content from another."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import pytest

from edgetl.files import replacing, sha256_of, state_of, sweep, write_whole


def _stopped(path: Path, error: type[BaseException]) -> Path:
    """Write half of a file and raise; where the half was."""
    asides = []
    with contextlib.suppress(error), replacing(path) as aside:
        asides.append(aside)
        aside.write_text("half")
        raise error
    return asides[0]


@pytest.mark.parametrize("sync", [False, True])
def test_what_is_written_replaces_what_was_there(tmp_path: Path, sync: bool) -> None:
    path = tmp_path / "a.txt"
    write_whole(path, "a longer text that goes", sync=sync)
    write_whole(path, "µ", sync=sync)
    assert path.read_bytes() == b"\xc2\xb5"
    write_whole(path, bytearray(b"\0\xff"), sync=sync)
    assert path.read_bytes() == b"\0\xff"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_is_whole_while_the_new_one_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as aside:
        aside.write_text("new, half of i")
        assert path.read_text() == "old"
        assert aside.parent == path.parent, "a rename from another disk would copy"
        aside.write_text("new")
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    _stopped(path, error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_synced_means_on_the_disk_before_the_rename_and_the_name_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    seen: list[tuple[str, str]] = []

    def fsync(descriptor: int) -> None:
        what = "folder" if os.path.samestat(os.fstat(descriptor), tmp_path.stat()) else "file"
        seen.append((what, path.read_text()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(path, "new", sync=True)
    assert seen == [("file", "old"), ("folder", "new")]


def test_a_killed_writers_file_is_swept_and_no_other(tmp_path: Path) -> None:
    left = _stopped(tmp_path / "a.txt", KeyboardInterrupt)
    left.write_text("half")
    for name in ("a.txt", ".hidden", "a.partial"):
        (tmp_path / name).write_text("kept")
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "a.partial", "a.txt"]


def test_sha256_is_of_the_content(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"\0" * 300_000)
    assert sha256_of(path) == sha256_of(str(path)) == hashlib.sha256(b"\0" * 300_000).hexdigest()


def test_the_state_changes_with_size_times_and_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one")
    before = state_of(path)
    assert before == state_of(str(path))
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    path.write_text("two")
    os.utime(path, ns=times)
    assert state_of(path) != before, "the time of change cannot be set back"
    copy = tmp_path / "copy.txt"
    copy.write_text("two")
    os.utime(copy, ns=times)
    assert state_of(copy).split()[1] != state_of(path).split()[1]
    assert state_of(path).startswith("3 ")


def test_what_is_no_file_has_no_state(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "missing"):
        with pytest.raises(OSError, match=path.name):
            state_of(path)
