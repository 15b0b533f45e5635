"""Reading YAML safely, and knowing where everything stands."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from edgetl.config import yaml_document
from edgetl.errors import RecipeError


def test_scalars_are_what_people_mean() -> None:
    text = "a: 1e-3\nb: no\nc: 012\nd: 'null'\ne: null\nf: .5\ng: true\nh: 1_000\ni: 2026-01-01"
    assert yaml_document.parse(text, "r").value == {
        "a": 0.001,
        "b": "no",
        "c": 12,
        "d": "null",
        "e": None,
        "f": 0.5,
        "g": True,
        "h": "1_000",
        "i": "2026-01-01",
    }


def test_every_value_knows_its_place() -> None:
    document = yaml_document.parse("data:\n  kind: folder\nexport: [onnx,\n  tflite]\n", "r.yaml")
    assert document.place(("data", "kind")) == "r.yaml:2:3"
    assert document.place(("export", 1)) == "r.yaml:4:3"
    assert document.place(("data", "missing")) == "r.yaml:1:1"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 1\nb: 2\na: 3", "r:3:1", "twice"),
        ("a: &x 1\nb: *x", "r:1:4", "anchors"),
        ("a: !!python/object:os.system x", "r:1:4", "tag"),
        ("[" * 5000, "r:1:17", "nested deeper"),
        ("a: [1,\nb: 2", "r:2:", "not YAML"),
        ("a: 1\n---\nb: 2", "r:2:1", "second document"),
        ("{[1]: 2}", "r:1:2", "key must be plain"),
        ("a: 1\nb: \x07", "r:2:4", "U\\+0007 is not allowed"),
        ('a: "\\ud800"', "r:1:4", "surrogate"),
        ('a: "\\UFFFFFFFF"', "r:1:1", "too large"),
        ("%YAML 1." + "1" * 5000 + "\n--- 1", "r:1:1", "too large"),
    ],
)
def test_what_could_go_wrong_in_silence_is_an_error_with_a_place(text: str, place: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words) as caught:
        yaml_document.parse(text, "r")
    assert (caught.value.place or "").startswith(place)


def test_files_that_are_no_recipe(tmp_path: Path) -> None:
    big, binary = tmp_path / "big.yaml", tmp_path / "binary.yaml"
    big.write_bytes(b"#" * (yaml_document.MAX_BYTES + 1))
    binary.write_bytes(b"a: 1\nb: \xff\xfe")
    with pytest.raises(RecipeError, match="larger than"):
        yaml_document.read(big)
    with pytest.raises(RecipeError, match="0xff is not UTF-8") as caught:
        yaml_document.read(binary)
    assert str(caught.value.place).endswith("binary.yaml:2:4")
    with pytest.raises(RecipeError, match="no such file"):
        yaml_document.read(tmp_path / "nothing.yaml")
    with pytest.raises(RecipeError, match="cannot be read"):
        yaml_document.read(tmp_path)


_PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**9), 10**9), st.text("abc xyz", min_size=1, max_size=8)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdef", min_size=1), inner, max_size=4),
    max_leaves=12,
)


@given(_PLAIN)
def test_what_pyyaml_writes_is_read_back(value: object) -> None:
    assert yaml_document.parse(yaml.safe_dump(value), "r").value == value


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_in_one_way(text: str) -> None:
    refusals: list[RecipeError] = []
    try:
        yaml_document.parse(text, "r")
    except RecipeError as exc:
        refusals.append(exc)
    assert all(refusal.place and "\n" not in refusal.message for refusal in refusals)
