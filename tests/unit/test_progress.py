"""What a person sees while something runs, and what the log keeps."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path

import pytest

from edgetl.logs import quiet_libraries
from edgetl.progress import Console


def test_without_a_terminal_there_are_plain_lines_on_stderr_and_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with Console() as console:
        console.say("teacher: epoch 1/2")
        console.advance("teacher", 1, 2)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "teacher: epoch 1/2\n")


def test_the_log_keeps_lines_and_events_over_several_builds(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    for number in (1, 2):
        with Console(log) as console:
            console.say("hello")
            console.event("epoch", number=number, path=tmp_path)
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [event["event"] for event in events] == ["say", "epoch", "say", "epoch"]
    assert [event["number"] for event in events if event["event"] == "epoch"] == [1, 2]
    assert all(event["time"] > 0 for event in events)


def test_what_libraries_say_goes_to_the_log_and_not_to_the_person(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Converters that ran earlier in this process may have turned logging down for all.
    monkeypatch.setattr(logging.root.manager, "disable", logging.NOTSET)
    monkeypatch.setattr(logging.root, "level", logging.WARNING)
    logging.root.manager._clear_cache()  # type: ignore[attr-defined]
    log = tmp_path / "log.jsonl"
    with Console(log) as console, quiet_libraries(console):
        logging.getLogger("somebody").warning("the %s is deprecated", "moon")
        warnings.warn("so is the sun", UserWarning, stacklevel=1)
    said = [json.loads(line)["message"] for line in log.read_text(encoding="utf-8").splitlines()]
    assert said[0] == "the moon is deprecated"
    assert "so is the sun" in said[1]
    assert "moon" not in capsys.readouterr().err
