"""What comes along with `edgetl.runtime.load`, and its wheel in an environment that has nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from model_bundle import NAMES, make_bundle

from edgetl import runtime
from edgetl.runtime.manifest import Artifact, Manifest

ROOT = Path(__file__).parents[2]
_UNWANTED = ("torch", "yaml", "pydantic", "PIL", "psutil", "typer", "rich", "scipy", "pandas", "cv2", "onnx")
_SLOW = ("pathlib", "urllib", "glob", "tempfile", "subprocess", "logging")
"""What takes milliseconds to import, of the 20 that loading may add."""
_RUNTIMES = {"onnx": "onnxruntime", "openvino": "openvino", "tflite": "ai_edge_litert.interpreter"}
_MOST_MB = 20.0
"""Loosely: benchmarks/runtime_overhead.py has the figures."""

LOADED = """
import json, os, sys
import numpy
# As edgetl.runtime does before it imports them: OpenVINO would start a thread, which imports what it likes.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
sys.modules["openvino_telemetry"] = None
__import__(sys.argv[3])
before = set(sys.modules)
from edgetl import runtime
with runtime.load(sys.argv[1], sys.argv[2]) as model:
    model.predict(numpy.zeros(model.input_shape, "uint8"))
print(json.dumps(sorted({name.split(".")[0] for name in set(sys.modules) - before})))
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    (folder / "models").mkdir()
    return make_bundle(folder / "bundle", folder / "models")


def python(*arguments: str) -> Any:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *arguments], env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("backend", NAMES)
class TestLoading:
    def test_brings_nothing_of_the_host_along(self, bundle: Path, backend: str) -> None:
        modules = set(python("-c", LOADED, str(bundle), f"tiny.fp32.{backend}", _RUNTIMES[backend]))
        assert not modules & {*_UNWANTED, *_SLOW}
        assert "edgetl" in modules

    @pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
    def test_takes_little_memory_beside_the_runtime(self, bundle: Path, backend: str) -> None:
        artifact: Artifact = Manifest.load(bundle).artifact(f"tiny.fp32.{backend}")
        options = json.dumps(dict(artifact.runtime_options))
        about = (str(bundle), backend, artifact.path, artifact.name, options)
        alone, ours = (python("-m", "benchmarks.bare", how, *about)["mb"] for how in ("alone", "edgetl"))
        assert ours - alone < _MOST_MB


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment with numpy, ONNX Runtime and our wheel."""
    folder = tmp_path_factory.mktemp("device")
    subprocess.run([sys.executable, str(ROOT / "tools/runtime_wheel.py"), str(folder)], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True, capture_output=True)
    path = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = [str(path), "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"]
    wanted = [f"numpy=={np.__version__}", f"onnxruntime=={onnxruntime.__version__}"]
    try:
        done = subprocess.run([*pip, str(wheel), *wanted], capture_output=True, text=True, check=False, timeout=400)
    except subprocess.TimeoutExpired:
        pytest.skip("pip has not installed numpy and onnxruntime within 400 s")
    if done.returncode:
        pytest.skip(f"pip cannot install numpy and onnxruntime here: {done.stderr.strip().splitlines()[-1]}")
    return path


def test_the_wheel_alone_predicts_what_edgetl_predicts(bundle: Path, device: Path, tmp_path: Path) -> None:
    def alone(*arguments: str, code: int = 0) -> str:
        command = [str(device), "-I", "-m", "edgetl_runtime", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    tensors = np.load(bundle / "golden/tensors.npy")
    files = [str(tmp_path / f"{number}.npy") for number in range(len(tensors))]
    for file, tensor in zip(files, tensors, strict=True):
        np.save(file, tensor)
    with runtime.load(bundle, "tiny.fp32.onnx") as model:
        expected = [model.predict(tensor) for tensor in tensors]
    said = [json.loads(line) for line in alone("predict", "--json", str(bundle), *files).splitlines()]
    assert [line["probabilities"] for line in said] == [prediction.probabilities for prediction in expected]
    assert [line["flags"] for line in said] == [prediction.flags for prediction in expected]
    assert "edgetl-runtime[images]" in alone("predict", str(bundle), str(bundle / "golden/0.png"), code=3)
    checks = json.loads(alone("selftest", "--json", str(bundle)))
    assert [check["artifact"] for check in checks if check["check"] == "outputs" and check["passed"]] == [
        "tiny.fp32.onnx"
    ]
    (row,) = json.loads(alone("bench", "--json", str(bundle), "--artifact", "tiny.fp32.onnx"))
    assert row["p50_ms"] > 0
    nothing_else = "import importlib.util as u; print([n for n in ('edgetl', 'PIL', 'torch') if u.find_spec(n)])"
    assert (
        subprocess.run([str(device), "-I", "-c", nothing_else], capture_output=True, text=True).stdout.strip() == "[]"
    )
