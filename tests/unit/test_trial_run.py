"""A file is tried in a process of its own; whatever happens there is one error that names the file."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edgetl.backends import trial_run
from edgetl.backends.trial_run import works
from edgetl.errors import ArtifactError, EnvironmentFault, MissingRuntime
from edgetl.runtime.backends import BACKENDS

IMAGES: npt.NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), np.uint8)


@pytest.fixture(autouse=True)
def _broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend of which the other process knows no more than where its session is."""
    monkeypatch.setitem(BACKENDS, "onnx", replace(BACKENDS["onnx"], session="broken_runtime"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "fakes"))


def _file(folder: Path, word: str) -> Path:
    path = folder / "onnx-int8.broken"
    path.write_text(word)
    return path


def test_a_file_that_works_is_told_nothing_of(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    works(_file(tmp_path, "fine"), "onnx", IMAGES)
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["onnx-int8.broken"]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("damaged", "onnx-int8: does not load: node 3 (DIV) of onnx-int8.broken"),
        ("zero", "onnx-int8: does not run: ZeroDivisionError: integer division or modulo by zero"),
        ("nan", "onnx-int8: gives numbers that are not finite"),
        ("constant", "onnx-int8: gives the same probabilities for 3 different images"),
        pytest.param(
            "SIGSEGV",
            "onnx-int8: crashes its runtime: the process that tried it was ended by SIGSEGV; its last line: the last words",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="signals"),
        ),
    ],
)
def test_a_file_that_does_not_work_is_one_error(tmp_path: Path, word: str, said: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        works(_file(tmp_path, word), "onnx", IMAGES)
    assert (caught.value.message, caught.value.exit_code) == (said, 1)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("word", ["memory", pytest.param("SIGKILL", marks=pytest.mark.skipif("os.name == 'nt'"))])
def test_a_machine_without_memory_is_not_the_files_fault(tmp_path: Path, word: str) -> None:
    with pytest.raises(EnvironmentFault, match="out of memory while onnx-int8 was tried"):
        works(_file(tmp_path, word), "onnx", IMAGES)


def test_a_runtime_that_is_not_there_is_not_the_files_fault(tmp_path: Path) -> None:
    with pytest.raises(MissingRuntime, match="needs a runtime"):
        works(_file(tmp_path, "absent"), "onnx", IMAGES)


def test_a_runtime_that_hangs_is_the_files_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_run, "_TIMEOUT_S", 0.001)
    with pytest.raises(ArtifactError, match="onnx-int8: did not answer within"):
        works(_file(tmp_path, "fine"), "onnx", IMAGES)


def test_one_answer_for_all_is_right_where_the_network_gives_one_too_and_where_the_images_are_equal(
    tmp_path: Path,
) -> None:
    path = _file(tmp_path, "constant")
    alike = np.array([[0.25, 0.75], [0.26, 0.74], [0.24, 0.76]], np.float32)
    works(path, "onnx", IMAGES, expected=alike)
    works(path, "onnx", np.repeat(IMAGES[:1], 3, axis=0))
    with pytest.raises(ArtifactError, match="the same probabilities"):
        works(path, "onnx", IMAGES, expected=alike[:, ::-1] * np.array([[1], [1], [0.2]], np.float32))
