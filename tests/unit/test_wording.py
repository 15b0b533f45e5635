"""The pieces that messages are made of."""

from __future__ import annotations

import json

import pytest

from edgetl.errors.wording import alike, did_you_mean, first_line, indented, nearest, one_line, quoted, some


def test_a_misspelling_has_a_nearest_name_and_another_word_has_none() -> None:
    assert nearest("epoch", ["loss", "epochs"]) == "; did you mean 'epochs'?"
    assert nearest("xyz", ["loss", "epochs"]) == "; known here: loss, epochs"
    assert nearest("xyz", []) == ""
    assert did_you_mean("xyz", ["loss", "epochs"]) is None


def test_several_near_names_stand_with_the_nearest_first() -> None:
    names = ["mobilenetv3_small_100", "mobilenetv3_small_075", "mobilenetv3_smal", "resnet18"]
    assert did_you_mean("mobilenetv3_smal", names[:3], most=1) == "did you mean 'mobilenetv3_smal'?"
    hint = did_you_mean("mobilenetv3_smal", names, most=3)
    assert hint == "did you mean 'mobilenetv3_smal', 'mobilenetv3_small_100' or 'mobilenetv3_small_075'?"
    assert did_you_mean("mobilenetv3_smal", names[:2], most=3) == (
        "did you mean 'mobilenetv3_small_100' or 'mobilenetv3_small_075'?"
    )


def test_how_alike_is_near() -> None:
    assert alike("abcd", ["abxx"]) == [], "half of it"
    assert alike("abcd", ["abxx"], least=0.5) == ["abxx"]


@pytest.mark.parametrize("value", ["plain", 'a "b"', "line\nend", "\x7f\u200b", "\U000e0001", "\ud800", None, [1.5]])
def test_what_is_quoted_is_json_that_can_be_seen(value: object) -> None:
    text = quoted(value)
    assert text.isprintable()
    assert json.loads(text) == value


def test_letters_that_can_be_seen_stay() -> None:
    assert quoted("né") == '"né"'


def test_a_long_value_is_cut() -> None:
    assert quoted("x" * 58) == f'"{"x" * 58}"'
    assert quoted("x" * 59) == f'"{"x" * 56}...'
    assert len(quoted("x" * 59)) == 60
    assert quoted("x" * 99, most=None) == f'"{"x" * 99}"'


def test_of_many_entries_the_first_and_how_many_more() -> None:
    assert some(["a", "b", "c"], most=3) == ["a", "b", "c"]
    assert some(["a", "b", "c", "d"], most=3) == ["a", "b", "c", "... and 1 more"]
    assert indented([f"{number}" for number in range(12)]).endswith("\n  9\n  ... and 2 more")
    assert indented(["a"]) == "\n  a"


def test_the_first_line_that_says_something() -> None:
    assert first_line(RuntimeError("\n  \n why \nwhere")) == "why"
    assert first_line(RuntimeError("")) == "RuntimeError"


def test_all_of_it_on_one_line() -> None:
    assert one_line(RuntimeError("\n why\n\t it failed ")) == "why it failed"
    assert len(one_line(RuntimeError("x" * 400))) == 300
