"""Names of folders on devices that fetch files one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetl.devices.pushed import Pushed
from edgetl.runtime.errors import WorkerError


def test_a_folder_has_one_name_and_its_files_are_found_by_it() -> None:
    pushed = Pushed("/data")
    one, other = pushed.push(Path("/here/a")), pushed.push(Path("/here/b"))
    assert pushed.push(Path("/here/a")) == one != other
    assert pushed.host(other / "golden/1.npy") == Path("/here/b/golden/1.npy")
    assert pushed.host(str(one)) == Path("/here/a")


@pytest.mark.parametrize("path", ["/data/pushed/7/x", "/data/pushed/01", "/etc/passwd", "pushed/0/x"])
def test_what_was_not_pushed_is_not_given(path: str) -> None:
    pushed = Pushed("/data")
    pushed.push(Path("/here/a"))
    with pytest.raises(WorkerError, match="not pushed"):
        pushed.host(path)
