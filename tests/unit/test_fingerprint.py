"""Fingerprints change exactly when the data does, and unchanged files are not read again."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from edgetl import files
from edgetl.data import fingerprint as module
from edgetl.data.fingerprint import Fingerprints
from edgetl.data.source import open_source
from edgetl.errors import DataError, EnvironmentFault


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("nevus/a.png", "nevus/b.png", "nevus/b_mask.png", "melanoma/c.png"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "data"


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "store" / "hashes.sqlite"


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as settled at once; otherwise they are indexed only when they are some seconds old."""
    monkeypatch.setattr(module, "_SETTLED_NS", -1_000_000_000)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were read, in any order."""
    seen: list[str] = []
    real = files.sha256_of

    def watched(path: str | Path) -> str:
        seen.append(Path(path).name)
        return real(path)

    monkeypatch.setattr(module, "sha256_of", watched)
    return seen


def fingerprint(kind: str, root: Path, index: Path, exclude: tuple[str, ...] = ()) -> str:
    source = open_source(kind, root, exclude=exclude)
    return module.fingerprint(source.root, source.records, index)


def test_digests_are_sha256_of_the_content(root: Path, index: Path) -> None:
    expected = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("nevus/a.png", "melanoma/c.png")}
    assert Fingerprints(index).digest(root, expected) == expected


@pytest.mark.usefixtures("settled")
def test_unchanged_files_are_not_read_again(root: Path, index: Path, hashed: list[str]) -> None:
    before = Fingerprints(index).digest(root, ["nevus/a.png", "nevus/b.png"])
    hashed.clear()
    assert Fingerprints(index).digest(root, ["nevus/a.png", "nevus/b.png", "melanoma/c.png"]).items() >= before.items()
    assert hashed == ["c.png"]


@pytest.mark.usefixtures("settled")
def test_a_change_that_keeps_size_and_time_is_seen(root: Path, index: Path) -> None:
    path = root / "nevus" / "a.png"
    before = Fingerprints(index).digest(root, ["nevus/a.png"])
    found = path.stat()
    time.sleep(0.02)  # beyond the grain of the file system's clock
    path.write_bytes(b"X" * found.st_size)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert Fingerprints(index).digest(root, ["nevus/a.png"]) != before


def test_files_just_written_are_not_trusted(root: Path, index: Path, hashed: list[str]) -> None:
    for _ in range(2):
        Fingerprints(index).digest(root, ["nevus/a.png"])
    assert hashed == ["a.png", "a.png"]


@pytest.mark.usefixtures("settled")
def test_a_damaged_index_is_started_again(root: Path, index: Path, hashed: list[str]) -> None:
    before = Fingerprints(index).digest(root, ["nevus/a.png"])
    index.write_bytes(b"this is not a database, but long enough to look like one" * 100)
    assert Fingerprints(index).digest(root, ["nevus/a.png"]) == before
    Fingerprints(index).digest(root, ["nevus/a.png"])
    assert hashed == ["a.png", "a.png"], "read for each of the two indexes, once"


def test_an_index_that_cannot_be_made(root: Path, index: Path) -> None:
    index.mkdir(parents=True)
    with pytest.raises(EnvironmentFault, match="index of file hashes"):
        Fingerprints(index).digest(root, ["nevus/a.png"])


@pytest.mark.usefixtures("settled")
def test_an_index_that_may_not_be_written_is_done_without(
    root: Path, index: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    digests = Fingerprints(index).digest(root, ["nevus/a.png"])
    assert not index.parent.exists()
    monkeypatch.undo()
    assert Fingerprints(index).digest(root, ["nevus/a.png"]) == digests


def test_all_files_that_cannot_be_read_are_named_at_once(root: Path, index: Path) -> None:
    (root / "loop.png").symlink_to("loop.png")
    (root / "folder.png").mkdir()
    os.mkfifo(root / "pipe.png")
    names = ["loop.png", "nevus/a.png", "folder.png", "nevus/gone.png", "pipe.png"]
    with pytest.raises(
        DataError,
        match=r"loop\.png: cannot be read: Too many(.|\n)*folder\.png: (.|\n)*gone\.png: (.|\n)*pipe\.png: .*is no file",
    ):
        Fingerprints(index).digest(root, names)
    digests, unreadable = Fingerprints(index).look(root, names)
    assert (set(digests), set(unreadable)) == ({"nevus/a.png"}, set(names) - {"nevus/a.png"})


def test_a_full_disk_under_the_index(root: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SETTLED_NS", -1_000_000_000)
    monkeypatch.setattr(module, "_REMEMBER", "INSERT INTO nowhere VALUES (?, ?, ?)")  # also an OperationalError
    with pytest.raises(EnvironmentFault, match="index of file hashes"):
        Fingerprints(index).digest(root, ["nevus/a.png"])


@pytest.mark.usefixtures("settled")
def test_a_root_whose_name_is_no_text(root: Path, index: Path, hashed: list[str]) -> None:
    other = Path(os.fsdecode(os.fsencode(root) + b"\xe4"))
    root.rename(other)
    before = Fingerprints(index).digest(other, ["nevus/a.png"])
    assert Fingerprints(index).digest(other, ["nevus/a.png"]) == before
    assert hashed == ["a.png"]


@pytest.mark.usefixtures("settled")
def test_an_index_of_before_still_serves(root: Path, index: Path, hashed: list[str]) -> None:
    """Paths in it are text; only those that are none are bytes."""
    before = Fingerprints(index).digest(root, ["nevus/a.png"])
    with closing(sqlite3.connect(index)) as opened:
        assert opened.execute("SELECT path FROM files").fetchall() == [(str(root / "nevus" / "a.png"),)]
    assert Fingerprints(index).digest(root, ["nevus/a.png"]) == before
    assert hashed == ["a.png"]


def test_an_empty_file_cannot_be_read(root: Path, index: Path) -> None:
    (root / "nevus" / "b_mask.png").write_bytes(b"")
    digests, unreadable = Fingerprints(index).look(root, ["nevus/b_mask.png", "nevus/b.png"])
    assert list(digests) == ["nevus/b.png"]
    assert unreadable == {"nevus/b_mask.png": "the file is empty (0 bytes), expected a picture"}


class TestWholeSet:
    def test_same_data_elsewhere_has_the_same_fingerprint(self, root: Path, index: Path) -> None:
        before = fingerprint("folder", root, index)
        shutil.copytree(root, root.parent / "copy")
        assert fingerprint("folder", root.parent / "copy", index) == before

    @pytest.mark.parametrize("name", ["nevus/a.png", "nevus/b_mask.png"])
    def test_changed_content(self, name: str, root: Path, index: Path) -> None:
        before = fingerprint("folder", root, index)
        (root / name).write_bytes(b"other")
        assert fingerprint("folder", root, index) != before

    def test_changed_label_and_new_file(self, root: Path, index: Path) -> None:
        before = fingerprint("folder", root, index)
        (root / "nevus" / "a.png").rename(root / "melanoma" / "a.png")
        moved = fingerprint("folder", root, index)
        (root / "melanoma" / "d.png").write_bytes(b"d")
        assert len({before, moved, fingerprint("folder", root, index)}) == 3

    def test_what_is_left_out_does_not_count(self, root: Path, index: Path) -> None:
        whole = fingerprint("folder", root, index)
        before = fingerprint("folder", root, index, exclude=("nevus/a.png",))
        (root / "nevus" / "a.png").write_bytes(b"other")
        assert fingerprint("folder", root, index, exclude=("nevus/a.png",)) == before != whole

    @pytest.mark.parametrize("name", ["a.png", "b_mask.png"])
    def test_a_file_that_cannot_be_opened_is_left_to_the_decoding(self, name: str, root: Path, index: Path) -> None:
        before = fingerprint("folder", root, index)
        (root / "nevus" / name).unlink()
        (root / "nevus" / name).symlink_to(name)
        assert fingerprint("folder", root, index) != before

    def test_what_no_record_holds_does_not_count(self, root: Path, index: Path) -> None:
        before = fingerprint("folder", root, index)
        (root / "nevus" / "notes.txt").write_text("nothing")
        assert fingerprint("folder", root, index) == before


def test_unchanged_ham10000_takes_no_time(ham10000: Path, index: Path) -> None:
    first = fingerprint("ham10000", ham10000, index)
    start = time.perf_counter()
    assert fingerprint("ham10000", ham10000, index) == first
    assert time.perf_counter() - start < 2.0, "17,000 files; 0.2 s on two idle cores"


@pytest.mark.parametrize(("later", "reads"), [(2_000_000_000, 2), (2_000_000_001, 1)])
def test_a_file_is_indexed_when_it_has_been_left_alone_for_two_seconds(
    later: int, reads: int, root: Path, index: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of its two times is the later one counts: here that of its content lies in the past, then in the future."""
    path = root / "nevus" / "a.png"
    for modified in (0, time.time_ns() + 60_000_000_000):
        os.utime(path, ns=(modified, modified))
        latest = max(path.stat().st_mtime_ns, path.stat().st_ctime_ns)
        with monkeypatch.context() as patched:
            patched.setattr(time, "time_ns", lambda now=latest + later: now)
            hashed.clear()
            for _ in range(2):
                Fingerprints(index).digest(root, ["nevus/a.png"])
        assert len(hashed) == reads


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize(("refused", "kept"), [("nothing", True), ("file", False), ("folder", False), ("above", True)])
def test_the_index_and_its_folder_have_to_be_writable(
    refused: str, kept: bool, root: Path, index: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Fingerprints(index).digest(root, ["nevus/b.png"])
    places = {"file": index, "folder": index.parent, "above": index.parent.parent}
    monkeypatch.setattr(os, "access", lambda path, mode: path != places.get(refused))
    for _ in range(2):
        Fingerprints(index).digest(root, ["nevus/a.png"])
    assert hashed.count("a.png") == (1 if kept else 2)


def test_only_files_that_are_there_twice_have_a_digest(root: Path, index: Path) -> None:
    for number in range(1030):  # more than are looked at at once
        (root / f"{number}.png").write_bytes(b"%d" % number)
    (root / "1029.png").write_bytes(b"0")
    (root / "7.png").write_bytes(b"")
    paths = [f"{number}.png" for number in range(1030)]
    copies, unreadable = Fingerprints(index).copies(root, [*paths, "gone.png"])
    same = hashlib.sha256(b"0").hexdigest()
    assert (copies["0.png"], copies["1029.png"], copies["1.png"], len(copies)) == (same, same, "1.png", 2)
    assert set(unreadable) == {"7.png", "gone.png"}
