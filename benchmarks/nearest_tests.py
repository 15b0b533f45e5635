"""Which test files a module has: by its name, or by what they import."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
_FOLDERS = ("tests/unit/test_", "tests/device/test_")
# Where neither name nor imports say it: tests reach these through what stands before them, or from several files.
_THROUGH: dict[str, tuple[str, ...]] = {
    "edgetl/data/lint.py": ("tests/unit/test_readers.py",),
    "edgetl/data/medmnist/archive.py": ("tests/unit/test_readers.py",),
    "edgetl/data/medmnist/unpacking.py": ("tests/unit/test_readers.py",),
    **{
        f"edgetl/data/readers/{name}.py": ("tests/unit/test_folder_layouts.py", "tests/unit/test_readers.py")
        for name in (
            "endings",
            "folder",
            "folder_copies",
            "folder_doubts",
            "folder_masks",
            "folder_names",
            "folder_tree",
            "hints",
        )
    },
    "edgetl/data/records.py": ("tests/unit/test_readers.py",),
    "edgetl/data/source.py": ("tests/unit/test_readers.py",),
    "edgetl/data/table.py": ("tests/unit/test_images.py",),
    "edgetl/runtime/bundle_files.py": ("tests/unit/test_bundle.py",),
    "edgetl/runtime/consistency.py": ("tests/unit/test_manifest.py",),
    "edgetl/runtime/decoding.py": ("tests/unit/test_preprocessing.py", "tests/unit/test_pixels.py"),
    "edgetl/runtime/jpeg.py": ("tests/unit/test_preprocessing.py",),
    "edgetl/runtime/labels.py": ("tests/unit/test_bundle.py",),
    "edgetl/runtime/loading.py": ("tests/unit/test_runtime_load.py", "tests/unit/test_bundle.py"),
    "edgetl/runtime/manifest.py": ("tests/unit/test_manifest.py", "tests/unit/test_bundle.py"),
    "edgetl/runtime/measuring.py": ("tests/unit/test_latency_numbers.py",),
    "edgetl/runtime/png.py": ("tests/unit/test_preprocessing.py",),
    "edgetl/runtime/predicting.py": ("tests/unit/test_runtime_load.py", "tests/unit/test_runtime_command.py"),
    "edgetl/runtime/preprocessing.py": ("tests/unit/test_preprocessing.py", "tests/unit/test_manifest.py"),
    "edgetl/runtime/resizing.py": ("tests/unit/test_preprocessing.py",),
    "edgetl/runtime/serving.py": ("tests/unit/test_workers.py", "tests/device/test_measuring.py"),
    "edgetl/runtime/sessions/onnx.py": ("tests/backend/test_sessions.py",),
    "edgetl/runtime/sessions/openvino.py": ("tests/backend/test_sessions.py",),
    "edgetl/runtime/sessions/tflite.py": ("tests/backend/test_sessions.py",),
    "edgetl/runtime/signal_stack.py": ("tests/backend/test_sessions.py",),
    "edgetl/runtime/strict.py": ("tests/unit/test_manifest.py",),
    "edgetl/runtime/verifying.py": ("tests/unit/test_bundle.py", "tests/unit/test_runtime_command.py"),
}


def nearest_tests(module: str) -> list[str]:
    """The test file named after a module or its folder; else all unit tests that import it.

    Where none does, those of the modules that import it, and so on. Helpers beside the tests count as part of them.

    Args:
        module: path from the root, `edgetl/evidence/gates.py`; so is the answer.
    """
    if module in _THROUGH:
        return [*_THROUGH[module]]
    for name in (Path(module).stem, Path(module).parent.name):
        if (path := f"tests/unit/test_{name}.py") in python_files("tests"):
            return [path]
    wanted, seen = {_dotted(module)}, set[str]()
    while wanted - seen:
        importing = {path for path in python_files("tests") if _imports(path) & wanted}
        helpers = {Path(path).stem for path in importing}
        importing |= {path for path in python_files("tests") if _imports(path) & helpers}
        if tests := sorted(path for path in importing if path.startswith(_FOLDERS)):
            return tests
        seen |= wanted
        wanted = {_dotted(path) for path in python_files("edgetl") if _imports(path) & wanted}
    return []


@cache
def python_files(folder: str) -> tuple[str, ...]:
    """Paths from the root, sorted."""
    return tuple(str(path.relative_to(ROOT)) for path in sorted((ROOT / folder).rglob("*.py")))


def _dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@cache
def _imports(path: str) -> frozenset[str]:
    """Dotted names of all that a file imports."""
    package = path.split("/")[:-1]
    names = set[str]()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return frozenset(names)
