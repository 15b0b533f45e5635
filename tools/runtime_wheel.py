"""Writes dist/edgetl_runtime-VERSION-py3-none-any.whl: the device side of this checkout as a distribution of its own.

    python tools/runtime_wheel.py [FOLDER]

Needs Python's standard library alone and no network. All that is in the wheel is edgetl/runtime under another name: its
imports are relative, so no code is rewritten. It is kept small: docstrings of what nobody imports by name and annotations of
functions are left out there, comments everywhere, and each level is indented by one blank; lines keep their numbers. The same
checkout gives the same bytes (PEP 427; times and modes are fixed).
"""

from __future__ import annotations

import ast
import base64
import hashlib
import io
import sys
import tokenize
import tomllib
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "edgetl" / "runtime"
PACKAGE, DISTRIBUTION = "edgetl_runtime", "edgetl-runtime"
REQUIRES = "numpy>=1.26"
EXTRAS = {
    "images": "pillow>=11",
    "onnx": "onnxruntime",
    "openvino": "openvino",
    "tflite": "ai-edge-litert",
}
"""What may be installed beside: what decodes JPEG, PNG and the like, and the runtimes, one of which is needed."""

_DOCUMENTED = frozenset({"__init__", "__main__", "errors", "loading", "predicting"})
"""What `help` is asked about, and what a command prints."""

_TIME = (1980, 1, 1, 0, 0, 0)  # the first that a zip file can say
_MODE = 0o100644 << 16


def build(folder: Path) -> Path:
    """Write the wheel into a folder; its path."""
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stem = f"{PACKAGE}-{about['version']}"
    info = f"{stem}.dist-info"
    files = {f"{PACKAGE}/{path.relative_to(SOURCE).as_posix()}": _module(path) for path in sorted(SOURCE.rglob("*.py"))}
    files[f"{info}/METADATA"] = _metadata(about).encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: edgetl\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/licenses/LICENSE"] = (ROOT / "LICENSE").read_bytes()
    files[f"{info}/RECORD"] = _record(files, f"{info}/RECORD")
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr, entry.create_system = _MODE, 3  # as on Unix, wherever it is built
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
    return wheel


def _module(path: Path) -> bytes:
    source = path.read_text(encoding="utf-8")
    if path.stem not in _DOCUMENTED:
        source = without_annotations(without_docstrings(source))
    return indented_by_one(without_comments(source)).encode()


def indented_by_one(source: str) -> str:
    """The same code on the same lines, whose columns say less."""
    lines, level, begins = source.splitlines(keepends=True), 0, True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        level += (token.type == tokenize.INDENT) - (token.type == tokenize.DEDENT)
        if token.type == tokenize.NEWLINE:
            begins = True
        elif begins and token.type not in (tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER):
            row, begins = token.start[0] - 1, False
            lines[row] = " " * level + lines[row].lstrip(" ")
    return "".join(lines)


def without_annotations(source: str) -> str:
    """The same code on the same lines; what dataclasses read stays."""
    content = source.encode()  # as ast counts columns
    starts = [0, *(place + 1 for place, byte in enumerate(content) if byte == ord("\n"))]
    spans = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.arg) and node.annotation:
            begin = starts[node.lineno - 1] + node.col_offset + len(node.arg.encode())
            spans.append((begin, _end(starts, node.annotation)))
        elif isinstance(node, ast.FunctionDef) and node.returns:
            begin = starts[node.returns.lineno - 1] + node.returns.col_offset
            spans.append((content.rindex(b" ->", 0, begin), _end(starts, node.returns)))
    for begin, end in sorted(spans, reverse=True):
        if b"\n" not in content[begin:end]:
            content = content[:begin] + content[end:]
    return content.decode()


def _end(starts: list[int], node: ast.expr) -> int:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return starts[node.end_lineno - 1] + node.end_col_offset


def without_comments(source: str) -> str:
    """The same code on the same lines."""
    lines = source.splitlines(keepends=True)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip() + "\n"
    return "".join(lines)


def without_docstrings(source: str) -> str:
    """The same code on the same lines."""
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        statements = getattr(node, "body", None)
        if not isinstance(statements, list):
            continue  # a lambda's is an expression
        for statement in statements:
            if isinstance(statement, ast.Expr) and isinstance(getattr(statement.value, "value", None), str):
                first, last = statement.lineno - 1, statement.end_lineno or statement.lineno
                lines[first:last] = ["\n"] * (last - first)
                if len(statements) == 1 and not isinstance(node, ast.Module):  # nothing else is left of it
                    lines[first] = " " * statement.col_offset + "...\n"
    return "".join(lines)


def _metadata(about: dict[str, Any]) -> str:
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {DISTRIBUTION}",
        f"Version: {about['version']}",
        "Summary: Runs the bundles that edgetl builds, with numpy and one inference runtime.",
        f"License-Expression: {about['license']}",
        "License-File: LICENSE",
        f"Requires-Python: {about['requires-python']}",
        f"Requires-Dist: {REQUIRES}",
    ]
    for extra, requirement in EXTRAS.items():
        lines += [f"Provides-Extra: {extra}", f'Requires-Dist: {requirement}; extra == "{extra}"']
    description = (SOURCE / "__init__.py").read_text(encoding="utf-8").split('"""')[1]
    return "\n".join([*lines, "", description.strip(), ""])


def _record(files: dict[str, bytes], itself: str) -> bytes:
    lines = []
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(content)}\n")
    return "".join([*lines, f"{itself},,\n"]).encode()


if __name__ == "__main__":
    print(build(Path(sys.argv[1]) if sys.argv[1:] else ROOT / "dist"))
