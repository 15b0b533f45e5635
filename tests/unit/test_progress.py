"""What a person sees while something runs, on a terminal and elsewhere, and what the log keeps."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from edgetl.console import display, times
from edgetl.console.log import Logged
from edgetl.console.logging import quiet_libraries
from edgetl.console.progress import Console, Part, Silent

# A build of two stages in which everybody talks: Python, C, a child, warnings.
BUILD = """
import os, subprocess, sys, time, warnings
from pathlib import Path
from edgetl.console.log import Logged
from edgetl.console.logging import quiet_libraries
from edgetl.console.progress import Console

pause = float(sys.argv[2])
with Console() as screen, Logged(screen, Path(sys.argv[1])) as console, quiet_libraries(console):
    for number, name in enumerate(("data", "teach"), start=1):
        with console.stage(name, number, 2):
            for step in range(1, 9):
                console.advance(f"teacher: epoch {step}/8", step, 9)
                print("NOISE of Python", flush=True)
                os.write(2, b"NOISE of C\\n")
                warnings.warn("NOISE of a warning")
                time.sleep(pause)
                if step == 4:
                    subprocess.run(["echo", "NOISE of a child"])
                    console.say("the newest line, and it is long: " + "x" * 60)
        console.warn(f"warning: about {name}")
    console.say("done in 1 s")
