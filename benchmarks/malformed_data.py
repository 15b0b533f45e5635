"""Every malformed data set of the tests, given to `edgetl build --until data` and `edgetl check` as a user would.

Each runs in a process of its own; what is stored is the exit code, how many error messages there were, whether there was a
traceback, and what stayed in the store.

    python -m benchmarks.malformed_data

Writes benchmarks/results/malformed_data.json.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.markdown import made_by
from benchmarks.provenance import provenance

ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results" / "malformed_data.json"


def _cases() -> ModuleType:
    """The tests' module; tests are no package."""
    spec = importlib.util.spec_from_file_location("malformed_data", ROOT / "tests" / "unit" / "malformed_data.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["malformed_data"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def _outcome(words: list[str], folder: Path) -> dict[str, Any]:
    """Exit code and messages of one command."""
    done = subprocess.run(
        [sys.executable, "-m", "edgetl", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "EDGETL_STORE": str(folder / "store"), "PYTHONPATH": str(ROOT)},
        check=False,
        timeout=300,
    )
    lines = (done.stdout + done.stderr).replace(str(folder), "...").splitlines()
    return {
        "exit_code": done.returncode,
        "errors": sum(line.startswith("error: ") for line in lines),
        "traceback": any("Traceback (most recent" in line for line in lines),
        "message": next((line for line in lines if line.startswith("error: ")), None),
    }


def run(case: Any) -> dict[str, Any]:
    """Both commands on one data set."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "data").mkdir()
        data = {"kind": case.kind, "root": str(case.make(folder / "data")), "image_size": 32, **case.data}
        recipe = {"name": "r", "data": data, "teacher": None, "student": {"backbone": "mobilenetv3_small_050"}}
        (folder / "r.yaml").write_text(json.dumps(recipe), encoding="utf-8")
        build = _outcome(["build", "r.yaml", "--until", "data"], folder)
        check = _outcome(["check", "r.yaml"], folder)
        entries = list((folder / "store" / "entries").glob("*"))
        aside = list((folder / "store" / "aside").glob("*"))
    expected = 2 if case.refused else 0
    said = all(one["exit_code"] == expected and one["errors"] == int(case.refused) for one in (build, check))
    clean = not (build["traceback"] or check["traceback"] or aside) and bool(entries) != case.refused
    return {"name": case.name, "expected": expected, "build": build, "check": check, "as_expected": said and clean}


def render(result: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    cases = result["cases"]
    wrong = [one["name"] for one in cases if not one["as_expected"]]
    bearable = [one["name"] for one in cases if one["expected"] == 0]
    return (
        "## Malformed data sets\n\n"
        f"{made_by(result)}\n"
        f"{len(cases)} data sets, each wrong in one way, by `edgetl build --until data` and `edgetl check`: "
        f"{len(cases) - len(wrong)} end as they should, with one message, its place, the right exit code, and nothing left"
        f"{' (not: ' + ', '.join(wrong) + ')' if wrong else ''}. {len(bearable)} of them are bearable and pass.\n"
    )


def main() -> None:
    """Run and write."""
    outcomes = []
    for case in _cases().cases():
        outcomes.append(run(case))
        print(case.name, outcomes[-1]["build"]["exit_code"], outcomes[-1]["as_expected"], flush=True)
    result = {**provenance("benchmarks.malformed_data"), "cases": outcomes}
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
