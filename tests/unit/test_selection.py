"""Labels that a recipe renames, merges or drops, and images that it leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetl.data.records import Record
from edgetl.data.selection import read_patterns, select
from edgetl.errors import DataError

RECORDS = [
    Record(image=image, label=label)
    for image, label in (
        ("bcc/1.png", "bcc"),
        ("mel/1.png", "mel"),
        ("mel/2 [old].png", "mel"),
        ("nv/deep/1.png", "nv"),
        ("nv/deep/2.PNG", "nv"),
    )
]


def images(*patterns: str) -> list[str]:
    return [record.image for record in select(RECORDS, {}, patterns, Path()).records]


def labels(**mapping: str | None) -> list[str]:
    return [record.label for record in select(RECORDS, mapping, (), Path()).records]


def caution(*patterns: str) -> str:
    (text,) = select(RECORDS, {}, patterns, Path()).cautions
    return text


class TestLabels:
    def test_renamed_merged_and_left_out(self) -> None:
        assert labels() == ["bcc", "mel", "mel", "nv", "nv"]
        assert labels(bcc="basal") == ["basal", "mel", "mel", "nv", "nv"]
        assert labels(bcc="malignant", mel="malignant") == ["malignant"] * 3 + ["nv"] * 2
        assert labels(bcc=None) == ["mel", "mel", "nv", "nv"]

    def test_names_may_be_swapped(self) -> None:
        assert labels(mel="nv", nv="mel") == ["bcc", "nv", "nv", "mel", "mel"]

    def test_a_label_that_no_image_has(self) -> None:
        with pytest.raises(DataError, match=r"'mell': no image has such a label; did you mean 'mel'\?"):
            labels(mell="malignant")

    def test_a_label_whose_images_are_all_left_out_is_still_known(self) -> None:
        kept = select(RECORDS, {"bcc": "basal"}, ["bcc/*"], Path()).records
        assert [record.label for record in kept] == ["mel", "mel", "nv", "nv"]

    @pytest.mark.parametrize("mapping", [{"bcc": "x", "mel": "x", "nv": "x"}, {"bcc": None, "mel": None}])
    def test_one_class_is_too_few(self, mapping: dict[str, str | None]) -> None:
        with pytest.raises(DataError, match=r"one class \((x|nv)\) left"):
            labels(**mapping)

    @pytest.mark.parametrize("name", ["a\nb", "a\tb", "a\x1bb", "a\u2028b", "a\x85b"])
    def test_a_class_is_a_line_of_text(self, name: str) -> None:
        with pytest.raises(DataError) as caught:
            labels(nv=name)
        assert repr(name) in caught.value.message

    def test_such_a_label_may_be_renamed(self) -> None:
        records = [Record("1.png", "c\nd"), Record("2.png", "nv")]
        assert [record.label for record in select(records, {"c\nd": "cd"}, (), Path()).records] == ["cd", "nv"]

    def test_one_class_is_enough_where_nothing_is_trained(self) -> None:
        assert len(select(RECORDS, {"bcc": None, "mel": None}, (), Path(), fewest=1).records) == 2


class TestExclude:
    @pytest.mark.parametrize(
        ("pattern", "left"),
        [
            ("mel/1.png", 4),
            ("./mel/1.png", 4),
            ("mel/2 [old].png", 4),
            ("*[[]old].png", 4),
            ("nv/deep/", 3),
            ("nv/*", 3),
            ("*.PNG", 4),
            ("*/1.png", 2),
            ("mel/?.png", 4),
            ("nv/deep", 3),
            ("nv", 3),
            ("nv/d*/", 3),
            ("*/deep", 3),
            ("mel\\1.png", 4),
            ("nv\\deep\\", 3),
        ],
    )
    def test_patterns(self, pattern: str, left: int) -> None:
        assert len(images(pattern)) == left

    def test_what_matches_nothing_is_one_caution(self) -> None:
        reading = select(RECORDS, {}, ("mel/3.p", "zzz", "mel/1.png"), Path())
        assert len(reading.records) == 4
        assert reading.cautions == ["data.exclude: nothing matches mel/3.p (did you mean mel/1.png?), zzz"]
        assert select(RECORDS, {}, ("mel/1.png",), Path()).cautions == []

    @pytest.mark.parametrize(
        ("pattern", "meant"),
        [
            ("NV/deep/1.png", "nv/deep/1.png"),
            ("/data/set/nv/deep/2.PNG", "nv/deep/2.PNG"),
            ("nv/deep/2.png", "nv/deep/2.PNG"),
            ("nv/deeep/", "nv/deep"),
        ],
    )
    def test_the_nearest_path_is_suggested(self, pattern: str, meant: str) -> None:
        assert caution(pattern) == f"data.exclude: nothing matches {pattern} (did you mean {meant}?)"

    @pytest.mark.parametrize("pattern", ["mel/xyzw", "bcc/2.p*", "zzz"])
    def test_what_is_like_no_path_or_has_wildcards_gets_no_suggestion(self, pattern: str) -> None:
        assert caution(pattern) == f"data.exclude: nothing matches {pattern}"

    def test_five_idle_patterns_are_named(self) -> None:
        assert caution(*(f"zz{number}" for number in range(7))).endswith("zz0, zz1, zz2, zz3, zz4, ... and 2 more")

    def test_everything_left_out(self) -> None:
        with pytest.raises(DataError, match="none of 5 images left"):
            images("*")

    @given(st.lists(st.sampled_from(["1", "2", "[", "]", "?", "*", "!", "/", ".", "a-", "png"]), max_size=6))
    def test_any_pattern_leaves_a_part_in_order(self, parts: list[str]) -> None:
        try:
            left = images("".join(parts))
        except DataError:
            return
        assert left == [record.image for record in RECORDS if record.image in left]


class TestPatternsInAFile:
    def test_comments_and_empty_lines(self, tmp_path: Path) -> None:
        text = "\ufeff# blurred\r\nmel/1.png \r\n\r\n  # more\r\nnv/*\r\n"
        (tmp_path / "out.txt").write_bytes(text.encode())
        assert read_patterns(tmp_path / "out.txt") == ("mel/1.png", "nv/*")

    def test_not_text_or_not_there(self, tmp_path: Path) -> None:
        (tmp_path / "out.txt").write_bytes(b"\xff\xfe")
        with pytest.raises(DataError, match="not UTF-8"):
            read_patterns(tmp_path / "out.txt")
        with pytest.raises(DataError, match="cannot be read"):
            read_patterns(tmp_path)
