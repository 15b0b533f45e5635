"""Tiny real builds after one change each: what is said would run, and what then runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import tiny_project
from safetensors.torch import load_file, save_file

from edgetl import pipeline
from edgetl.api.plan import planned
from edgetl.config.loading import Loaded
from edgetl.console.progress import Silent
from edgetl.stages.common.stage import Step
from edgetl.store import Store

_LIGHT = {**tiny_project.REAL_WEIGHTS, "prune": None, "quantize": None, "export": ["onnx"]}
_AFTER_TRIAL = ["trial", "distil", "prune", "evaluate", "export.onnx", "calibrate.onnx", "verify.onnx", "benchmark"]


def _recipe(project: Path) -> Loaded:
    return tiny_project.read(project, _LIGHT)


def _build(project: Path) -> list[Step]:
    return pipeline.build(_recipe(project), Store(project / ".edgetl"), project / "run", Silent(), until="benchmark")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, few_timed_runs: None) -> Path:
    project = tiny_project.write_trainable(tmp_path_factory.mktemp("rebuilds"))
    assert not any(step.cached for step in _build(project))
    assert all(step.cached for step in _build(project))
    return project


def _other_weights(project: Path) -> None:
    path = project / "student.safetensors"
    save_file({name: tensor * 0.5 for name, tensor in load_file(path).items() if tensor.is_floating_point()}, path)


class _Case(NamedTuple):
    """change: what the user does. why: what is said of one stage. ran: what is computed again."""

    change: Callable[[Path], object]
    why: tuple[str, str]
    ran: list[str]


_CASES = {
    "a target": _Case(
        lambda project: (project / "targets" / "mine.yaml").write_text("{name: mine, threads: [2]}"),
        ("benchmark", "targets/mine.yaml changed"),
        ["benchmark"],
    ),
    "a test picture": _Case(
        lambda project: tiny_project.picture(project / "data" / "images" / "05.png", 99),
        ("data", "test images changed: images/05.png"),
        ["data", "evaluate", "verify.onnx"],
    ),
    "a training picture": _Case(
        lambda project: tiny_project.picture(project / "data" / "images" / "00.png", 99),
        ("data", "train images changed: images/00.png"),
        ["data", "teach", *_AFTER_TRIAL],
    ),
    "weights": _Case(_other_weights, ("trial", "student.safetensors changed"), _AFTER_TRIAL),
}


@pytest.mark.parametrize("name", _CASES)
def test_a_changed_file_recomputes_what_reads_it(name: str, built: Path, tmp_path: Path) -> None:
    project, case = shutil.copytree(built, tmp_path / "project"), _CASES[name]
    case.change(project)
    assert case.why[1] in _said(project)[case.why[0]]
    assert [step.stage.name for step in _build(project) if not step.cached] == case.ran
    assert all(step.cached for step in _build(project))


def test_a_variable_recomputes_what_its_tool_computes(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = shutil.copytree(built, tmp_path / "project")
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    assert "the environment variable MKL_CBWR: not set -> COMPATIBLE" in _said(project)["teach"]
    assert [step.stage.name for step in _build(project) if not step.cached] == ["teach", *_AFTER_TRIAL]
    monkeypatch.delenv("MKL_CBWR")
    assert all(step.cached for step in _build(project)), "what was computed without it is still there"


def _said(project: Path) -> dict[str, tuple[str, ...]]:
    """Why each stage would run, as `--dry-run` tells."""
    loaded, store = _recipe(project), Store(project / ".edgetl")
    steps = pipeline.plan(loaded, store, "benchmark")
    stages = planned(loaded, store, steps, fresh=False)
    assert [stage.name for stage in stages] == [step.stage.name for step in steps]
    assert all(stage.cached != bool(stage.why) for stage in stages), "cached, or a reason"
    return {stage.name: stage.why or () for stage in stages}
