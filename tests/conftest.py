"""What all tests share: Ctrl-C, a tiny bundle, a fake phone, and the real data sets, which are too large or not free.

Hypothesis runs without deadlines: a shared machine may take its time.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_bundle
from fakes import adb_server
from fakes.android import FakePhone
from fakes.sessions import FakeSession
from hypothesis import HealthCheck, settings

pytest_plugins = ("ssh_devices",)

os.environ.setdefault("EDGETL_REHEARSAL", "off")  # half a minute for each of hundreds of tiny builds
# Measurements take turns on a machine; those of tests do not wait for others', nor others for them.
_RUNTIME = tempfile.TemporaryDirectory(prefix="edgetl-tests-")
os.environ["XDG_RUNTIME_DIR"] = _RUNTIME.name

settings.register_profile("edgetl", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("edgetl")

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_finish() -> None:
    """Nothing that all test files together import is garbage; each training looks for it twice, for a second or more."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Ctrl-C as on a terminal, for the tests that press it: a suite that was started in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before if before is not None else signal.default_int_handler)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums in another order are other sums: equal bits need an equal number of threads."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def few_timed_runs() -> Iterator[None]:
    """Where a build or a bench of this process measures on the way and its numbers are not looked at, a few runs will do."""
    from edgetl.runtime import measuring

    effort = measuring.Effort(rounds=2, runs=4, seconds=0.0, limit_s=1.0, warm_up_s=0.0, pictures=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(measuring.EFFORTS, "quick", effort)
        yield


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[FakeSession]:
    """Sessions that a test opens; a fake runtime is installed."""
    sessions: list[FakeSession] = []
    tiny_bundle.install(monkeypatch, sessions)
    return sessions


@pytest.fixture
def bundle(tmp_path: Path, opened: list[FakeSession]) -> Path:
    """A tiny bundle whose artefacts run in the fake runtime."""
    return tiny_bundle.write(tmp_path / "bundle")


@pytest.fixture
def phone(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePhone]:
    """An Android phone that answers, behind adbutils' own fake server; no adb of this machine is started."""
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
    """The scripted benchmark_model, as a file that can be sent."""
    script = Path(adb_server.__file__).with_name("benchmark_model.py").read_text()
    path = tmp_path / "benchmark_model"
    path.write_text(script.replace("#!/usr/bin/env python3", f"#!{sys.executable} -S", 1))
    return path


@pytest.fixture(scope="session")
def ham10000() -> Path:
    """A HAM10000 download, named by EDGETL_HAM10000."""
    root = os.environ.get("EDGETL_HAM10000")
    if not root:
        pytest.skip("EDGETL_HAM10000 is not set to a HAM10000 download")
    return Path(root)


@pytest.fixture(scope="session")
def busi() -> Path:
    """The BUSI breast ultrasound set, named by EDGETL_BUSI or lying beside the checkout."""
    root = Path(os.environ.get("EDGETL_BUSI") or _BESIDE / "busi")
    if not root.is_dir():
        pytest.skip("EDGETL_BUSI is not set to the BUSI data set, and ../shared/data/busi is not there")
    return root
