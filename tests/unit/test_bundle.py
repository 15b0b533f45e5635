"""A bundle holds together: what it says several times agrees, and nothing is read that it does not list, or not in it."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_bundle
from fakes.sessions import FakeSession
from tiny_bundle import edit, rehash

from edgetl.runtime import __main__ as command
from edgetl.runtime.errors import IntegrityError
from edgetl.runtime.loading import load
from edgetl.runtime.manifest import Manifest
from edgetl.runtime.sessions import open_artifact
from edgetl.runtime.verifying import Check, verify


def failures(bundle: Path) -> list[str]:
    return [f"{check.check}: {check.detail}" for check in verify(bundle) if check.passed is False]


def reverse(bundle: Path, *places: str) -> Path:
    """Turn the labels round in bundle.json or in files, with their hashes."""
    for path in places:
        if path == "bundle.json":
            edit(bundle, lambda content: content["labels"].reverse())
        else:
            lines = (bundle / path).read_text().splitlines()
            (bundle / path).write_text("".join(f"{line}\n" for line in reversed(lines)), newline="\n")
            rehash(bundle, path)
    return bundle


class TestLabels:
    @pytest.mark.parametrize(
        ("places", "named"),
        [
            (("bundle.json",), ["labels.txt", "golden/labels.txt"]),
            (("labels.txt",), ["labels.txt"]),
            (("golden/labels.txt",), ["golden/labels.txt"]),
            (("bundle.json", "labels.txt"), ["golden/labels.txt"]),
            (("bundle.json", "golden/labels.txt"), ["labels.txt"]),
        ],
        ids=" and ".join,
    )
    def test_two_orders_are_refused_before_anything_is_predicted(
        self, bundle: Path, places: tuple[str, ...], named: list[str], opened: list[FakeSession]
    ) -> None:
        reverse(bundle, *places)
        for read in (Manifest.load, load):
            with pytest.raises(IntegrityError, match=r"line 1 is '\w+', the labels of bundle.json say '\w+'") as caught:
                read(bundle)
            assert (caught.value.exit_code, caught.value.place) == (5, str(bundle / named[0]))
        assert opened == []
        assert [failure.partition(": line")[0] for failure in failures(bundle)] == [f"labels: {path}" for path in named]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("mel\nnv\nBKL\n", "line 3 is 'BKL', the labels of bundle.json say 'bkl'"),
            ("mel\nnv\n", "line 3 is '', the labels of bundle.json say 'bkl'"),
            ("mel\nnv\nbkl", "line 4 is None, the labels of bundle.json say ''"),
            ("mel\nnv\nbkl\nx\n", "line 4 is 'x', the labels of bundle.json say ''"),
            ("mel\r\nnv\r\nbkl\r\n", r"line 1 is 'mel\\r'"),
            ("", "line 1 is '', the labels of bundle.json say 'mel'"),
        ],
    )
    def test_the_first_line_that_differs_is_named(self, bundle: Path, text: str, message: str) -> None:
        (bundle / "labels.txt").write_bytes(text.encode())
        with pytest.raises(IntegrityError, match=message):
            Manifest.load(bundle)

    def test_an_older_bundle_loads_and_verify_says_what_it_does_not_record(self, bundle: Path) -> None:
        tiny_bundle.as_first_written(bundle)
        assert load(bundle, "blue").predict(bundle / "golden/0.png").artifact == "blue"
        checks = verify(bundle)
        assert [check.detail.partition(":")[0] for check in checks if check.passed is None] == ["not recorded"]
        assert all(check.passed for check in checks if check.passed is not None)
        reverse(bundle, "bundle.json")
        with pytest.raises(IntegrityError, match=r"labels\.txt"):
            Manifest.load(bundle)


LISTED = ("bundle.json", "labels.txt", "golden/labels.txt", "models/red.json", "models/blue.bin", "golden/0.png")


def link(path: Path) -> None:
    """The same content, outside the bundle."""
    outside = path.parent.parent.parent / f"outside-{path.name}"
    shutil.move(path, outside)
    path.symlink_to(outside)


def link_inside(path: Path) -> None:
    """To a copy beside it."""
    shutil.copy(path, path.with_name(f"copy-{path.name}"))
    path.unlink()
    path.symlink_to(f"copy-{path.name}")


def link_folder(path: Path) -> None:
    """The folder of the file is a link."""
    outside = path.parent.parent.parent / "outside"
    shutil.move(path.parent, outside)
    path.parent.symlink_to(outside, target_is_directory=True)


def pipe(path: Path) -> None:
    """Whoever opens it waits for ever."""
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    """No file at all."""
    path.unlink()
    path.mkdir()


READERS: dict[str, Callable[[Path], object]] = {
    "load": Manifest.load,
    "predict red": lambda bundle: load(bundle, "red"),
    "predict blue": lambda bundle: load(bundle, "blue"),
    "bench": lambda bundle: _code(command.main(["bench", str(bundle)])),
    "selftest": lambda bundle: _code(command.main(["selftest", "--json", str(bundle)])),
}
READS = {
    "load": {"bundle.json", "labels.txt", "golden/labels.txt"},
    "predict red": {"bundle.json", "labels.txt", "golden/labels.txt", "models/red.json"},
    "predict blue": {"bundle.json", "labels.txt", "golden/labels.txt", "models/blue.bin"},
    "bench": {*LISTED} - {"golden/0.png"},
    "selftest": {*LISTED},
}


def _code(code: int) -> None:
    if code == 5:
        raise IntegrityError("exit code 5")


SWAPS = [(swap, path) for swap in (link, link_inside, pipe, folder) for path in LISTED]
SWAPS += [(link_folder, path) for path in LISTED if "/" in path]


@pytest.mark.parametrize(("swap", "path"), SWAPS)
def test_only_plain_files_of_the_bundle_are_opened(
    bundle: Path, path: str, swap: Callable[[Path], None], opened: list[FakeSession]
) -> None:
    swap(bundle / path)
    for name, read in READERS.items():
        reached = path.split("/")[0] if swap is link_folder else path
        if any(file.startswith(reached) for file in READS[name]):
            with pytest.raises(IntegrityError):
                read(bundle)
            assert opened == []


@pytest.mark.parametrize(
    ("swap", "message"),
    [
        (Path.unlink, "cannot be read: No such file or directory"),
        (link, "is a link, expected a regular file"),
        (link_folder, "is a link, expected a folder"),
        (pipe, "is a pipe, socket or device, expected a regular file"),
        (folder, "is a folder, expected a regular file"),
    ],
)
def test_what_it_is_and_should_be_is_said(bundle: Path, swap: Callable[[Path], None], message: str) -> None:
    swap(bundle / "golden/tensors.npy")
    assert f"files: golden/tensors.npy: {message}" in failures(bundle)


def test_bundle_json_is_utf_8(bundle: Path) -> None:
    content = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(
        json.dumps(content | {"name": "Hautl\u00e4sion"}, ensure_ascii=False), encoding="utf-8"
    )
    assert Manifest.load(bundle).name == "Hautl\u00e4sion"


def test_a_bundle_json_without_end_is_not_read(bundle: Path) -> None:
    content = (bundle / "bundle.json").read_text()
    (bundle / "bundle.json").write_text(content.ljust(16 * 2**20))
    assert Manifest.load(bundle)
    (bundle / "bundle.json").write_text(content.ljust(16 * 2**20 + 1))
    with pytest.raises(IntegrityError, match="is larger than 16777216 bytes"):
        Manifest.load(bundle)


def test_a_file_is_no_folder(bundle: Path) -> None:
    shutil.rmtree(bundle / "golden")
    (bundle / "golden").touch()
    with pytest.raises(IntegrityError, match="is a file, expected a folder") as caught:
        Manifest.load(bundle)
    assert caught.value.place == str(bundle / "golden")


@pytest.mark.parametrize("path", ["bundle.json", "labels.txt", "models/red.json"])
def test_what_may_not_be_read_is_named(bundle: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = open

    def read(file: Any, *arguments: Any, **options: Any) -> Any:
        if file == str(bundle / path):
            raise PermissionError(13, "Permission denied", file)
        return allowed(file, *arguments, **options)

    monkeypatch.setattr("builtins.open", read)
    with pytest.raises(IntegrityError, match="cannot be read: Permission denied") as caught:
        load(bundle, "red")
    assert caught.value.place == str(bundle / path)


def test_a_folder_that_may_not_be_listed_is_named(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scandir(folder: object) -> Any:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(IntegrityError, match="cannot be listed: Permission denied"):
        verify(bundle)


def test_a_model_is_not_opened_where_nobody_can_see_what_lies_beside_it(
    bundle: Path, opened: list[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    def listdir(folder: str) -> Any:
        raise PermissionError(13, "Permission denied", folder)

    monkeypatch.setattr(os, "listdir", listdir)
    with pytest.raises(IntegrityError, match="cannot be listed: Permission denied") as caught:
        load(bundle, "red")
    assert caught.value.place == str(bundle / "models")
    assert opened == []


def test_a_bundle_may_itself_be_reached_through_a_link(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(bundle, target_is_directory=True)
    assert failures(tmp_path / "latest") == []


class TestUnlisted:
    @pytest.mark.parametrize("name", ["models/red.onnx.data", "extra.txt", "golden/deep/x"])
    def test_a_file_is_named(self, bundle: Path, name: str) -> None:
        (bundle / name).parent.mkdir(exist_ok=True)
        (bundle / name).touch()
        assert failures(bundle) == [f"files: {name}: is not listed in bundle.json"]

    def test_a_link_to_a_folder_is_named_and_not_followed(self, bundle: Path, tmp_path: Path) -> None:
        (bundle / "models/more").symlink_to(tmp_path, target_is_directory=True)
        assert failures(bundle) == ["files: models/more: is not listed in bundle.json"]

    def test_what_a_runtime_would_load_with_a_model_keeps_it_from_being_opened(
        self, bundle: Path, opened: list[FakeSession]
    ) -> None:
        (bundle / "models/red.bin").write_text("[0, 9, 0]")
        with pytest.raises(IntegrityError, match="lies beside a model") as caught:
            open_artifact(bundle, Manifest.load(bundle).artifact("red"))
        assert caught.value.place == str(bundle / "models/red.bin")
        assert opened == []

    def test_a_listed_file_of_models_and_golden_has_a_purpose(self, bundle: Path) -> None:
        (bundle / "models/green.json").touch()
        with pytest.raises(IntegrityError, match=r"'models/green\.json' belongs to no artefact"):
            Manifest.load(rehash(bundle, "models/green.json"))

    def test_a_note_elsewhere_needs_none(self, bundle: Path) -> None:
        (bundle / "LICENSE").touch()
        assert failures(rehash(bundle, "LICENSE")) == []
        (bundle / "LICENSE").write_text("another")
        assert failures(bundle) == ["files: LICENSE: its sha256 is not the manifest's"]


class TestArtifact:
    @pytest.mark.parametrize("path", ["models/blue.json", "models/blue.bin"])
    @pytest.mark.parametrize(("text", "message"), [("[0,0, 1]{} ", "bytes with its companions"), (None, "sha256 is")])
    def test_no_file_of_it_is_opened_once_one_changed(
        self, bundle: Path, path: str, text: str | None, message: str, opened: list[FakeSession]
    ) -> None:
        changed = text or (bundle / path).read_text()[::-1]
        (bundle / path).write_text(changed)
        with pytest.raises(IntegrityError, match=message) as caught:
            load(bundle, "blue")
        assert "copy the bundle again" in (caught.value.hint or "")
        assert opened == []
        assert command.main(["bench", str(bundle)]) == 5

    @pytest.mark.parametrize("off", [-1, 1])
    def test_bytes_are_those_of_all_its_files(self, bundle: Path, off: int) -> None:
        manifest = Manifest.load(bundle)
        assert manifest.artifact("blue").bytes == len("{}") + len("[0, 0, 1]")
        assert manifest.intact(bundle, manifest.artifact("blue")) == str(bundle / "models/blue.json")
        edit(bundle, lambda content: content["artifacts"][1].update(bytes=content["artifacts"][1]["bytes"] + off))
        with pytest.raises(IntegrityError, match=rf"has 11 bytes with its companions, expected {11 + off}"):
            load(bundle, "blue")

    def test_it_is_given_its_options(self, bundle: Path, opened: list[FakeSession]) -> None:
        load(bundle, "blue", threads=3)
        load(bundle)
        assert [session.given for session in opened] == [
            (bundle / "models/blue.json", 3, {"hint": "blue"}),
            (bundle / "models/red.json", 1, {"hint": "red"}),
        ]

    @pytest.mark.parametrize(
        "content", ['{"bias": [1, 0]}', '{"bias": [1, 0, 0, 0]}', '{"bias": [1, 0, 0], "size": 5}']
    )
    def test_a_model_of_other_shapes_than_the_manifest_says_is_refused(self, bundle: Path, content: str) -> None:
        (bundle / "models/red.json").write_text(content)
        rehash(bundle, "models/red.json")
        message = (
            r"takes \[1, \d, 4, 3\] and gives \[1, \d\], the manifest says it takes \[1, 4, 4, 3\] and gives \[1, 3\]"
        )
        with pytest.raises(IntegrityError, match=message):
            load(bundle, "red")
        assert [check.artifact for check in verify(bundle) if check.passed is False] == ["red"]


class TestGolden:
    def test_a_good_bundle_passes(self, bundle: Path) -> None:
        checks = verify(bundle)
        assert [(check.artifact, check.check, check.passed) for check in checks] == [
            (None, "files", True),
            (None, "labels", True),
            (None, "labels", True),
            (None, "preprocessing", True),
            ("red", "outputs", True),
            ("blue", "outputs", True),
        ]
        assert "11 files have their sha256" in checks[0].detail
        assert "2 pictures give their tensors exactly" in checks[3].detail
        assert "largest difference 0, allowed 0.05, 2 pictures on fake 1" in checks[4].detail

    @pytest.mark.parametrize(("artifact", "tolerance"), [("red", 0.05), ("blue", 1e-4)])
    @pytest.mark.parametrize(("share", "passes"), [(0.98, True), (1.02, False), (-0.98, True), (-1.02, False)])
    def test_an_output_may_be_off_by_the_tolerance_of_its_precision(
        self, bundle: Path, artifact: str, tolerance: float, share: float, passes: bool
    ) -> None:
        change(bundle, f"golden/{artifact}.npy", (1, 2), np.float32(share * tolerance))
        failed = [check.artifact for check in verify(bundle) if check.passed is False]
        assert failed == ([] if passes else [artifact])

    def test_no_tolerance_asks_for_equality(self, bundle: Path) -> None:
        edit(bundle, lambda content: content["golden"]["tolerance"].update(int8=0.0))
        assert failures(bundle) == []

    @pytest.mark.parametrize("threads", [1, 3])
    def test_threads_are_the_runtimes(self, bundle: Path, opened: list[FakeSession], threads: int) -> None:
        verify(bundle) if threads == 1 else verify(bundle, threads)
        assert [session.given[1] for session in opened] == [threads, threads]

    def test_without_pillow_pictures_are_skipped_and_tensors_still_checked(
        self, bundle: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "PIL", None)
        checks = {check.check: check for check in verify(bundle)}
        assert checks["preprocessing"].passed is None
        assert checks["preprocessing"].detail.startswith("skipped: decoding a picture needs Pillow")
        assert checks["outputs"].passed

    def test_a_pickle_is_not_loaded_even_of_the_right_tensors(self, bundle: Path) -> None:
        tensors = np.load(bundle / "golden/tensors.npy")
        (bundle / "golden/tensors.npy").write_bytes(pickle.dumps(tensors))
        assert len(failures(rehash(bundle, "golden/tensors.npy"))) == 3

    def test_nan_is_no_agreement(self, bundle: Path) -> None:
        change(bundle, "golden/red.npy", (0, 0), np.float32("nan"))
        assert [check.artifact for check in verify(bundle) if check.passed is False] == ["red"]

    def test_a_picture_that_preprocesses_otherwise_is_named(self, bundle: Path) -> None:
        change(bundle, "golden/tensors.npy", (1, 0, 0, 0), np.uint8(1))
        details = {check.check: check.detail for check in verify(bundle) if check.passed is False}
        assert details["preprocessing"] == "golden/1.png: 1 of 48 values differ"

    @pytest.mark.parametrize("name", ["tensors", "red"])
    @pytest.mark.parametrize(
        ("reshape", "message"),
        [
            (lambda array: array[:1], "have shape"),
            (lambda array: np.concatenate([array, array[:1]]), "have shape"),
            (lambda array: array[..., :-1], "have shape"),
            (lambda array: array[:0], "have shape|not a .npy"),
            (lambda array: array.astype(np.float64), "does not hold"),
            (lambda array: np.array([{}], object), "not a .npy"),
        ],
        ids=["fewer", "more", "narrower", "none", "doubles", "pickle"],
    )
    def test_another_shape_or_type_is_refused(
        self, bundle: Path, name: str, reshape: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]], message: str
    ) -> None:
        path = f"golden/{name}.npy"
        np.save(bundle / path, reshape(np.load(bundle / path)), allow_pickle=True)
        failed = [check for check in verify(rehash(bundle, path)) if check.passed is False]
        assert [check.artifact for check in failed] == ([None, "red", "blue"] if name == "tensors" else ["red"])
        assert all(re.search(message, check.detail) for check in failed)

    @pytest.mark.parametrize(
        "shape", ["(1000000000000,)", "(2, 3000000000000000000)", "(99999999999999999999,)", "(-1,)"]
    )
    def test_a_header_that_promises_more_than_there_is_costs_no_memory(self, bundle: Path, shape: str) -> None:
        header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}\n".encode()
        (bundle / "golden/tensors.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        assert len(failures(rehash(bundle, "golden/tensors.npy"))) == 3


def change(bundle: Path, path: str, index: tuple[int, ...], by: np.generic) -> None:
    array = np.load(bundle / path)
    array[index] += by
    np.save(bundle / path, array)
    rehash(bundle, path)


def test_verify_prints_its_checks(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["selftest", "--json", str(tiny_bundle.as_first_written(bundle))]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [check["skipped"] for check in printed] == [False, False, True, False, False, False]
    reverse(bundle, "bundle.json")
    assert command.main(["selftest", "--json", str(bundle)]) == 5
    assert Check(**{key: value for key, value in printed[0].items() if key != "skipped"}).to_json() == printed[0]


def test_a_golden_array_that_is_none_fails_its_check(bundle: Path) -> None:
    path = bundle / "golden" / "tensors.npy"
    content = path.read_bytes()
    start = content.index(b"{")
    path.write_bytes(content[:start] + b"(" * 20 + content[start + 20 :])  # numpy reads the header as a Python literal
    rehash(bundle, "golden/tensors.npy")
    failed = [check for check in verify(bundle) if check.passed is False]
    assert failed
    assert all("is not a .npy file" in check.detail for check in failed)
