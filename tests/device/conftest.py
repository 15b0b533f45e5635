"""A fake phone behind adbutils' own test server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import adb_server
from fakes.android import FakePhone

PROGRAM = Path(adb_server.__file__).with_name("benchmark_model.py")


@pytest.fixture
def phone(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePhone]:
    """A phone that answers; the adb of this machine is never started."""
    pytest.importorskip("adbutils", reason="needs pip install 'edgetl[adb]'")
    server = adb_server.load(request.config.cache.mkdir("adbutils"))
    monkeypatch.setenv("ADBUTILS_ADB_PATH", "/bin/false")
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    with FakePhone(server, tmp_path / "phone") as phone:
        monkeypatch.setenv("ANDROID_ADB_SERVER_HOST", "127.0.0.1")
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(phone.port))
        yield phone


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The scripted benchmark_model."""
    path = tmp_path / "benchmark_model"
    path.write_text(PROGRAM.read_text().replace("#!/usr/bin/env python3", f"#!{sys.executable} -S", 1))
    return path
