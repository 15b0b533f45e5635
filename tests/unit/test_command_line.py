"""How commands end: one message and the right exit code, whatever comes up, and nothing else on the screen."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import malformed_recipes
import pytest

from edgetl import cli, pipeline
from edgetl.commands import completion
from edgetl.config import loading
from edgetl.config.places import shipped_targets
from edgetl.console.progress import Console

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """The command line in this process: (exit code, stdout, stderr)."""
    monkeypatch.setenv("EDGETL_QUIET", "")

    def run(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["edgetl", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capfd.readouterr()
        return int(str(ended.value.code)), said.out, said.err

    return run


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "r.yaml"
    path.write_text(malformed_recipes.VALID)
    return path


def _raising(monkeypatch: pytest.MonkeyPatch, exc: BaseException) -> None:
    def resolve(*_: object) -> None:
        raise exc

    monkeypatch.setattr(loading, "resolve", resolve)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bild"], "no such command 'bild'. Did you mean 'build'?"),
        (["nothinglikeit"], "no such command 'nothinglikeit'"),
        (["build"], "missing argument 'recipe'"),
        (["build", "--nope", "x"], "no such option --nope"),
        (["build", "x", "--unti", "data"], "no such option --unti; did you mean --until"),
        (["build", "x", "y"], "unexpected extra argument"),
        (["build", "x", "--dry-run=3"], "does not take a value"),
        (["bench", "--target"], "requires an argument"),
        (["--nope"], "no such option --nope"),
        (["cache", "lst"], "Did you mean 'list'?"),
    ],
)
def test_a_wrong_line_is_one_block_with_a_hint(run: Run, words: list[str], said: str) -> None:
    code, out, err = run(*words)
    first, *rest = err.splitlines()
    assert (code, out) == (2, "")
    assert first.startswith("error: ")
    assert said in first
    assert [line[:8] for line in rest] == ["  hint: "]


def test_no_command_is_the_help_on_stderr(run: Run) -> None:
    code, out, err = run()
    assert (code, out) == (2, "")
    assert "  build " in err


def test_a_bug_is_named_as_one_and_has_its_own_code(run: Run, recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _raising(monkeypatch, ZeroDivisionError("division\nby zero"))
    code, out, err = run("explain", recipe)
    assert (code, out) == (70, "")
    assert err.startswith(
        "error: this is a bug in edgetl: ZeroDivisionError: division by zero\n  hint: run again with --de"
    )
    assert "Traceback" in run("explain", "--debug", recipe)[2]
    assert "Traceback" in run("--debug", "explain", recipe)[2]


@pytest.mark.parametrize(
    ("exc", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
        (MemoryError(), 3, "out of memory"),
        (OSError(errno.ENOSPC, "No space left on device", "/somewhere"), 3, "/somewhere: No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "/somewhere"), 3, "/somewhere: Permission denied"),
        (ModuleNotFoundError("No module named 'timm'", name="timm"), 3, "edgetl doctor"),
        (ModuleNotFoundError("No module named 'edgetl.x'", name="edgetl.x"), 70, "bug"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 70, "bug"),  # of a worker: stdout is well
    ],
)
def test_what_comes_up_from_below(
    run: Run, recipe: Path, monkeypatch: pytest.MonkeyPatch, exc: BaseException, code: int, said: str
) -> None:
    _raising(monkeypatch, exc)
    ended, out, err = run("explain", recipe)
    assert (ended, out, "Traceback" in err) == (code, "", False)
    assert said in err


def test_a_reader_that_goes_away_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "edgetl", "schema"], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_stdout_is_one_message() -> None:
    with Path("/dev/full").open("w") as full:
        words = [sys.executable, "-m", "edgetl", "schema"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "error: stdout: No space left on device\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("closed", ["2>/dev/full", "2>&-", ">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_an_error_that_nobody_can_be_told_still_has_its_exit_code(tmp_path: Path, closed: str) -> None:
    line = f"{sys.executable} -m edgetl build nothing.yaml {closed}"
    done = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "bug" not in done.stderr


@pytest.mark.parametrize("closed", ["2>/dev/full", "2>&-"])
def test_a_result_stands_alone_on_stdout_where_stderr_takes_nothing(tmp_path: Path, closed: str) -> None:
    (tmp_path / "r.yaml").write_text("name: r\ndata: {kind: folder, root: '${NOWHERE}', stand_in: skin_phantom}\n")
    line = f"{sys.executable} -m edgetl build r.yaml --dry-run --json {closed}"
    done = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["stand_in"] == "skin_phantom"


def test_quiet_leaves_errors_and_results(run: Run, recipe: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert json.loads(run("explain", recipe, "--json", "--quiet")[1])["fields"]
    with Console() as console:
        console.say("something")
        console.warn("something that matters")
    assert capfd.readouterr().err.splitlines() == ["something that matters"]
    assert run("explain", "nowhere.yaml", "--quiet")[2] == "error: nowhere.yaml: no such file\n"


def test_behind_two_dashes_nothing_is_an_option(run: Run) -> None:
    assert run("explain", "--", "--quiet")[2] == "error: --quiet: no such file\n"


@pytest.mark.parametrize("name", ["tab as indent", "billion laughs", "a folder", "UTF-16", "--set with unknown field"])
def test_a_malformed_recipe_on_the_command_line(run: Run, tmp_path: Path, name: str) -> None:
    case = next(case for case in malformed_recipes.cases() if case.name == name)
    code, out, err = run("build", *case.write(tmp_path / "r.yaml"), "--dry-run")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("error: ") == 1


SHIPPED = [path.stem for path in shipped_targets()]


def test_the_shell_is_offered_recipes_stages_and_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("recipes/skin.yaml", "other.yaml", "notes.txt", "targets/phone.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert completion.complete_recipe("") == ["recipes/skin.yaml", "other.yaml", "recipes/", "targets/"]
    assert completion.complete_recipe("recipes/s") == ["recipes/skin.yaml"]
    assert completion.complete_recipe("nowhere/") == []
    assert completion.complete_target("") == sorted([*SHIPPED, "phone"])
    assert completion.complete_stage("calibrate") == ["calibrate.onnx", "calibrate.openvino", "calibrate.tflite"]


def test_the_stages_that_are_offered_are_those_that_there_are() -> None:
    there = {stage.name for stage in pipeline.all_stages() if not stage.name.startswith("teach.")}
    assert set(completion.complete_stage("")) == there | {"report"}


def test_completion_answers_the_shell() -> None:
    words = {"_EDGETL_COMPLETE": "complete_bash", "COMP_WORDS": "edgetl build --until cal", "COMP_CWORD": "3"}
    done = subprocess.run(
        [sys.executable, "-m", "edgetl"], env={**os.environ, **words}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["calibrate.onnx", "calibrate.openvino", "calibrate.tflite"]
