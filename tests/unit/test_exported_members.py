"""`import edgetl`: what it offers is sorted, there, explained and typed, and costs nothing until it is used."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest

import edgetl

OFFERED = [name for name in edgetl.__all__ if not name.startswith("__")]
FUNCTIONS = [name for name in OFFERED if inspect.isfunction(getattr(edgetl, name))]
CLASSES = [name for name in OFFERED if inspect.isclass(getattr(edgetl, name))]


def test_all_is_sorted_and_has_what_notebooks_call() -> None:
    assert edgetl.__all__ == sorted(set(edgetl.__all__))
    called = {
        "backbones",
        "build",
        "check",
        "init",
        "evaluate",
        "verify",
        "predict",
        "bench",
        "compare",
        "measurements",
        "open_bundle",
        "load_recipe",
    }
    assert set(FUNCTIONS) == called
    assert set(OFFERED) == {*FUNCTIONS, *CLASSES, "Event"}
    assert set(edgetl.__all__) <= set(dir(edgetl))


def test_what_checkers_see_is_what_there_is() -> None:
    tree = ast.parse(Path(str(edgetl.__file__)).read_text(encoding="utf-8"))
    (checked,) = [node for node in tree.body if isinstance(node, ast.If) and not isinstance(node.test, ast.UnaryOp)]
    seen: dict[str, str | None] = {}
    for node in checked.body:
        assert isinstance(node, ast.ImportFrom)
        seen |= {alias.name: node.module for alias in node.names}
    assert set(seen) == set(OFFERED)
    assert seen == {name: home for home, names in edgetl._HOMES.items() for name in names}


@pytest.mark.parametrize("name", [*FUNCTIONS, *CLASSES])
def test_each_is_explained_and_typed(name: str) -> None:
    member = getattr(edgetl, name)
    assert member.__name__ == name
    assert inspect.getdoc(member), name
    if name in CLASSES:
        methods = [value for key, value in vars(member).items() if not key.startswith("_") and callable(value)]
        assert all(inspect.getdoc(method) for method in methods)
        return
    signature = inspect.signature(member)
    hints = get_type_hints(inspect.unwrap(member), {**vars(sys.modules[member.__module__]), **vars(edgetl)} | _types())
    assert set(hints) == {*signature.parameters, "return"}
    assert "Raises:" in str(member.__doc__)
    for parameter in signature.parameters:
        assert f"{parameter}:" in str(member.__doc__), f"{name}: {parameter} is not explained"


def _types() -> dict[str, object]:
    """What the modules import for checkers alone."""
    return {"Interval": edgetl.Interval}


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="bild"):
        edgetl.bild  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("import edgetl", {"numpy", "pydantic", "torch", "typer", "rich", "yaml", "edgetl.api", "edgetl.errors"}),
        ("import edgetl; edgetl.open_bundle, edgetl.predict, edgetl.verify", {"torch", "typer", "rich", "scipy"}),
        ("import edgetl; edgetl.load_recipe", {"torch", "numpy", "typer", "rich"}),
        ("import edgetl; edgetl.check, edgetl.build, edgetl.init", {"torch", "timm", "typer", "rich"}),
    ],
)
def test_nothing_is_loaded_before_it_is_needed(code: str, unwanted: set[str]) -> None:
    code = f"{code}\nimport sys; print(sorted({unwanted!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
