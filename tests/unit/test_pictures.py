"""What a person names to predict: files, folders, patterns and lists, on a real tree of files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import pytest

from edgetl.api.paths import AnyPath
from edgetl.api.pictures import endings, find_pictures
from edgetl.errors import DataError, UsageError

TREE = (
    *("scans/b.png", "scans/a/2.JPG", "scans/a/10.tif", "scans/a/notes.txt", "scans/a/deep/x.png", "scans/scan"),
    *("scans/.hidden.png", "scans/.cache/c.png", "scans/__MACOSX/m.png", "scans/@eaDir/e.png", "scans/a/1.dcm"),
    *("odd/[1].png", "odd/1.png", "odd/@x", "odd/run[1]/r.png", "odd/run1/s.png", "texts/1.txt", "texts/2.txt"),
    *("texts/README", "scans/a/@eaDir/2.JPG/thumb.jpg"),
)
EVERY = ["scans/a/10.tif", "scans/a/2.JPG", "scans/a/deep/x.png", "scans/b.png"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in TREE:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    Path("empty").mkdir()


@contextlib.contextmanager
def _as_stdin(file: IO[bytes]) -> Iterator[None]:
    before = os.dup(0)
    os.dup2(file.fileno(), 0)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)


def found(what: AnyPath | Sequence[AnyPath]) -> list[str]:
    return [os.fspath(path) for path in find_pictures(what).files]


def test_a_folder_is_every_picture_below_it_sorted_and_the_rest_counted() -> None:
    assert found("scans") == found(Path("scans")) == EVERY
    assert find_pictures("scans").left_out == {".txt": 1, ".dcm": 1, "": 1}
    assert endings(find_pictures("scans").left_out) == "1 without an ending, 1 .dcm, 1 .txt"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("scans/*.png", ["scans/b.png"]),
        ("scans/*", EVERY),
        ("scans/**", EVERY),
        ("scans/**/*.png", ["scans/a/deep/x.png", "scans/b.png"]),
        ("**/*.png", ["odd/1.png", "odd/[1].png", "odd/run1/s.png", "odd/run[1]/r.png", *EVERY[2:]]),
        ("s*/**/a/**/*", EVERY[:3]),
        ("scans/a/[0-9]*.*", EVERY[:2]),
        ("scans/?.png", ["scans/b.png"]),
        ("./scans/../scans/*.png", ["scans/../scans/b.png"]),
        ("scans/@eaDir/*.png", ["scans/@eaDir/e.png"]),
        ("scans/.cache/*.png", ["scans/.cache/c.png"]),
        ("scans/*/*/*.jpg", None),
        ("scans/**/*.jpeg", None),
        ("nowhere/**/*.png", None),
        ("nowhere[1].png", None),
    ],
)
def test_a_pattern_that_no_shell_expanded(pattern: str, expected: list[str] | None) -> None:
    if expected is None:
        with pytest.raises(UsageError, match="nothing matches the pattern") as raised:
            find_pictures(pattern)
        assert raised.value.place == pattern
    else:
        assert found(pattern) == expected


def test_patterns_begin_anywhere(tmp_path: Path) -> None:
    assert found(str(tmp_path / "scans" / "*.png")) == [str(tmp_path / "scans/b.png")]
    assert found(str(tmp_path / "scans" / "**" / "x.*")) == [str(tmp_path / "scans/a/deep/x.png")]
    assert found("~/scans/*.png") == found("~/scans/b.png") == [str(tmp_path / "scans/b.png")]


def test_what_is_there_wins_over_what_its_name_could_mean() -> None:
    assert found("odd/[1].png") == ["odd/[1].png"]
    assert found("odd/run[1]/*.png") == ["odd/run[1]/r.png"]
    os.chdir("odd")
    assert found("@x") == ["@x"]
    Path("~").touch()
    assert found("~") == ["~"]


def test_a_path_is_never_a_pattern_or_a_list() -> None:
    Path("list.txt").write_text("scans/b.png")
    assert found([Path("scans/*.png"), Path("@list.txt")]) == ["scans/*.png", "@list.txt"]


def test_loops_of_links_end() -> None:
    Path("scans/a/deep/up").symlink_to(Path("scans").resolve())
    Path("scans/a/deep/self").symlink_to(".")
    assert found("scans") == found("scans/**") == EVERY


@pytest.mark.parametrize("byte_order_mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_list_has_a_path_a_line(byte_order_mark: str, end: str) -> None:
    Path("#7.png").touch()
    Path(" spaced .png ").touch()
    lines = ["scans/b.png", "", "  # a comment", "#7.png", " spaced .png ", "  ./nowhere.png  ", "scans", "odd/[1].png"]
    content = (byte_order_mark + end.join(lines)).encode()
    Path("list.txt").write_bytes(content)
    expected = ["scans/b.png", "#7.png", " spaced .png ", "./nowhere.png", *EVERY[:3], "odd/[1].png"]
    assert found("@list.txt") == found("@~/list.txt") == expected
    with Path("list.txt").open("rb") as file, _as_stdin(file):
        assert found(["@-"]) == expected


def test_names_that_are_no_text_can_be_listed() -> None:
    Path("list.txt").write_bytes(b"scans/\xff.png\n")
    assert [os.fsencode(path) for path in find_pictures("@list.txt").files] == [b"scans/\xff.png"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"# nothing\n\n", "the list names nothing"),
        (b"\x89PNG\r\n\x1a\n\0\0", "is no list of paths"),
        (None, "the list cannot be read: No such file"),
    ],
)
def test_what_is_no_list_is_refused(content: bytes | None, said: str) -> None:
    if content is not None:
        Path("list").write_bytes(content)
    with pytest.raises(UsageError, match=said) as raised:
        find_pictures("@list")
    assert raised.value.place == "@list"


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("texts", "got no picture, only 2 .txt, 1 without an ending"),
        ("texts/*", "got no picture, only 2 .txt, 1 without an ending"),
        ("texts/*.txt", "got no picture, only 2 .txt"),
        ("empty", "got no picture, and no other file that is not hidden"),
    ],
)
def test_nothing_that_ends_as_a_picture_does_is_refused_with_what_was_seen(what: str, said: str) -> None:
    with pytest.raises(DataError) as raised:
        find_pictures(["scans", what])
    assert (raised.value.place, raised.value.message, raised.value.exit_code) == (what, said, 2)
    assert ".png" in str(raised.value.hint)


def test_each_place_counts_once_in_the_order_of_naming(tmp_path: Path) -> None:
    Path("link").symlink_to("scans")
    Path("scans/a/same.png").symlink_to("2.JPG")
    names = [
        "./scans/b.png",
        "texts/1.txt",
        "scans/b.png",
        str(tmp_path / "scans/b.png"),
        "link/b.png",
        "scans",
        "texts/1.txt",
    ]
    assert found(names) == ["./scans/b.png", "texts/1.txt", *EVERY[:3], "scans/a/same.png"]
    assert find_pictures(["scans", "link", "scans/*", "scans/a/1.dcm"]).left_out == {".txt": 1, "": 1}


def test_what_is_named_itself_is_tried() -> None:
    names = ["texts/1.txt", "nowhere.png", "x" * 300]  # the last is too long for a file system
    assert found(names) == names
    assert found([*map(Path, names)]) == names
