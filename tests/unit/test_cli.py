"""The command line as a user meets it: quick help, one message for an error, the right exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _edgetl(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EDGETL_")}
    return subprocess.run(
        [sys.executable, "-m", "edgetl", *map(str, words)],
        capture_output=True,
        text=True,
        env={**kept, **environment},
        check=False,
    )


def test_help_and_an_unchanged_plan_load_nothing_heavy() -> None:
    code = (
        "import sys, edgetl.cli, edgetl.pipeline\n"
        "heavy = {'torch', 'timm', 'onnx', 'onnxruntime', 'openvino', 'litert_torch', 'sklearn', 'matplotlib', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_names_every_command() -> None:
    done = _edgetl("--help")
    assert done.returncode == 0
    for command in ("build", "evaluate", "verify", "predict", "bench", "report"):
        assert f"  {command} " in done.stdout


def test_a_typo_is_one_message_with_its_place_and_exit_code_2(tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text("name: r\ndata: {kind: skin_phantom}\nstudent: {backbon: mobilenetv3_small_100}\n")
    done = _edgetl("build", recipe)
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"error: {recipe}:3:11: student.backbon: unknown field; did you mean 'backbone'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in _edgetl("build", recipe, "--debug").stderr


def test_a_missing_folder_is_exit_code_2_and_never_the_stand_in(tmp_path: Path) -> None:
    missing = str(tmp_path / "nothing")
    done = _edgetl("build", ROOT / "recipes" / "skin_mobile.yaml", "--dry-run", EDGETL_HAM10000=missing)
    assert done.returncode == 2
    assert "does not exist" in done.stderr
    assert "STAND-IN" not in done.stderr


def test_a_dry_run_says_what_would_run_and_shouts_the_stand_in(tmp_path: Path) -> None:
    done = _edgetl("build", ROOT / "recipes" / "skin_mobile.yaml", "--dry-run", "--json", EDGETL_STORE=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "STAND-IN DATA" in done.stderr
    plan = json.loads(done.stdout)
    assert plan["stand_in"] == "skin_phantom"
    assert [stage["name"] for stage in plan["stages"]][:5] == ["data", "teach", "trial", "distil", "prune"]
    assert not any(stage["cached"] for stage in plan["stages"])
    assert not list(tmp_path.iterdir()), "a dry run writes nothing"


def test_an_unknown_stage_is_a_usage_error(tmp_path: Path) -> None:
    recipe, run, store = ROOT / "recipes" / "skin_mobile.yaml", tmp_path / "run", str(tmp_path / "store")
    done = _edgetl("build", recipe, "--until", "distill", "--out", run, EDGETL_STORE=store)
    assert done.returncode == 2
    assert "did you mean 'distil'" in done.stderr
    assert not run.exists()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("targets=[local_gpu]", "did you mean 'local_cpu'"),
        ("student.backbone=mobilenetv3_lrge_100", "did you mean 'mobilenetv3_large_100'"),
        ("teacher.backbone=resnet18", "no package has ImageNet weights for resnet18"),
        ("student.weights=nowhere.safetensors", "nowhere.safetensors"),
    ],
)
def test_a_wrong_name_is_found_before_the_first_stage_and_not_after_the_training(
    tmp_path: Path, override: str, said: str
) -> None:
    recipe, run, store = ROOT / "recipes" / "skin_mobile.yaml", tmp_path / "run", tmp_path / "store"
    done = _edgetl("build", recipe, "--set", override, "--out", run, EDGETL_STORE=str(store))
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert not (store / "entries").exists()


def test_a_stand_in_build_never_overwrites_a_run_made_from_real_data(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "report.json").write_text('{"stand_in": null}')
    done = _edgetl("build", ROOT / "recipes" / "skin_mobile.yaml", "--out", run, EDGETL_STORE=str(tmp_path / "store"))
    assert done.returncode == 2
    assert "real data" in done.stderr
    assert (run / "report.json").read_text() == '{"stand_in": null}'


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("verify", "nowhere"), 2, "there is no bundle"),
        (("predict", "nowhere", "x.png"), 2, "there is no bundle"),
        (("bench", "nowhere"), 2, "there is no bundle"),
        (("evaluate", "nowhere", "--data", "folder"), 2, "expected KIND:ROOT"),
        (("report", "nowhere"), 2, "there is no run"),
        (("build", "nowhere.yaml"), 2, "no such file"),
    ],
)
def test_what_is_not_there_is_named(words: tuple[str, ...], code: int, said: str) -> None:
    done = _edgetl(*words)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert said in done.stderr