print("the result")
"""
NOISE = {"NOISE of Python", "NOISE of C", "NOISE of a child", "NOISE of a warning"}


def events(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def noise(log: Path) -> set[str]:
    return {kind for kind in NOISE if kind in log.read_text(encoding="utf-8")}


class Terminal:
    """BUILD on a pseudo terminal."""

    def __init__(self, log: Path, columns: int, *words: str, **environment: str) -> None:
        self._ours, theirs = pty.openpty()
        self.resize(columns)
        environment = {"TERM": "xterm", **environment}
        kept = {
            name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "EDGETL_QUIET")
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", BUILD, str(log), *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**kept, **environment},
        )
        os.close(theirs)

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    def until(self, text: str) -> str:
        """What is sent to the terminal until `text` is."""
        said = ""
        while text not in said:
            said += self._more() or pytest.fail(f"{text!r} never came:\n{said}")
        return said

    def rest(self) -> str:
        """What is sent until the program ends."""
        said = ""
        while part := self._more():
            said += part
        os.close(self._ours)
        self.process.wait()
        return said

    def _more(self) -> str:
        try:
            return os.read(self._ours, 1 << 16).decode("utf-8", "replace")
        except OSError:  # Linux's way to say that nobody holds the other end any more
            return ""


def screen(sent: str) -> list[str]:
    """The lines that a terminal shows in the end; knows what rich sends."""
    rows, row, column = [""], 0, 0
    for move, control, text in re.findall(r"(\x1b\[[0-9;?]*[A-Za-z])|([\r\n])|([^\x1b\r\n]+)", sent):
        if text:
            rows[row] = rows[row][:column].ljust(column) + text + rows[row][column + len(text) :]
            column += len(text)
        elif control == "\r":
            column = 0
        elif control == "\n":
            row += 1
            rows += [""] * (row + 1 - len(rows))
        elif move.endswith("A"):
            row = max(0, row - int(move[2:-1]))
        elif move == "\x1b[2K":
            rows[row] = ""
        else:
            assert re.fullmatch(r"\x1b\[(\?25[lh]|[0-9;]*m)", move), f"unknown to this test: {move!r}"
    return [line.rstrip() for line in rows if line.strip()]


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}], ids=["colours", "NO_COLOR"])
def test_a_terminal_shows_the_running_stage_and_keeps_one_line_of_a_finished_one(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    log = tmp_path / "log.jsonl"
    sent = Terminal(log, 80, "0.06", **environment).rest()
    assert "NOISE" not in sent
    assert noise(log) == NOISE
    assert re.search(r"\[2/2\] teach  teacher: epoch \d/8", sent)
    assert re.search(r"\d+ %  0:0\d", sent)
    newest = f"the newest line, and it is long: {'x' * 60}"
    assert [re.sub(r"  \d s  the", "  1 s  the", line) for line in screen(sent)] == [
        f"[1/2] data  1 s  {newest}"[:78] + "…",
        "warning: about data",
        f"[2/2] teach  1 s  {newest}"[:78] + "…",
        "warning: about teach",
        "done in 1 s",
        "the result",
    ]
    assert bool(re.search(r"\x1b\[[39]\d", sent)) == (not environment), "colours, unless they are not wanted"
    assert list(tmp_path.iterdir()) == [log]


def test_a_narrow_terminal_and_one_that_is_resized_show_no_broken_line(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "log.jsonl", 24, "0.06")
    sent = terminal.until("teacher: epoch")
    terminal.resize(17)
    sent += terminal.until("[2/2]")
    terminal.resize(200)
    sent += terminal.rest()
    assert terminal.process.returncode == 0
    assert "NOISE" not in sent
    assert [line[:9] for line in screen(sent)] == [
        *("[1/2] dat", "warning: ", "[2/2] tea", "warning: ", "done in 1", "the resul")
    ]


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(tmp_path: Path, term: str) -> None:
    sent = Terminal(tmp_path / "log.jsonl", 80, "0", TERM=term).rest()
    assert "\x1b" not in sent
    assert re.sub(r"  \d s", "  N s", sent).split("\r\n") == [
        *("[1/2] data", f"the newest line, and it is long: {'x' * 60}", "[1/2] data  N s", "warning: about data"),
        *("[2/2] teach", f"the newest line, and it is long: {'x' * 60}", "[2/2] teach  N s", "warning: about teach"),
        *("done in 1 s", "the result", ""),
    ]


def test_quiet_shows_warnings_alone_and_logs_the_same(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    sent = Terminal(log, 80, "0", EDGETL_QUIET="1").rest()
    assert sent.split("\r\n") == ["warning: about data", "warning: about teach", "the result", ""]
    assert noise(log) == NOISE
    assert events(log)[-1]["message"] == "done in 1 s"


def test_ctrl_c_leaves_the_terminal_in_order_and_says_where_it_stopped(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "log.jsonl", 80, "0.5")
    sent = terminal.until("epoch 2/8")
    terminal.process.send_signal(signal.SIGINT)
    sent += terminal.rest()
    assert screen(sent)[0].startswith("[1/2] data  stopped after ")
    assert sent.rindex("\x1b[?25h") > sent.rindex("\x1b[?25l"), "the cursor is visible again"
    assert "KeyboardInterrupt" in screen(sent)[-1]
    assert "NOISE of C" in (tmp_path / "log.jsonl").read_text()


def test_a_closed_terminal_does_not_end_the_build(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    shell = '"$0" -c "$1" "$2" 0 2>&1 >/dev/null | head -n 1; exit ${PIPESTATUS[0]}'
    words = ["bash", "-c", shell, sys.executable, BUILD, str(log)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[1/2] data\n")
    assert events(log)[-1]["message"] == "done in 1 s"


def test_a_full_disk_is_said_once_and_does_not_end_the_build(capsys: pytest.CaptureFixture[str]) -> None:
    with Console() as screen, Logged(screen, Path("/dev/full")) as console:
        console.say("one")
        console.say("two")
        print("printed by a library")
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if "warning" not in line] == ["one", "two"]
    (warning,) = [line for line in said if "warning" in line]
    assert re.fullmatch(r"warning: /dev/full: No space left on device; .*; the build goes on", warning)


def test_a_log_that_cannot_be_opened_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Console() as screen, Logged(screen, tmp_path) as console:
        console.say("one")
    said = capsys.readouterr().err.splitlines()
    assert said == [f"warning: {tmp_path}: Is a directory; it is left out; the build goes on", "one"]


def test_what_a_killed_build_had_printed_is_in_the_log_of_the_next_one(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    terminal = Terminal(log, 80, "30")
    terminal.until("epoch 1/8")
    time.sleep(0.2)
    terminal.process.kill()
    terminal.rest()
    assert len(list(tmp_path.iterdir())) == 2
    with Console() as screen, Logged(screen, log):
        pass
    (left,) = [event for event in events(log) if event["event"] == "output"]
    assert left["text"].splitlines()[0] == "NOISE of Python"
    assert list(tmp_path.iterdir()) == [log]


def test_without_a_terminal_a_long_stage_shows_life(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display, "LIFE_SECONDS", 0.05)
    with Console() as console:
        time.sleep(0.1)  # outside a stage there is nothing to show
        with console.stage("teach", 2, 19):
            console.advance("teacher: epoch 3/15", 41, 100)
            time.sleep(0.2)
    shown = capsys.readouterr()
    lines = shown.err.splitlines()
    assert (shown.out, lines[0]) == ("", "[2/19] teach")
    assert "  teacher: epoch 3/15  41 %  0:00" in lines
    assert lines[-1] == "[2/19] teach  0 s"


def test_the_time_left_follows_the_pace_of_the_last_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    running = display.Running("teach")
    assert running.left() is None
    for second in range(1001):  # ten steps a second, then one
        now[0] = float(second)
        running.advance("train", 10 * min(second, 500) + max(0, second - 500), 6500)
        if second == 400:
            assert running.left() == pytest.approx((6500 - 4000) / 10)
    assert running.left() == pytest.approx(6500 - 5500)
    running.advance("train", 6500, 6500)
    assert running.left() is None


def test_a_training_that_is_taken_up_again_does_not_count_what_was_done_before(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    running = display.Running("teach")
    for second in range(11):
        now[0] = float(second)
        running.advance("train", 900 + second, 1000)
    assert running.left() == pytest.approx(90)


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (3661, "1:01:01")])
def test_clock(seconds: float, shown: str) -> None:
    assert times.clock(seconds) == shown


def test_the_parts_of_a_stage_count_towards_the_whole() -> None:
    class Steps(Silent):
        seen: list[tuple[int, int]]

        def advance(self, label: str, done: int, total: int) -> None:
            self.seen.append((done, total))

    steps = Steps()
    steps.seen = []
    for index in range(2):
        part = Part(steps, index, 2)
        part.advance("student", 5, 10)
        part.advance("student", 10, 10)
    assert steps.seen == [(5, 20), (10, 20), (15, 20), (20, 20)]


def test_the_log_keeps_lines_and_events_over_several_builds(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    for number in (1, 2):
        with Console() as screen, Logged(screen, log) as console:
            console.say("hello")
            console.event("epoch", number=number, path=tmp_path)
    said = events(log)
    assert [event["event"] for event in said] == ["say", "epoch", "say", "epoch"]
    assert [event["number"] for event in said if event["event"] == "epoch"] == [1, 2]
    assert all(event["time"] > 0 for event in said)


def test_what_libraries_say_goes_to_the_log_and_not_to_the_person(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Converters that ran earlier in this process may have turned logging down for all.
    monkeypatch.setattr(logging.root.manager, "disable", logging.NOTSET)
    monkeypatch.setattr(logging.root, "level", logging.WARNING)
    logging.root.manager._clear_cache()  # type: ignore[attr-defined]
    log = tmp_path / "log.jsonl"
    with Console() as screen, Logged(screen, log) as console, quiet_libraries(console):
        logging.getLogger("somebody").warning("the %s is deprecated", "moon")
        warnings.warn("so is the sun", UserWarning, stacklevel=1)
        print("and the stars")
        with console.stage("teach", 1, 1):
            print("within a stage")
    library = [event for event in events(log) if event["event"] == "library"]
    assert library[0]["message"] == "the moon is deprecated"
    assert "so is the sun" in library[1]["message"]
    output = [(event["stage"], event["text"]) for event in events(log) if event["event"] == "output"]
    assert output == [("teach", "and the stars\nwithin a stage\n")]
    shown = capsys.readouterr()
    assert (shown.out, shown.err.splitlines()) == ("", ["[1/1] teach", "[1/1] teach  0 s"])
