"""The import table of docs/architecture.md holds."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "edgetl"
DEVICE_SIDE = {"numpy", "PIL", "onnxruntime", "openvino", "ai_edge_litert", "tflite_runtime"}


def _table() -> dict[str, set[str]]:
    table = {}
    for line in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 2 and cells[0] != "room":
            table[cells[0]] = set(cells[1].split())
    return table


def _imported(path: Path) -> set[str]:
    """Absolute dotted names that a file imports, `from x import y` as x.y."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _files() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or not path.name.startswith("__"))


def test_the_table_names_every_room() -> None:
    assert set(_table()) == {_room(path) for path in _files()}


def test_no_way_leads_back() -> None:
    order = list(TopologicalSorter(_table()).static_order())  # raises CycleError
    assert order.index("runtime") < order.index("stages") < order.index("cli")


@pytest.mark.parametrize("room", sorted(_table()))
def test_a_room_imports_what_the_table_allows(room: str) -> None:
    allowed = _table()[room] | {room}
    for path in _files():
        if _room(path) != room:
            continue
        for name in _imported(path):
            parts = name.split(".")
            if parts[0] == "edgetl":
                target = "version" if parts[1:] == ["__version__"] else parts[1]
                assert target in allowed, f"{path.relative_to(ROOT)} imports edgetl.{target}"


def test_the_device_side_needs_numpy_and_a_runtime_alone() -> None:
    import sys

    for path in sorted((PACKAGE / "runtime").rglob("*.py")):
        top = {name.split(".")[0] for name in _imported(path)}
        assert top <= DEVICE_SIDE | set(sys.stdlib_module_names), path


@pytest.mark.parametrize(("room", "word"), [("evidence", "torch"), ("data", "torch"), ("report", "torch")])
def test_rooms_without_torch(room: str, word: str) -> None:
    for path in sorted((PACKAGE / room).rglob("*.py")):
        assert word not in {name.split(".")[0] for name in _imported(path)}, path


def test_albumentations_is_known_in_one_place() -> None:
    users = [path for path in _files() if "albumentations" in {name.split(".")[0] for name in _imported(path)}]
    assert users == [PACKAGE / "data" / "augment.py"]
