"""`python -m edgetl.runtime` on a bundle that needs no inference runtime: arguments in, JSON and exit codes out."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_bundle
from fakes.sessions import FakeSession, stub

from edgetl.runtime import __main__ as command
from edgetl.runtime.accelerators import CPU, Accelerator
from edgetl.runtime.backends import BACKENDS
from edgetl.runtime.cores import usable_cores
from edgetl.runtime.errors import EdgetlError, IntegrityError, MissingRuntime, UnreadableImage, WorkerError
from edgetl.runtime.golden import Known
from edgetl.runtime.measurement import Measurement
from edgetl.runtime.subjects import Failure
from edgetl.runtime.sustained import Sustained
from edgetl.runtime.workers import Command


def lines(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_predict_prints_a_line_a_picture(
    bundle: Path, opened: list[FakeSession], capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = [str(bundle / f"golden/{number}.png") for number in (1, 0)]
    assert command.main(["predict", "--json", str(bundle), *pictures, "--artifact", "blue", "--threads", "2"]) == 0
    predictions = lines(capsys)
    assert [prediction["file"] for prediction in predictions] == pictures
    assert {prediction["artifact"] for prediction in predictions} == {"blue"}
    assert [session.given[1] for session in opened] == [2]
    for prediction in predictions:
        assert prediction["probabilities"][prediction["label"]] == max(prediction["probabilities"].values())
        assert list(prediction["probabilities"]) == ["mel", "nv", "bkl"]


def test_predict_takes_the_first_artefact_and_one_thread(
    bundle: Path, opened: list[FakeSession], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["predict", "--json", str(bundle), str(bundle / "golden/0.png")]) == 0
    assert lines(capsys)[0]["artifact"] == "red"
    assert opened[0].given[1] == 1


def missing() -> str:
    raise MissingRuntime("not here")


def test_predict_takes_the_first_artefact_that_can_run(
    bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKENDS, "onnx", stub("onnx", says=missing))
    assert command.main(["predict", "--json", str(bundle), str(bundle / "golden/0.png")]) == 0
    assert lines(capsys)[0]["artifact"] == "blue"
    monkeypatch.setitem(BACKENDS, "openvino", stub("openvino", says=missing))
    assert command.main(["predict", "--json", str(bundle), str(bundle / "golden/0.png")]) == 3
    assert "none of the bundle's runtimes is installed" in capsys.readouterr().err


def test_flags_are_reached_at_the_threshold_itself(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = str(bundle / "golden/0.png")
    command.main(["predict", "--json", str(bundle), picture, "--artifact", "red"])
    (before,) = lines(capsys)
    probability = before["probabilities"]["mel"]
    for threshold, reached in ((probability, True), (probability + 1e-9, False), (probability - 1e-9, True)):

        def change(content: dict[str, Any], threshold: float = threshold) -> None:
            content["operating_points"][0]["threshold"] = threshold

        tiny_bundle.edit(bundle, change)
        command.main(["predict", "--json", str(bundle), picture, "--artifact", "red"])
        assert lines(capsys)[0]["flags"] == {"mel@0.90": reached}


def test_an_error_goes_to_stderr_with_its_exit_code(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["predict", "--json", str(bundle), str(bundle / "labels.txt")]) == 2
    assert command.main(["predict", "--json", str(bundle), "x.png", "--artifact", "green"]) == 5
    assert command.main(["selftest", str(bundle / "models")]) == 5
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "has no artefact 'green'\n  hint: it has: red, blue" in printed.err


@pytest.mark.parametrize(
    ("error", "code"),
    [(EdgetlError, 1), (UnreadableImage, 2), (MissingRuntime, 3), (WorkerError, 4), (IntegrityError, 5)],
)
def test_each_error_has_its_exit_code(
    bundle: Path,
    error: type[EdgetlError],
    code: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*arguments: object) -> None:
        raise error("what is wrong", place="bundle.json", hint="what to do")

    monkeypatch.setattr(command, "verify", fail)
    assert command.main(["selftest", "--json", str(bundle)]) == code
    assert capsys.readouterr().err == "bundle.json: what is wrong\n  hint: what to do\n"


def test_ctrl_c_has_its_exit_code(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "verify", interrupted)
    assert command.main(["selftest", "--json", str(bundle)]) == 130


@pytest.mark.parametrize(
    ("options", "names", "mode", "seed", "threads"),
    [
        ([], ["red", "blue"], "quick", 0, 1),
        (["--artifact", "blue", "--full", "--seed", "7", "--threads", "2"], ["blue"], "full", 7, 2),
        (["--artifact", "blue", "--artifact", "red", "--threads", "1"], ["blue", "red"], "quick", 0, 1),
    ],
)
def test_bench_asks_for_what_was_said(
    bundle: Path,
    options: list[str],
    names: list[str],
    mode: str,
    seed: int,
    threads: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []

    def measure(plan: list[Command], *how: object, known: dict[str, Known]) -> list[Any]:
        asked.append(([(worker.name, worker.threads) for worker in plan], *how))
        assert list(known) == names
        return []

    monkeypatch.setattr(command, "measure", measure)
    assert command.main(["bench", "--json", str(bundle), *options]) == 0
    assert asked == [([(name, threads) for name in names], mode, seed)]
    assert lines(capsys) == [[]]


def test_a_worker_is_given_its_model(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    given: list[Any] = []
    monkeypatch.setattr(command, "serve_artifact", lambda *arguments: given.append(arguments))
    assert command.main(["worker", "--path", "m.xml", "--backend", "openvino"]) == 0
    options = ["--options", '{"HINT": "f32"}', "--threads", "4"]
    assert command.main(["worker", "--path", "m.xml", "--backend", "openvino", *options]) == 0
    asked = ["--accelerator", "gpu", "--accelerator-options", '{"DEVICE_ID": "1"}', "--allow-fallback"]
    assert command.main(["worker", "--path", "m.xml", "--backend", "openvino", *asked]) == 0
    assert given == [
        (Path("m.xml"), "openvino", 1, {}, CPU),
        (Path("m.xml"), "openvino", 4, {"HINT": "f32"}, CPU),
        (Path("m.xml"), "openvino", 1, {}, Accelerator("gpu", {"DEVICE_ID": "1"}, allow_fallback=True)),
    ]


NO_OPTIONS = ("{", "[]", '{"a": 1}', '{"a": "", "b": 1}', '"a"')


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["worker", "--backend", "onnx"],
        ["worker", "--path", "x"],
        ["worker", "--path", "x", "--backend", "none"],
        ["predict", "bundle"],
        *(["selftest", "bundle", "--threads", count] for count in ("0", "-1", "two", "1.5", "")),
        *(
            ["worker", "--path", "x", "--backend", "onnx", "--options", text]
            for text in ("{", "[]", '{"a": 1}', '{"a": "", "b": 1}', '"a"')
        ),
    ],
)
def test_other_arguments_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(arguments)
    assert caught.value.code == 2


def test_info_says_what_is_installed(
    opened: list[FakeSession], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKENDS, "tflite", stub("tflite", says=missing))
    assert command.main(["info", "--json"]) == 0
    (info,) = lines(capsys)
    assert info["runtimes"] == {"onnx": "1", "openvino": "1", "tflite": None}
    assert info["accelerators"] == {"onnx": ["cpu"], "openvino": ["cpu"]}
    assert info["cores"] == usable_cores()
    assert info["machine"] == platform.machine()


def test_selftest_fails_only_for_what_failed(
    bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*arguments: object) -> Any:
        raise MissingRuntime("not here")

    monkeypatch.setitem(BACKENDS, "onnx", stub("onnx", absent, missing))
    assert command.main(["selftest", "--json", str(bundle), "--threads", "3"]) == 0
    checks = {check["artifact"]: check for check in lines(capsys)[0] if check["check"] == "outputs"}
    assert (checks["red"]["passed"], checks["red"]["skipped"]) == (None, True)
    assert checks["red"]["detail"] == "skipped: not here"
    assert (checks["blue"]["passed"], checks["blue"]["skipped"]) == (True, False)

    def broken(*arguments: object) -> Any:
        raise IntegrityError("does not load")

    monkeypatch.setitem(BACKENDS, "onnx", stub("onnx", broken, missing))
    assert command.main(["selftest", "--json", str(bundle)]) == 5


def test_people_read_lines(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = str(bundle / "golden/0.png")
    assert command.main(["predict", str(bundle), picture, "--artifact", "red"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"{re.escape(picture)}: mel 0\.\d{{3}}  mel@0\.90  \(\d+\.\d ms, red\)", line)
    assert command.main(["selftest", str(bundle)]) == 0
    said = capsys.readouterr().out
    assert "ok       red  outputs: largest difference 0, allowed 0.05, 2 pictures on fake 1\n" in said
    assert command.main(["info"]) == 0
    assert "onnx: 1 on cpu\n" in capsys.readouterr().out


def test_bench_is_a_table_for_people(
    bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    described = {"runtime": "fake", "version": "1"}
    quiet = Measurement("red", "quick", 1, 2, 100, 1.0, 2.0, 3.0, 4.0, 5.0, 60.4, False, "", (1.0,), described)
    noisy = replace(quiet, name="blue", p50_ms=1.5, peak_rss_mb=None, noisy=True, noise="drifts")
    monkeypatch.setattr(command, "measure", lambda *arguments, **known: [quiet, noisy])
    assert command.main(["bench", str(bundle)]) == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == [
        "artefact",
        "p50",
        "ms",
        "p90",
        "ms",
        "p99",
        "ms",
        "first",
        "load",
        "MB",
        "threads,",
        "runtime",
    ]
    assert first.split() == ["red", "1.000", "2.000", "3.000", "4.000", "5.000", "60", "2,", "fake", "1"]
    assert second.split() == [
        "blue",
        "1.500",
        "2.000",
        "3.000",
        "4.000",
        "5.000",
        "-",
        "2,",
        "fake",
        "1;",
        "NOISY:",
        "drifts",
    ]


@pytest.mark.parametrize(("codes", "code"), [([], 0), ([4], 4), ([4, 5], 5), ([5, 4], 5)])
def test_what_failed_decides_the_exit_code(
    bundle: Path, codes: list[int], code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = Measurement("red", "quick", 1, 2, 100, 1.0, 2.0, 3.0, 4.0, 5.0, 60.4, False, "", (1.0,), {})
    failed = [Failure(f"blue{number}", 1, "died", each) for number, each in enumerate(codes)]
    monkeypatch.setattr(command, "measure", lambda *arguments, **known: [quiet, *failed])
    assert command.main(["bench", "--json", str(bundle)]) == code
    assert [row["name"] for row in lines(capsys)[0]] == ["red", *(failure.name for failure in failed)]
    asked: list[Any] = []

    def sustain(plan: list[Command], minutes: int, seed: int, *, known: dict[str, Known]) -> Sustained:
        asked.append(([worker.name for worker in plan], minutes, seed, list(known)))
        return Sustained(minutes, (), tuple(failed), (None,), ((),), ())

    monkeypatch.setattr(command, "sustain", sustain)
    assert command.main(["bench", "--json", str(bundle), "--sustained", "3", "--seed", "2"]) == code
    assert asked == [(["red", "blue"], 3, 2, ["red", "blue"])]
    assert len(lines(capsys)[0]["failures"]) == len(codes)


def test_a_broken_picture_costs_its_own_result_alone(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = [str(bundle / f"golden/{number}.png") for number in (0, 1)]
    broken = str(bundle / "labels.txt")
    assert command.main(["predict", "--json", str(bundle), good[0], broken, good[1]]) == 2
    said = capsys.readouterr()
    assert [json.loads(line)["file"] for line in said.out.splitlines()] == good
    assert said.err.startswith(f"error: {broken}: is text, not a picture\n  hint: ")


def test_pixels_come_from_npy_files_without_pillow(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command.main(["predict", "--json", str(bundle), str(bundle / "golden/0.png")])
    (expected,) = lines(capsys)
    for name in ("PIL", "PIL.Image"):
        monkeypatch.setitem(sys.modules, name, None)
    tensors = np.load(bundle / "golden/tensors.npy")
    np.save(tmp_path / "0.npy", tensors[0])
    np.save(tmp_path / "wrong.npy", tensors[0].astype(np.float32))
    assert command.main(["predict", "--json", str(bundle), str(tmp_path / "0.npy")]) == 0
    (got,) = lines(capsys)
    assert got["file"] == str(tmp_path / "0.npy")
    assert got["probabilities"] == expected["probabilities"]
    assert command.main(["predict", str(bundle), str(tmp_path / "wrong.npy"), str(tmp_path / "no.npy")]) == 2
    said = capsys.readouterr().err
    assert "wrong.npy: does not hold uint8\n  hint: numpy.save(FILE, uint8 [height, width, 3])" in said
    assert "no.npy: cannot be read" in said
    assert command.main(["predict", str(bundle), str(bundle / "golden/0.png")]) == 3
    assert "pip install pillow, which is edgetl-runtime[images]" in capsys.readouterr().err


def test_a_model_file_of_a_bundle_does_too(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["predict", "--json", str(bundle / "models/blue.json"), str(bundle / "golden/0.png")]) == 0
    assert lines(capsys)[0]["artifact"] == "blue"


@pytest.mark.parametrize("words", [("predict", "golden/0.png"), ("selftest",)])
def test_a_bundle_json_means_its_bundle(
    bundle: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    command_, *files = words
    assert command.main([command_, str(bundle / "bundle.json"), *(str(bundle / file) for file in files)]) == 0
    capsys.readouterr()


def test_a_name_that_is_not_utf_8_is_printed_all_the_same(bundle: Path) -> None:
    picture = bundle.parent / os.fsdecode(b"\xff.png")
    shutil.copy(bundle / "golden/0.png", picture)
    code = (
        "import sys; from pathlib import Path; sys.path[:0] = sys.argv[1:2]; import pytest, tiny_bundle\n"
        "from edgetl.runtime.__main__ import main\n"
        "tiny_bundle.install(pytest.MonkeyPatch(), [])\n"
        "sys.exit(main(['predict', *sys.argv[2:]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(tiny_bundle.__file__).parent), str(bundle), str(picture)],
        env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\udcff.png" in done.stdout


def test_an_accelerator_that_is_not_there_is_exit_code_4(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["predict", str(bundle), "x.png", "--accelerator", "npu"]) == 4
    assert "expected one that is there: cpu" in capsys.readouterr().err


def test_selftest_without_a_runtime_tests_nothing_and_says_so(
    bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*arguments: object) -> Any:
        raise MissingRuntime("not here")

    for backend in ("onnx", "openvino"):
        monkeypatch.setitem(BACKENDS, backend, stub(backend, absent, missing))
    assert command.main(["selftest", "--json", str(bundle)]) == 3
    said = capsys.readouterr()
    assert all(check["passed"] is not False for check in json.loads(said.out))
    assert "no artefact could be run" in said.err
    assert "pip install one of onnxruntime, openvino" in said.err


def test_bench_leaves_out_what_is_not_installed_and_names_it(
    bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def measure(plan: list[Command], *how: object, **more: object) -> list[Any]:
        asked.append([worker.name for worker in plan])
        return []

    monkeypatch.setattr(command, "measure", measure)
    monkeypatch.setitem(BACKENDS, "onnx", stub("onnx", says=missing))
    assert command.main(["bench", str(bundle)]) == 0
    assert "red skipped: not here" in capsys.readouterr().err
    assert command.main(["bench", str(bundle), "--artifact", "red"]) == 0
    assert asked == [["blue"], ["red"]], "what is asked for by name is tried"
    monkeypatch.setitem(BACKENDS, "openvino", stub("openvino", says=missing))
    assert command.main(["bench", str(bundle)]) == 3
    assert "no artefact could be run, so nothing was measured" in capsys.readouterr().err
