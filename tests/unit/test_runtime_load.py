"""`edgetl.runtime.load`: a bundle or one file of it, checked before anything opens it; then pictures in, predictions out."""

from __future__ import annotations

import inspect
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_bundle
from fakes.sessions import SIZE, FakeSession, Stub, stub

from edgetl import runtime
from edgetl.runtime.backends import BACKENDS
from edgetl.runtime.errors import (
    EdgetlError,
    IntegrityError,
    MissingAccelerator,
    MissingRuntime,
    UnreadableImage,
    UsageError,
)
from edgetl.runtime.manifest import Manifest


def pixels(height: int = SIZE, width: int = SIZE) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


def missing() -> str:
    raise MissingRuntime("not here")


def test_what_is_offered_is_sorted_there_and_explained() -> None:
    assert runtime.__all__ == sorted(set(runtime.__all__))
    for name in runtime.__all__:
        assert inspect.getdoc(getattr(runtime, name)), name
        assert name in dir(runtime)
    with pytest.raises(AttributeError, match="lod"):
        runtime.lod  # type: ignore[attr-defined]  # noqa: B018


class TestBundle:
    def test_the_first_artifact_that_can_run_here_or_the_one_that_is_named(
        self, bundle: Path, opened: list[FakeSession], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert runtime.load(bundle).artifact.name == "red"
        assert runtime.load(str(bundle), "blue", threads=3).artifact.name == "blue"
        assert runtime.load(bundle / "bundle.json").artifact.name == "red"
        assert [session.given[1:] for session in opened[:2]] == [(1, {"hint": "red"}), (3, {"hint": "blue"})]
        monkeypatch.setitem(BACKENDS, "onnx", stub("onnx", says=missing))
        assert runtime.load(bundle).artifact.name == "blue"
        monkeypatch.setitem(BACKENDS, "openvino", stub("openvino", says=missing))
        with pytest.raises(MissingRuntime, match="none of the bundle's runtimes") as caught:
            runtime.load(bundle)
        assert caught.value.hint == "pip install one of onnxruntime, openvino"

    def test_an_accelerator_that_is_not_there_is_an_error_with_those_that_are(
        self, bundle: Path, opened: list[FakeSession]
    ) -> None:
        for name in (None, "blue"):
            with pytest.raises(
                MissingAccelerator, match="got accelerator 'npu', expected one that is there: cpu"
            ) as caught:
                runtime.load(bundle, name, accelerator="npu")
            assert caught.value.exit_code == 4
        with pytest.raises(MissingAccelerator):
            runtime.load(bundle / "models/red.json", accelerator="gpu")
        assert opened == []

    def test_without_a_name_the_first_whose_runtime_has_the_accelerator_is_taken(
        self, bundle: Path, opened: list[FakeSession], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Stub, "there", lambda self: ("cpu", "npu") if self.name == "openvino" else ("cpu",))
        assert runtime.load(bundle).artifact.name == "red"
        assert runtime.load(bundle, accelerator="npu").artifact.name == "blue"
        assert runtime.load(bundle, accelerator="gpu", allow_fallback=True).artifact.name == "blue"  # could have one
        with pytest.raises(MissingAccelerator, match="expected one that is there: cpu, npu"):
            runtime.load(bundle, accelerator="gpu")

    @pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True, None])
    def test_threads_are_a_whole_number_of_at_least_one(self, bundle: Path, threads: Any) -> None:
        with pytest.raises(UsageError, match=r"got .* threads, expected a whole number of at least 1"):
            runtime.load(bundle, threads=threads)

    def test_nothing_is_there(self, tmp_path: Path) -> None:
        for place in (tmp_path / "no", tmp_path):
            with pytest.raises(IntegrityError, match="is not there") as caught:
                runtime.load(place)
            assert caught.value.hint == "a bundle is a folder with a bundle.json in it"

    def test_a_bundle_needs_no_manifest(self, bundle: Path) -> None:
        with pytest.raises(UsageError, match="for what is no file, expected none"):
            runtime.load(bundle, manifest=bundle)


