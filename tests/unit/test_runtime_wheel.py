"""The device side as a wheel of its own: small, the same bytes each time, the same code, and beside edgetl in one process."""

from __future__ import annotations

import ast
import base64
import csv
import hashlib
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("runtime_wheel", ROOT / "tools/runtime_wheel.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def wheel(maker: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(maker.build(tmp_path_factory.mktemp("dist")))


def test_it_is_named_as_pip_wants_it_and_small(wheel: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert wheel.name == f"edgetl_runtime-{version}-py3-none-any.whl"
    assert wheel.stat().st_size <= 69_000  # 60 kB were wanted: measuring and accelerators brought it above


def test_the_command_of_make_writes_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    """With Python alone: -S leaves out every installed package."""
    command = [sys.executable, "-I", "-S", str(ROOT / "tools/runtime_wheel.py"), str(tmp_path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path).stdout.strip()
    assert Path(said) == tmp_path / wheel.name
    assert Path(said).read_bytes() == wheel.read_bytes()
    assert "$(PYTHON) tools/runtime_wheel.py dist" in (ROOT / "Makefile").read_text()


def test_it_needs_numpy_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        about = message_from_string(archive.read(name).decode())
    needed = about.get_all("Requires-Dist", [])
    assert [line for line in needed if "extra" not in line] == ["numpy>=1.26"]
    assert {line.split(";")[1].strip() for line in needed if "extra" in line} == {
        f'extra == "{extra}"' for extra in ("images", "onnx", "openvino", "tflite")
    }
    assert about.get_all("Provides-Extra") == ["images", "onnx", "openvino", "tflite"]
    assert about["Name"] == "edgetl-runtime"


def test_every_file_is_recorded_with_its_sha256(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (record,) = (name for name in names if name.endswith("RECORD"))
        rows = {row[0]: row[1:] for row in csv.reader(archive.read(record).decode().splitlines())}
        assert set(rows) == set(names)
        for name in set(names) - {record}:
            content = archive.read(name)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            assert rows[name] == [f"sha256={digest}", str(len(content))]
    assert rows[record] == ["", ""]
    assert any(name.endswith("licenses/LICENSE") for name in names)


def code_of(source: str) -> str:
    """Each statement with its line, without docstrings and annotations of functions."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(body := getattr(node, "body", None), list):
            kept = [statement for statement in body if not _says_nothing(statement)]
            body[:] = kept
    return re.sub(r", col_offset=\d+", "", ast.dump(tree, include_attributes=False)) + "".join(
        f"{node.lineno}," for node in ast.walk(tree) if isinstance(node, ast.stmt | ast.expr)
    )


def _says_nothing(statement: ast.AST) -> bool:
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Constant):
        return False
    return isinstance(statement.value.value, str) or statement.value.value is ...


def test_the_code_is_the_checkout_s_line_by_line(wheel: Path) -> None:
    source = ROOT / "edgetl" / "runtime"
    with zipfile.ZipFile(wheel) as archive:
        modules = {name.removeprefix("edgetl_runtime/"): name for name in archive.namelist() if name.endswith(".py")}
        assert set(modules) == {path.relative_to(source).as_posix() for path in source.rglob("*.py")}
        for path, name in modules.items():
            assert code_of(archive.read(name).decode()) == code_of((source / path).read_text()), path
        assert '"""Load one artefact.' in archive.read("edgetl_runtime/loading.py").decode()


def test_it_lives_beside_edgetl(wheel: Path) -> None:
    code = (
        f"import sys, json; sys.path[:0] = [{str(wheel)!r}, {str(ROOT)!r}]\n"
        "import edgetl_runtime, edgetl.runtime\n"
        "one, other = edgetl_runtime.load, edgetl.runtime.load\n"
        "print(json.dumps([one.__module__, other.__module__, one.__code__.co_filename.startswith(sys.path[0])]))"
    )
    said = subprocess.run([sys.executable, "-I", "-c", code], check=True, capture_output=True, text=True).stdout
    assert json.loads(said) == ["edgetl_runtime.loading", "edgetl.runtime.loading", True]
