"""A full, limited or read-only disk is one error of the environment, however a library words it."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgetl.errors import DataError, EdgetlError, EnvironmentFault
from edgetl.store import Dependencies, Store, writing
from edgetl.store.disk import fault
from edgetl.store.maintenance import prune

_PARTS = Dependencies.of("data", 1, {}, {}, ())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def _numpy(path: Path) -> None:
    np.zeros(10_000_000, np.uint8).tofile(path)


def _text(path: Path) -> None:
    path.write_text("x" * 10_000_000)


def _sqlite(path: Path) -> None:
    connection = sqlite3.connect(path)
    try:
        connection.execute("CREATE TABLE a (b)")
        connection.execute("INSERT INTO a VALUES (?)", (b"x" * 10_000_000,))
        connection.commit()
    finally:
        connection.close()


def _safetensors(path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(10_000_000, np.uint8)}, path)


@pytest.mark.parametrize("write", [_numpy, _text, _sqlite, _safetensors])
def test_what_does_not_fit_leaves_no_entry_and_finished_ones_stay(small_disk: Path, write: object) -> None:
    store = Store(small_disk / "store")
    with store.draft(_PARTS) as draft:
        (draft.folder / "small").write_text("fits")
    large = Dependencies.of("data", 2, {}, {}, ())
    with pytest.raises(EnvironmentFault, match="the disk is full") as caught, store.draft(large) as draft:
        write(draft.folder / "large")  # type: ignore[operator]
    assert caught.value.exit_code == 3
    assert store.find(large.key) is None
    assert Store(small_disk / "store").find(_PARTS.key) is not None
    assert not list((small_disk / "store" / "aside").iterdir())


def _drop_what_does_not_fit(path: Path) -> None:
    """As C++ streams do."""
    with contextlib.suppress(OSError):
        _text(path)


def test_a_file_that_was_cut_off_without_a_word_is_no_result(small_disk: Path) -> None:
    store = Store(small_disk / "store")
    with pytest.raises(EnvironmentFault, match="the disk is full"), store.draft(_PARTS) as draft:
        _drop_what_does_not_fit(draft.folder / "large")
    assert store.find(_PARTS.key) is None


_LIMITED = """
import resource, sys
from pathlib import Path
from edgetl.errors import EnvironmentFault
from edgetl.store import Dependencies, Store
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    with Store(Path(sys.argv[1])).draft(Dependencies.of("data", 1, {}, {}, ())) as draft:
        (draft.folder / "large").write_bytes(bytes(200_000))
except EnvironmentFault as exc:
    sys.exit(str(exc))
"""


def test_a_limit_on_the_size_of_one_file_is_named(tmp_path: Path) -> None:
    words = [sys.executable, "-c", _LIMITED, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "a file would be larger than this disk or the process's limit allows" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "aside").iterdir())


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "disk is full"),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), "quota"),
        (OSError(errno.EFBIG, os.strerror(errno.EFBIG)), "larger than"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "disk is full"),
        (RuntimeError("basic_ios::clear: iostream error"), "could not be written"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
    ],
)
def test_each_kind_of_trouble_is_named(tmp_path: Path, error: Exception, said: str) -> None:
    found = fault(error, tmp_path)
    assert found is not None
    assert said in str(found)


def _converter(path: Path) -> None:
    try:
        raise OSError(errno.ENOSPC, "No space left on device")
    except OSError as exc:
        raise EdgetlError("onnx: export failed") from exc


def test_a_cause_deep_down_counts(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="disk is full"), writing(tmp_path):
        _converter(tmp_path)


@pytest.mark.parametrize(
    "other", [EdgetlError("onnx: failed"), DataError("3 images"), FileNotFoundError(2, "no such file"), KeyError("k")]
)
def test_other_errors_pass_unchanged(tmp_path: Path, other: Exception) -> None:
    with pytest.raises(type(other)) as caught, writing(tmp_path):
        raise other
    assert caught.value is other


def test_a_store_that_is_a_file_says_that_it_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(EnvironmentFault, match="cannot be written") as caught, Store(tmp_path / "store").draft(_PARTS):
        pass
    assert str(tmp_path / "store") in str(caught.value)


def test_a_read_only_disk_says_so(small_disk: Path) -> None:
    store = Store(small_disk / "store")
    with store.draft(_PARTS) as draft:
        (draft.folder / "file").write_text("x")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert Store(small_disk / "store").find(_PARTS.key) is not None, "what is there can be read"
    with pytest.raises(EnvironmentFault, match="Read-only"), store.draft(Dependencies.of("data", 2, {}, {}, ())):
        pass
    with pytest.raises(EnvironmentFault, match="Read-only"):
        prune(store, 0.0, time.time() + 1, dry_run=False)
    assert len(prune(store, 0.0, time.time() + 1, dry_run=True)) == 1, "what would go can be asked"
    assert shutil.disk_usage(small_disk).free > 1 << 20, "it was not full"
