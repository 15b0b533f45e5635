"""What converters print ends up in the log and nowhere else, and the terminal is given back whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgetl.console.capture import aloud, captured


def test_takes_python_c_and_child_output(capfd: pytest.CaptureFixture[str]) -> None:
    with captured() as log:
        print("from print")
        print("from stderr", file=sys.stderr)
        os.write(1, b"from descriptor 1\n")
        os.write(2, b"from descriptor 2\n")
        subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    assert log.text().splitlines() == [
        "from print",
        "from stderr",
        "from descriptor 1",
        "from descriptor 2",
        "from a child",
    ]
    assert capfd.readouterr() == ("", "")


def test_gives_both_back_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    with pytest.raises(RuntimeError, match="converter"), captured() as log:
        _fail()
    print("seen")
    os.write(2, b"seen too\n")
    assert (sys.stdout, sys.stderr) == before
    assert capfd.readouterr() == ("seen\n", "seen too\n")
    assert log.tail() == "last words"


def test_appends_to_a_log_file(tmp_path: Path) -> None:
    path = tmp_path / "convert.log"
    for step in ("export", "quantize"):
        with captured(path) as log:
            print(step)
        assert log.text() == f"{step}\n"
    assert path.read_text() == "export\nquantize\n"


def test_tail_shows_what_a_person_would_have_seen() -> None:
    with captured() as log:
        print("\x1b[1mone\x1b[0m\n\n")
        print("10 %\r50 %\r100 %")
        print("three")
        assert log.tail(2) == "100 %\nthree", "readable while it lasts"
    assert log.tail() == "one\n100 %\nthree"
    assert log.tail(1) == "three"


def test_the_innermost_capture_gets_the_lines_and_hands_them_on() -> None:
    with captured() as outer:
        print("before")
        with captured() as inner:
            print("within")
        print("after")
    assert inner.text() == "within\n"
    assert outer.text() == "before\nwithin\nafter\n"


def test_what_somebody_must_read_passes_all_captures(capfd: pytest.CaptureFixture[str]) -> None:
    with captured() as outer, captured() as inner:
        aloud("open this")
    aloud("and this")
    assert outer.text() == inner.text() == ""
    assert capfd.readouterr() == ("", "open this\nand this\n")


def test_leaks_no_descriptor() -> None:
    def opened() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("counts open descriptors through /proc")
    with captured():
        pass
    before = opened()
    for _ in range(5):
        with captured() as log:
            print("line")
        del log
    assert opened() == before


def _fail() -> None:
    os.write(1, b"last words\n")
    raise RuntimeError("converter")