class TestFile:
    def test_in_its_bundle_it_is_that_artifact(self, bundle: Path) -> None:
        for name in ("red", "blue"):
            file = runtime.load(bundle / f"models/{name}.json")
            whole = runtime.load(bundle, name)
            assert file.predict(pixels()) == whole.predict(pixels())
            assert file.labels == tiny_bundle.LABELS

    def test_it_is_found_from_inside_its_folder(self, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        expected = runtime.load(bundle, "blue").predict(pixels())
        monkeypatch.chdir(bundle / "models")
        assert runtime.load("blue.json").predict(pixels()) == expected
        monkeypatch.chdir(bundle / "golden")
        assert runtime.load("../models/blue.json").predict(pixels()) == expected
        (bundle / "models/more").mkdir()
        assert runtime.load(bundle / "models/more/../blue.json").predict(pixels()) == expected

    def test_whatever_it_is_called(self, bundle: Path) -> None:
        shutil.copy(bundle / "models/red.json", bundle.parent / "my_bundle.json")
        assert runtime.load(bundle.parent / "my_bundle.json", manifest=bundle).artifact.name == "red"

    def test_a_bundle_json_that_leads_nowhere_hides_no_other(self, bundle: Path) -> None:
        (bundle / "models/bundle.json").symlink_to("nowhere")
        with pytest.raises(IntegrityError, match="is a link, expected a regular file"):
            runtime.load(bundle / "models/red.json")

    def test_behind_a_link_it_is_of_the_bundle_that_it_lies_in(self, bundle: Path, tmp_path: Path) -> None:
        """`..` after a link leads to where the link led to: another bundle.json would have the labels of another file."""
        expected = runtime.load(bundle, "blue").predict(pixels())
        elsewhere = tmp_path / "x" / "y"
        elsewhere.mkdir(parents=True)
        content = (bundle / "bundle.json").read_text()
        for label, other in (("mel", "zzz"), ("nv", "mel"), ("zzz", "nv")):
            content = content.replace(f'"{label}"', f'"{other}"')
        (elsewhere / "bundle.json").write_text(content)
        (elsewhere / "deep").symlink_to(bundle / "models")
        assert runtime.load(elsewhere / "deep" / ".." / "models" / "blue.json").predict(pixels()) == expected
        assert runtime.load(elsewhere / "deep" / "blue.json").predict(pixels()) == expected

    @pytest.mark.parametrize("name", ["..json", "...json", "a.b.json", ".json"])
    def test_weights_are_those_that_a_runtime_takes_for_a_name(
        self, bundle: Path, tmp_path: Path, name: str, opened: list[FakeSession]
    ) -> None:
        """OpenVINO puts .bin where the last ending was, and behind a name that is all ending."""
        weights = {"..json": "..bin", "...json": "...bin", "a.b.json": "a.b.bin", ".json": ".json.bin"}[name]
        shutil.copy(bundle / "models/blue.json", tmp_path / name)
        (tmp_path / weights).write_text("[9, 0, 0]")
        with pytest.raises(IntegrityError, match=r"sha256 is|bytes with its companions") as caught:
            runtime.load(tmp_path / name, manifest=bundle)
        assert caught.value.place in (str(tmp_path / weights), str(tmp_path / name))
        shutil.copy(bundle / "models/blue.bin", tmp_path / weights)
        assert runtime.load(tmp_path / name, manifest=bundle).artifact.name == "blue"
        assert len(opened) == 1

    def test_neighbours_of_other_names_do_not_matter(self, bundle: Path, tmp_path: Path) -> None:
        shutil.copy(bundle / "models/red.json", tmp_path / "red.v1.json")
        for other in ("red.v10.json", "red.v1-2.bin", "red.json", "xred.v1.bin"):
            (tmp_path / other).touch()
        assert runtime.load(tmp_path / "red.v1.json", manifest=bundle).artifact.name == "red"
        (tmp_path / "RED.V1.bin").touch()
        with pytest.raises(IntegrityError, match="lies beside a model"):
            runtime.load(tmp_path / "red.v1.json", manifest=bundle)

    def test_a_path_that_no_runtime_takes_is_a_usage_error(self, bundle: Path) -> None:
        with pytest.raises(UsageError, match="is not UTF-8, as inference runtimes need") as caught:
            runtime.load(os.fsencode(shutil.copytree(bundle, bundle.parent / os.fsdecode(b"\xff"))))  # type: ignore[arg-type]
        assert str(caught.value).isascii()

    def test_one_that_vanishes_is_named(self, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def getsize(file: object) -> int:
            raise FileNotFoundError(2, "No such file or directory", file)

        known = Manifest.load(bundle)
        monkeypatch.setattr(os.path, "getsize", getsize)
        with pytest.raises(IntegrityError, match="cannot be read: No such file") as caught:
            known.intact(bundle, known.artifact("red"))
        assert caught.value.place == str(bundle / "models/red.json")

    @pytest.mark.parametrize("how", ["beside", "folder", "path"])
    def test_elsewhere_its_bundle_json_says_what_it_is(self, bundle: Path, tmp_path: Path, how: str) -> None:
        expected = runtime.load(bundle, "blue").predict(pixels())
        there = tmp_path / "device"
        there.mkdir()
        for ending in ("json", "bin"):
            shutil.copy(bundle / f"models/blue.{ending}", there / f"renamed.{ending}")
        manifest = {"beside": None, "folder": bundle, "path": bundle / "bundle.json"}[how]
        if manifest is None:
            shutil.copy(bundle / "bundle.json", there)
        assert runtime.load(there / "renamed.json", manifest=manifest).predict(pixels()) == expected

    def test_without_one_it_is_not_opened(self, bundle: Path, tmp_path: Path, opened: list[FakeSession]) -> None:
        file = tmp_path / "a" / "b" / "red.json"
        file.parent.mkdir(parents=True)
        shutil.copy(bundle / "models/red.json", file)
        with pytest.raises(IntegrityError, match=r"is a file without a bundle\.json") as caught:
            runtime.load(file)
        assert "manifest=" in str(caught.value.hint)
        with pytest.raises(UsageError, match="is no bundle"):
            runtime.load(file, manifest=bundle / "labels.txt")
        assert opened == []

    @pytest.mark.parametrize("name", ["red.json", "other.json"])
    def test_a_changed_one_is_not_opened(
        self, bundle: Path, tmp_path: Path, opened: list[FakeSession], name: str
    ) -> None:
        content = (bundle / "models/red.json").read_text()
        (tmp_path / name).write_text(content.replace("1", "2"))
        with pytest.raises(IntegrityError, match="sha256 is"):
            runtime.load(tmp_path / name, manifest=bundle)
        (tmp_path / name).write_text(content + " ")
        with pytest.raises(IntegrityError, match=r"has .* bytes|sha256 is"):
            runtime.load(tmp_path / name, manifest=bundle)
        assert opened == []

    def test_what_belongs_to_it_is_checked_too(self, bundle: Path, tmp_path: Path, opened: list[FakeSession]) -> None:
        shutil.copy(bundle / "models/blue.json", tmp_path)
        with pytest.raises(IntegrityError, match="cannot be read"):
            runtime.load(tmp_path / "blue.json", manifest=bundle)
        (tmp_path / "blue.bin").write_text("[0, 0, 2]")
        with pytest.raises(IntegrityError, match="sha256 is") as caught:
            runtime.load(tmp_path / "blue.json", manifest=bundle)
        assert str(caught.value.place).endswith("blue.bin")
        assert opened == []

    def test_nothing_unlisted_lies_beside_it(self, bundle: Path, tmp_path: Path, opened: list[FakeSession]) -> None:
        shutil.copy(bundle / "models/red.json", tmp_path)
        (tmp_path / "red.bin").write_text("[9, 9, 9]")
        with pytest.raises(IntegrityError, match="lies beside a model"):
            runtime.load(tmp_path / "red.json", manifest=bundle)
        assert opened == []


class TestPredict:
    def test_a_path_bytes_and_pixels_are_the_same_picture(self, bundle: Path) -> None:
        model = runtime.load(bundle)
        file = bundle / "golden/0.png"
        tensor = np.load(bundle / "golden/tensors.npy")[0]
        of_path, of_bytes, of_pixels = (model.predict(picture) for picture in (file, file.read_bytes(), tensor))
        assert of_path == model.predict(str(file))
        assert (of_path.file, of_bytes.file, of_pixels.file) == (str(file), None, None)
        assert of_path.probabilities == of_bytes.probabilities == of_pixels.probabilities
        assert sum(of_path.probabilities.values()) == pytest.approx(1, abs=1e-6)
        assert of_path.label == max(of_path.probabilities, key=of_path.probabilities.__getitem__)
        assert of_path.flags == {"mel@0.90": of_path.probabilities["mel"] >= 0.25}

    def test_a_path_of_bytes_is_a_path(self, bundle: Path) -> None:
        model = runtime.load(bundle)
        (entry,) = (each for each in os.scandir(os.fsencode(bundle / "golden")) if each.name == b"0.png")
        prediction = model.predict(entry)  # type: ignore[arg-type]
        assert prediction == model.predict(bundle / "golden/0.png")
        assert prediction.file == str(bundle / "golden/0.png")

    def test_what_is_no_path_is_no_picture(self, bundle: Path) -> None:
        with pytest.raises(UnreadableImage, match="is no path: embedded null") as caught:
            runtime.load(bundle).predict("a\0b")
        assert caught.value.place == "'a\\x00b'"

    def test_pixels_of_another_size_are_resized_and_others_are_not_copied(
        self, bundle: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = runtime.load(bundle)
        taken: list[Any] = []

        def run(self: FakeSession, image: Any) -> Any:
            taken.append(image)
            return np.full((1, 3), 1 / 3)

        monkeypatch.setattr(FakeSession, "run", run)
        ready = pixels()
        model.predict(ready)
        assert taken[0].shape == (1, *model.input_shape)
        assert np.shares_memory(taken[0], ready)
        model.predict(pixels(9, 7))
        assert taken[1].shape == (1, *model.input_shape)

    def test_it_says_how_long_it_took_which_no_comparison_sees(self, bundle: Path) -> None:
        model = runtime.load(bundle)
        first = model.predict(bundle / "golden/0.png")
        assert first.latency_ms is not None
        assert first.inference_ms is not None
        assert 0 < first.inference_ms < first.latency_ms < 10_000
        assert first == model.predict(bundle / "golden/0.png")
        assert set(first.to_json()) == {
            *("file", "artifact", "label", "probabilities", "flags", "latency_ms", "inference_ms"),
        }

    @pytest.mark.parametrize("wrong", [None, 3, [[1]], bytearray(b"x"), pixels().astype(np.float32), pixels()[..., :2]])
    def test_anything_else_is_refused_as_no_picture(self, bundle: Path, wrong: Any) -> None:
        with pytest.raises(UnreadableImage, match="expected"):
            runtime.load(bundle).predict(wrong)

    def test_a_prediction_is_one_as_others_are(self, bundle: Path) -> None:
        made = runtime.load(bundle).predict(pixels())
        again = runtime.Prediction(**made.to_json())
        assert (made, repr(made)) == (again, repr(again))
        with pytest.raises(AttributeError):
            made.label = "x"  # type: ignore[misc]

    def test_at_the_end_of_the_block_it_is_closed(self, bundle: Path) -> None:
        with runtime.load(bundle) as model:
            assert model.describe()["accelerator"] == "cpu"
        model.close()
        for use in (lambda: model.predict(pixels()), model.describe):
            with pytest.raises(UsageError, match="was closed") as caught:
                use()
            assert caught.value.place == "red"
        assert model.input_shape == (SIZE, SIZE, 3)


def test_each_error_is_one_line_with_its_place_and_a_hint(bundle: Path, tmp_path: Path) -> None:
    stray = tmp_path / "stray.json"
    stray.write_text("[]")

    def refused(**arguments: Any) -> EdgetlError:
        with pytest.raises(EdgetlError) as caught:
            runtime.load(**arguments)
        return caught.value

    errors = [
        refused(source=stray),
        refused(source=stray, manifest=bundle),
        refused(source=bundle, artifact="green"),
        refused(source=bundle, accelerator="gpu"),
        refused(source=tmp_path),
    ]
    for error in errors:
        lines = str(error).splitlines()
        assert len(lines) == 2, lines
        assert lines[1].startswith("  hint: ")
        assert error.hint


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_a_file_that_is_a_link_is_refused(bundle: Path, tmp_path: Path, opened: list[FakeSession]) -> None:
    (tmp_path / "red.json").symlink_to(bundle / "models/red.json")
    with pytest.raises(IntegrityError, match="is a link, expected a regular file"):
        runtime.load(tmp_path / "red.json", manifest=bundle)
    assert opened == []
