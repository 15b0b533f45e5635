"""Progress for programs: typed events, and whoever prints them is seen while libraries are not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgetl.console.capture import captured
from edgetl.console.events import (
    Advanced,
    Event,
    Recorded,
    Said,
    StageEnded,
    StageStarted,
    Warned,
    reporting_to,
)
from edgetl.console.progress import Console, Progress, Silent


def _report(progress: Progress) -> None:
    progress.warn("careful")
    with progress.stage("teach", 2, 5):
        progress.advance("epoch 1/2", 3, 8)
        progress.say("epoch 1/2  loss 0.3")
        progress.event("epoch", epoch=1, loss=0.3)


def test_a_function_gets_typed_events_in_their_order() -> None:
    events: list[Event] = []
    with reporting_to(events.append) as progress:
        _report(progress)
    ended = events.pop()
    assert events == [
        Warned("careful"),
        StageStarted("teach", 2, 5),
        Advanced("epoch 1/2", 3, 8),
        Said("epoch 1/2  loss 0.3"),
        Recorded("epoch", {"epoch": 1, "loss": 0.3}),
    ]
    assert isinstance(ended, StageEnded)
    assert (ended.name, ended.number, ended.total, ended.completed) == ("teach", 2, 5, True)
    assert ended.seconds >= 0


def test_a_stage_that_an_error_ends_is_not_completed() -> None:
    events: list[Event] = []
    with pytest.raises(KeyboardInterrupt), reporting_to(events.append) as progress, progress.stage("teach", 1, 1):
        raise KeyboardInterrupt
    assert isinstance(events[-1], StageEnded)
    assert not events[-1].completed


def test_nobody_and_a_progress_are_taken_as_they_are() -> None:
    console = Console(quiet=True)
    with reporting_to(console) as progress:
        assert progress is console
    with reporting_to(None) as progress:
        assert isinstance(progress, Silent)


def test_an_error_of_the_listener_ends_what_it_listens_to() -> None:
    def listen(event: Event) -> None:
        raise LookupError(str(event))

    with pytest.raises(LookupError, match="careful"), reporting_to(listen) as progress:
        progress.warn("careful")


# In a process of its own: only there do stdout and stderr stand on descriptors 1 and 2.
LISTENING = """
import os, sys
from pathlib import Path
from edgetl.console.capture import captured
from edgetl.console.events import Said, reporting_to
from edgetl.console.log import Logged

def listen(event):
    if isinstance(event, Said):
        print("heard", event.message)
        print("noted", event.message, file=sys.stderr)

with reporting_to(listen) as told, Logged(told, Path(sys.argv[1])) as progress:
    print("NOISE")
    progress.say("one")
    with captured():
        os.write(1, b"NOISE of C\\n")
        progress.say("two")
print("after")
"""


def test_what_a_listener_prints_is_seen_while_libraries_are_not(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    words = [sys.executable, "-W", "always::ResourceWarning", "-c", LISTENING, str(log)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == "heard one\nheard two\nafter\n"
    assert done.stderr == "noted one\nnoted two\n"
    assert "NOISE of C" in log.read_text()


def test_a_listener_of_a_notebook_prints_where_the_notebook_does(capsys: pytest.CaptureFixture[str]) -> None:
    """Its streams are no files, as those of capsys are none."""
    with reporting_to(lambda event: print(event)) as progress, captured() as log:
        print("NOISE")
        progress.say("one")
    assert capsys.readouterr() == ("Said(message='one')\n", "")
    assert log.text() == "NOISE\n"
