"""The device side loads with numpy alone, from wherever it was copied to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import edgetl.runtime

FOLDER = Path(edgetl.runtime.__file__).parent
ROOT = FOLDER.parent.parent

# Imports every module of the package, with all that is not allowed made unimportable.
PROBE = """
import importlib, json, pkgutil, sys
for name in ("torch", "PIL", "onnxruntime", "openvino", "ai_edge_litert", "tflite_runtime", "pydantic", "psutil"):
    sys.modules[name] = None
before = set(sys.modules)
package = importlib.import_module(sys.argv[1])
names = [sys.argv[1]]
for module in pkgutil.walk_packages(package.__path__, sys.argv[1] + "."):
    importlib.import_module(module.name)
    names.append(module.name)
loaded = {name.split(".")[0] for name in set(sys.modules) - before}
foreign = loaded - sys.stdlib_module_names - {"numpy", sys.argv[1].split(".")[0]}
others = [name for name in sys.modules if name.startswith("edgetl.") and not name.startswith("edgetl.runtime")]
print(json.dumps({"modules": names, "foreign": sorted(foreign), "others": others}))
"""


def python(*arguments: str, root: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        env={**environment, "PYTHONPATH": str(root)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def copied(folder: Path) -> Path:
    shutil.copytree(FOLDER, folder / "edgetl_runtime", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_every_module_loads_with_numpy_alone() -> None:
    found = json.loads(python("-c", PROBE, "edgetl.runtime", root=ROOT))
    assert found["foreign"] == []
    assert found["others"] == []
    assert "edgetl.runtime.sessions.tflite" in found["modules"]


def test_the_folder_works_under_another_name(tmp_path: Path) -> None:
    found = json.loads(
        python(
            "-I",
            "-c",
            f"import sys; sys.path.insert(0, {str(copied(tmp_path))!r})\n" + PROBE,
            "edgetl_runtime",
            root=tmp_path,
        )
    )
    assert found["foreign"] == []
    assert found["others"] == []
    assert len(found["modules"]) > 10


def test_the_copy_speaks_for_itself(tmp_path: Path) -> None:
    info = json.loads(python("-m", "edgetl_runtime", "info", "--json", root=copied(tmp_path)))
    assert set(info["runtimes"]) == {"onnx", "openvino", "tflite"}
    assert info["cores"] >= 1


def test_what_is_missing_is_said_with_a_hint(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from edgetl_runtime.backends import BACKENDS\n"
        "from edgetl_runtime.errors import MissingRuntime\n"
        "try: BACKENDS['onnx'].version()\n"
        "except MissingRuntime as exc: print(exc, exc.exit_code)"
    )
    assert "pip install onnxruntime 3" in python("-c", code, root=copied(tmp_path))


def test_opening_the_runtimes_writes_nothing_into_the_home_folder(tmp_path: Path) -> None:
    """onnxruntime and openvino leave an identity there and report with it, unless they are stopped first."""
    home = tmp_path / "home"
    home.mkdir()
    code = f"import os; os.environ['HOME'] = {str(home)!r}\n" + (
        "from edgetl_runtime.backends import BACKENDS\nfor runtime in BACKENDS.values(): runtime.version()"
    )
    python("-c", code, root=copied(tmp_path))
    assert list(home.iterdir()) == []
