"""A target that is not on this machine, from the command line to a build: said at once, with exit code 4."""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_project
from fakes.android import FakePhone
from fakes.sessions import FakeSession

import edgetl
from edgetl import cli
from edgetl.config.places import shipped_targets
from edgetl.doctor import targets
from edgetl.doctor.finding import Finding
from edgetl.errors import DeviceError, MissingAccelerator, RecipeError
from edgetl.runtime import measuring

FILE = tiny_project.FILE
ABSENT = ("cuda_host", "openvino_gpu", "openvino_npu")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["edgetl", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capfd.readouterr()
        return int(str(ended.value.code)), said.out, said.err

    return run


def _project(folder: Path, target: str, text: str = "") -> None:
    """A recipe that could be built, on that target; text: of its file."""
    tiny_project.write_trainable(folder)
    if text:
        (folder / "targets" / f"{target}.yaml").write_text(text)
    tiny_project.read(folder, {**tiny_project.REAL_WEIGHTS, "targets": [target]})


@pytest.mark.parametrize("name", ABSENT)
def test_bench_says_in_one_line_what_is_not_there(run: Run, bundle: Path, opened: list[FakeSession], name: str) -> None:
    code, out, err = run("bench", bundle, "--target", name, "--json")
    assert (code, out) == (4, "")
    line, hint = err.splitlines()
    assert line.startswith(f"error: target {name}: ")
    assert "got " in line
    assert "expected " in line
    assert hint.startswith("  hint: ")
    assert opened == []


def test_bench_asks_for_all_targets_before_it_measures_the_first(
    run: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(*_: object, **__: object) -> None:
        raise AssertionError("measured")

    monkeypatch.setattr(measuring, "measure", measure)
    monkeypatch.setattr("edgetl.devices.latency.measure", measure)
    code, _, err = run("bench", bundle, "--target", "local_cpu_1t", "--target", "openvino_npu")
    assert code == 4, err


@pytest.mark.parametrize("name", ABSENT)
@pytest.mark.parametrize("command", ["build", "check"])
def test_a_build_ends_before_its_first_stage(tmp_path: Path, command: str, name: str) -> None:
    _project(tmp_path, name)
    begin = edgetl.check if command == "check" else functools.partial(edgetl.build, out=tmp_path / "run")
    with pytest.raises(MissingAccelerator, match=f"target {name}: ") as caught:
        begin(tmp_path / FILE)
    assert caught.value.exit_code == 4
    assert not list(tmp_path.rglob("entry.json"))


@pytest.fixture
def unreachable(tmp_path: Path, phone: FakePhone, program: Path) -> dict[str, str]:
    """Targets that nothing answers for, by what is said of them."""
    phone.states = {}
    digest = hashlib.sha256(program.read_bytes()).hexdigest()
    files = {
        "phone": f"kind: adb\nbenchmark: {program}\nsha256: {digest}\n",
        "board": "kind: ssh\nhost: nowhere.invalid\n",
    }
    said = {
        "phone": "target phone: no Android device is attached",
        "board": "nowhere.invalid: its address is not known",
    }
    for name in files:
        folder = tmp_path / "projects" / name
        folder.mkdir(parents=True)
        _project(folder, name, f"name: {name}\n{files[name]}")
    return said


@pytest.mark.parametrize("name", ["phone", "board"])
def test_a_build_tries_to_reach_what_is_behind_a_wire_before_its_first_stage(
    unreachable: dict[str, str], tmp_path: Path, name: str
) -> None:
    with pytest.raises(DeviceError, match=unreachable[name]) as caught:
        edgetl.build(tmp_path / "projects" / name / FILE, out=tmp_path / "run")
    assert caught.value.exit_code == 4
    assert caught.value.hint
    assert not list(tmp_path.rglob("entry.json"))
    edgetl.check(tmp_path / "projects" / name / FILE)  # trains nothing, so that nothing can be lost


def test_a_program_that_is_missing_is_said_before_the_training_too(
    unreachable: dict[str, str], tmp_path: Path, phone: FakePhone
) -> None:
    phone.states = {"X": "device"}
    (tmp_path / "benchmark_model").unlink()
    with pytest.raises(RecipeError, match=r"target phone: benchmark: .* cannot be read"):
        edgetl.build(tmp_path / "projects/phone" / FILE, out=tmp_path / "run")


@pytest.mark.parametrize("command", ["build", "check"])
def test_two_targets_of_a_recipe_with_one_name_are_refused(tmp_path: Path, command: str) -> None:
    tiny_project.write_trainable(tmp_path)
    tiny_project.read(tmp_path, {**tiny_project.REAL_WEIGHTS, "targets": ["local_cpu", "mine", "local_cpu"]})
    begin = edgetl.check if command == "check" else functools.partial(edgetl.build, out=tmp_path / "run")
    with pytest.raises(RecipeError, match='targets: got "local_cpu" and "local_cpu", both named "local_cpu"'):
        begin(tmp_path / FILE)


def test_who_stops_before_measuring_needs_no_device(tmp_path: Path) -> None:
    _project(tmp_path, "openvino_npu")
    assert edgetl.build(tmp_path / FILE, out=tmp_path / "run", until="data").stages


def test_doctor_says_of_each_shipped_target_whether_it_can_be_measured() -> None:
    found = {finding.name: finding for finding in targets.findings(lambda *_: None)}
    assert set(found) == {path.stem for path in shipped_targets()}
    for name in ABSENT:
        assert (found[name].group, found[name].state) == ("targets", "absent")
        assert found[name].detail.startswith("cannot be measured here: ")
        assert found[name].fix
    for name in ("android_adb", "arm64_emulated", "browser", "pi5_ssh"):
        assert found[name].state == "unknown"
        assert found[name].detail.startswith("not known until it is used: a")
    for name in ("local_cpu", "local_cpu_1t"):
        assert found[name] == Finding("targets", name, "ok", "can be measured here: this machine's CPU")
