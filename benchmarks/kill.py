"""kill -9 at random moments of a build, then the same command again: is the result that of a build nobody interrupted?

    python -m benchmarks.kill [--kills 30] [--work DIR]

A moment is drawn from the log of an uninterrupted build: an event of it, and how long after it. At least 10 moments lie
between two epochs' ends, inside a training epoch; checkpoints within an epoch come ten times a second here, not every 45 s. The
whole process group is killed. Afterwards `edgetl cache verify` must find nothing, the same command must end well, and
every model file and its outputs on the golden pictures must be those of the uninterrupted build.

Each kill is stored in DIR as it ends and is not repeated; several of these may run at once with one DIR.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.markdown import made_by
from benchmarks.provenance import provenance
from benchmarks.tiny_build import FORMATS, TinyBuild, artefacts, events, messages
from edgetl.files import write_whole
from edgetl.store import locked
from edgetl.store.locks import free

RESULT = Path(__file__).parent / "results" / "kill.json"
IN_EPOCHS = 10
_SEED = 20_261
# The epochs are too short for a checkpoint every 45 seconds.
_OFTEN = """
from edgetl.training import checkpoint_schedule
checkpoint_schedule.SAVE_SECONDS, checkpoint_schedule._LARGEST_SHARE = 0.1, 1.0
"""
_SETTINGS: dict[str, Any] = {"images": 560, "size": 64, "epochs": 3, "formats": FORMATS}


def main() -> None:
    """Do the kills that are not done yet, then write the result file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "edgetl-kill")
    arguments = parser.parse_args()
    work: Path = arguments.work
    with locked(work / "locks" / "reference", "builds the reference", print):
        reference = _kept(work / "reference.json") or _reference(work)
    for number in range(arguments.kills):
        cell = work / f"kill-{number:02d}.json"
        with free(work / "locks" / cell.stem) as ours:
            if not ours or cell.is_file():
                continue
            done = _kill(work / cell.stem, _moment(reference["log"], number), reference["artefacts"])
            _keep(cell, done)
            print(f"kill {number}: {json.dumps(done)}", flush=True)
    cells = [_kept(work / f"kill-{number:02d}.json") for number in range(arguments.kills)]
    kills = [cell for cell in cells if cell]
    with locked(work / "locks" / "result", "writes the result", print):
        document = {**provenance("benchmarks.kill"), "build": _SETTINGS, "seconds": reference["seconds"]}
        document |= {"seed": _SEED, "kills": kills, "summary": _summary(kills)}
        RESULT.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(RESULT)


def _reference(work: Path) -> dict[str, Any]:
    """A build that nobody interrupts: its artefacts and the times of its events."""
    tiny = _tiny(work / "reference")
    code, said = tiny.build()
    if code != 0:
        raise SystemExit(said)
    log = [event for event in events(tiny.run) if _name(event)]
    found = {
        "artefacts": artefacts(tiny.run),
        "seconds": log[-1]["time"] - log[0]["time"],
        "log": [{"name": _name(event), "at": event["time"] - log[0]["time"]} for event in log],
    }
    _keep(work / "reference.json", found)
    shutil.rmtree(tiny.folder)
    return found


def _tiny(folder: Path) -> TinyBuild:
    return TinyBuild(folder, **_SETTINGS, more=_OFTEN)


def _name(event: dict[str, Any]) -> str:
    """What tells an event of one build from every other one of it; empty for those that come at no fixed place."""
    if event["event"] in ("stage", "stage_end"):
        return f"{event['event']} {event['name']}"
    if event["event"] == "epoch":
        return f"epoch {event['epoch']} of {event['label']}"
    return ""


def _moment(log: list[dict[str, Any]], number: int) -> dict[str, Any]:
    """The event to wait for and the seconds to wait after it; the first `IN_EPOCHS` ones lie inside an epoch."""
    draw = random.Random(_SEED + number)
    spans = list(_epochs(log)) if number < IN_EPOCHS else [(0.0, log[-1]["at"])]
    begin, end = draw.choices(spans, [end - begin for begin, end in spans])[0]
    at = draw.uniform(begin, end)
    last = max((event for event in log if event["at"] <= at), key=lambda event: event["at"])
    return {"after": last["name"], "seconds": at - last["at"], "in_epoch": number < IN_EPOCHS}


def _epochs(log: list[dict[str, Any]]) -> Iterator[tuple[float, float]]:
    """From one epoch's end to the next one's of the same training: nothing but an epoch lies between them."""
    for one, other in itertools.pairwise(log):
        of, and_of = one["name"].partition(" of ")[2], other["name"].partition(" of ")[2]
        if of and of == and_of:
            yield one["at"], other["at"]


def _kill(folder: Path, moment: dict[str, Any], expected: dict[str, str]) -> dict[str, Any]:
    """One build that is killed, and then built to its end."""
    shutil.rmtree(folder, ignore_errors=True)  # of a benchmark that was itself interrupted
    tiny = _tiny(folder)
    process = tiny.start()
    began = time.monotonic()
    while process.poll() is None and moment["after"] not in [_name(event) for event in events(tiny.run)]:
        time.sleep(0.02)
    time.sleep(moment["seconds"])
    was_running = process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    seconds = time.monotonic() - began
    log = events(tiny.run)
    named = [_name(event) for event in log if _name(event)]
    damaged = tiny.damaged()
    code, said = tiny.build()
    later = events(tiny.run)[len(log) :]
    found = artefacts(tiny.run) if code == 0 else {}
    differing = sorted(path for path in expected if found.get(path) != expected[path])
    result = {
        **moment,
        "was_running": was_running,
        "killed_after_seconds": round(seconds, 1),
        "last_event": named[-1] if named else None,
        "still_in_epoch": moment["in_epoch"] and named[-1:] == [moment["after"]],
        "damaged": len(damaged),
        "resumed": [event["message"] for event in later if "going on" in event.get("message", "")],
        "exit_code": code,
        "messages": messages(said),
        "differing": differing,
        "equal": code == 0 and not differing and set(found) == set(expected),
    }
    shutil.rmtree(folder)
    return result


def _kept(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _keep(path: Path, document: dict[str, Any]) -> None:
    write_whole(path, json.dumps(document, indent=1))


def _summary(kills: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "kills": len(kills),
        "inside_an_epoch": sum(kill["still_in_epoch"] or _went_on_inside(kill) for kill in kills),
        "went_on_inside_an_epoch": sum(_went_on_inside(kill) for kill in kills),
        "of_a_running_build": sum(kill["was_running"] for kill in kills),
        "resumed": sum(kill["exit_code"] == 0 for kill in kills),
        "equal": sum(kill["equal"] for kill in kills),
        "damaged_entries": sum(kill["damaged"] for kill in kills),
    }


def _went_on_inside(kill: dict[str, Any]) -> bool:
    return any("going on in epoch" in line for line in kill["resumed"])


def render(result: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    summary = result["summary"]
    return (
        "## kill -9\n\n"
        f"{made_by(result)}\n"
        f"{summary['kills']} builds were killed with `kill -9` at random moments, {summary['inside_an_epoch']} of them in "
        f"an epoch. The same command again went on inside an epoch in {summary['went_on_inside_an_epoch']} of them, "
        f"and {summary['resumed']} ended well, {summary['equal']} with the same model files and outputs, byte for byte, as "
        f"a build that nobody interrupted; {summary['damaged_entries']} stored results were damaged.\n"
    )


if __name__ == "__main__":
    main()
