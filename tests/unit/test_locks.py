"""Locks between real processes: one at a time, and none outlives its holder."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from edgetl.store import locked
from edgetl.store.locks import free, holder

HOLD = """
import sys
from pathlib import Path
from edgetl.store import locked
with locked(Path(sys.argv[1]), "computes teach", print):
    print("held", flush=True)
    sys.stdin.readline()
"""
# Not atomic on purpose: two that count at once lose counts.
COUNT = """
import sys, time
from pathlib import Path
from edgetl.store import locked
path = Path(sys.argv[1])
for _ in range(40):
    with locked(path / "locks" / "k", "counts", lambda line: None):
        number = int((path / "number").read_text())
        time.sleep(0.001)
        (path / "number").write_text(str(number + 1))
"""


def _holding(path: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", HOLD, str(path)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def _end(process: subprocess.Popen[str]) -> None:
    process.communicate()


def test_whoever_waits_says_for_whom_and_goes_on_when_the_other_ends(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "k"
    other = _holding(path)
    now = holder(path)
    assert now is not None
    assert (now.pid, now.doing) == (other.pid, "computes teach")
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        assert other.stdin is not None
        other.stdin.write("\n")  # the other one may end now
        other.stdin.flush()

    with locked(path, "computes teach", say):
        pass
    assert said == [f"waiting for another build (pid {other.pid} on {now.host}) that computes teach"]
    _end(other)
    assert not path.exists()


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "k"
    other = _holding(path)
    with free(path) as had:
        assert not had
    other.send_signal(signal.SIGKILL)
    _end(other)
    assert path.exists(), "its file stays behind"
    assert holder(path) is None
    said: list[str] = []
    with locked(path, "computes", said.append):
        pass
    assert said == []


def test_many_processes_at_one_lock_never_overlap(tmp_path: Path) -> None:
    (tmp_path / "number").write_text("0")
    words = [sys.executable, "-c", COUNT, str(tmp_path)]
    counters = [subprocess.Popen(words) for _ in range(4)]
    assert [counter.wait() for counter in counters] == [0] * 4
    assert (tmp_path / "number").read_text() == "160"
    assert not (tmp_path / "locks" / "k").exists()
