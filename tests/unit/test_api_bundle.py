"""A bundle in Python: opened once and asked again and again, by file, by bytes and by pixels."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_bundle
from fakes.sessions import FakeSession

import edgetl
from edgetl import cli
from edgetl.errors import DataError, EnvironmentFault, IntegrityError, UnreadableImage
from edgetl.runtime.decoding import decode


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[FakeSession]:
    opened: list[FakeSession] = []
    tiny_bundle.install(monkeypatch, opened)
    return opened


@pytest.fixture
def folder(tmp_path: Path, sessions: list[FakeSession]) -> Path:
    return tiny_bundle.write(tmp_path / "bundle")


def test_a_bundle_says_what_is_in_it(folder: Path) -> None:
    bundle = edgetl.open_bundle(str(folder), artifact="blue")
    assert bundle.labels == ("mel", "nv", "bkl")
    assert set(bundle.artifacts) == {"red", "blue"}
    assert bundle.artifact == bundle.artifacts["blue"]
    assert {point.artifact for point in bundle.operating_points} <= {"blue"}
    assert "blue of " in repr(bundle)


def test_it_is_loaded_once_and_says_the_same_of_a_file_its_bytes_and_its_pixels(
    folder: Path, sessions: list[FakeSession]
) -> None:
    bundle, picture = edgetl.open_bundle(folder, artifact="red"), folder / "golden" / "0.png"
    by_path, by_text = bundle.predict(picture), bundle.predict(str(picture))
    by_bytes, by_pixels = bundle.predict(picture.read_bytes()), bundle.predict(decode(picture))
    assert len(sessions) == 1
    assert by_path == by_text
    assert (by_path.file, by_bytes.file, by_pixels.file) == (str(picture), None, None)
    assert by_path.probabilities == by_bytes.probabilities == by_pixels.probabilities
    assert sum(by_path.probabilities.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
    ],
    ids=str,
)
def test_other_arrays_are_refused(folder: Path, pixels: Any) -> None:
    with pytest.raises(UnreadableImage, match=r"got an array .*, expected uint8 \[height, width, 3\]"):
        edgetl.open_bundle(folder, artifact="red").predict(pixels)


def test_a_broken_picture_costs_its_own_result(folder: Path, tmp_path: Path) -> None:
    broken, picture = tmp_path / "broken.png", folder / "golden" / "0.png"
    broken.write_bytes(b"\x89PNG")
    result = edgetl.predict(folder, [broken, picture, "nowhere.png"], artifact="red")
    assert [prediction.file for prediction in result.predictions] == [str(picture)]
    assert [error.place for error in result.unreadable] == [str(broken), "nowhere.png"]
    with pytest.raises(DataError, match="2 of 3 pictures could not be read"):
        result.raise_on_problems()
    edgetl.predict(folder, str(picture), artifact="red").raise_on_problems()


def test_the_command_prints_each_as_it_comes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = folder / "golden" / "0.png"
    expected = edgetl.predict(folder, picture, artifact="red").predictions
    words = ["edgetl", "predict", str(folder), "nowhere.png", str(picture), "--artifact", "red"]
    for extra in ([], ["--json"]):
        monkeypatch.setattr(sys, "argv", [*words, *extra])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        assert ended.value.code == 2
        assert [line[:18] for line in err.splitlines()] == ["error: nowhere.png", "error: 1 of 2 pict"]
        if extra:
            assert [edgetl.Prediction(**said) for said in json.loads(out)] == list(expected)
        else:
            assert out.split("\t")[:2] == [str(picture), expected[0].label]


def test_verify_gives_every_check_and_an_error_where_one_failed(folder: Path) -> None:
    result = edgetl.verify(folder)
    assert result.passed
    result.raise_on_problems()
    content = (folder / "models" / "blue.bin").read_bytes()
    (folder / "models" / "blue.bin").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    result = edgetl.verify(folder)
    assert not result.passed
    with pytest.raises(IntegrityError, match=r"1 of \d+ checks failed, the first: .*blue\.bin"):
        result.raise_on_problems()


def test_nothing_that_could_be_run_is_no_pass(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = tuple(check for check in edgetl.verify(folder).checks if check.check != "outputs")
    result = edgetl.VerifyResult(folder, checks)
    assert not result.passed
    with pytest.raises(EnvironmentFault, match="no artefact could be run"):
        result.raise_on_problems()
