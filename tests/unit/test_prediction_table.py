"""The table of predictions says what they say, whatever names hold: csv.reader gives it all back."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edgetl.api.predict import PredictResult
from edgetl.api.prediction_table import table
from edgetl.errors import UnreadableImage
from edgetl.runtime.predicting import Prediction

NAMES = st.text(st.sampled_from(",;\"'\n\r\t =+-@é漢\u2028\udcff") | st.characters(codec="utf-8"), min_size=1)
SHARES = st.floats(0, 1, width=32)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@st.composite
def results(draw: st.DrawFn) -> PredictResult:
    labels = tuple(draw(st.lists(NAMES, min_size=2, max_size=4, unique=True)))
    flags = tuple(f"{label}@0.90" for label in draw(st.lists(st.sampled_from(labels), max_size=2, unique=True)))
    predictions = st.builds(
        Prediction,
        file=NAMES,
        artifact=st.just("red"),
        label=st.sampled_from(labels),
        probabilities=st.fixed_dictionaries(dict.fromkeys(labels, SHARES)),
        flags=st.fixed_dictionaries({flag: st.booleans() for flag in flags}),
    )
    errors = st.builds(UnreadableImage, NAMES, place=NAMES, hint=st.none() | NAMES)
    return PredictResult(tuple(draw(st.lists(predictions | errors, max_size=4))), labels, flags, {})


@given(results())
def test_a_table_is_read_back_as_it_was(result: PredictResult) -> None:
    assert result.to_csv() == table(result.results, result.labels, result.flags)
    read = rows(result.to_csv())
    assert len(read) == len(result.results)
    for row, said in zip(read, result.results, strict=True):
        assert list(row) == ["file", "label", *(f"p_{label}" for label in result.labels), *result.flags, "error"]
        if isinstance(said, Prediction):
            assert (row["file"], row["label"], row["error"]) == (said.file, said.label, "")
            assert {label: float(row[f"p_{label}"]) for label in result.labels} == said.probabilities
            assert {flag: row[flag] == "1" for flag in result.flags} == said.flags
        else:
            assert (row.pop("file"), row.pop("error")) == (said.place, said.message)
            assert set(row.values()) == {""}


@given(name=NAMES)
def test_a_file_holds_names_as_the_system_has_them(name: str) -> None:
    said = Prediction(name, "red", "a", {"a": 1.0}, {})
    with tempfile.TemporaryDirectory() as folder:
        path = PredictResult((said,), ("a",), (), {}).write_csv(Path(folder, "t.csv"))
        assert os.fsencode(name.replace('"', '""')) in path.read_bytes()


def test_lines_end_as_the_standard_says_and_flags_are_numbers() -> None:
    said = Prediction("a,b.png", "red", "nv", {"mel": 0.25, "nv": 0.75}, {"mel@0.90": False, "nv@0.80": True})
    lost = UnreadableImage("is empty", place="c.png", hint="look")
    text = table([said, lost], ("mel", "nv"), ("mel@0.90", "nv@0.80"))
    assert text.split("\r\n") == [
        "file,label,p_mel,p_nv,mel@0.90,nv@0.80,error",
        '"a,b.png",nv,0.25,0.75,0,1,',
        "c.png,,,,,,is empty",
        "",
    ]
