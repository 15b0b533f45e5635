"""adbutils' own fake adb server, out of its sdist: fetched by pip once, checked by its hash, kept in pytest's cache."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

VERSION = "2.12.0"
SHA256 = "3653a8f39735620bc45b15ee2e7a00e502c9f1a259452e1fb2bbba3ea59d0e68"


def load(cache: Path) -> ModuleType:
    """The module; skips the test, with the reason, where it cannot be fetched."""
    path = cache / f"adb_server-{VERSION}.py"
    if not path.is_file():
        _fetch(cache, path)
    spec = importlib.util.spec_from_file_location("adbutils_test_server", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _fetch(cache: Path, path: Path) -> None:
    folder = cache / f"fetching-{os.getpid()}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "wanted.txt").write_text(f"adbutils=={VERSION} --hash=sha256:{SHA256}\n")
    words = (
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-binary",
        "adbutils",
        "--require-hashes",
    )
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words, "--dest", str(folder), "--requirement", str(folder / "wanted.txt")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        pytest.skip(f"adbutils' sdist, whose fake adb server this needs, cannot be fetched: {said[-1] if said else ''}")
    with tarfile.open(folder / f"adbutils-{VERSION}.tar.gz") as archive:
        member = archive.extractfile(f"adbutils-{VERSION}/tests/adb_server.py")
        assert member is not None
        part = folder / "adb_server.py"
        part.write_bytes(member.read())
    part.replace(path)
