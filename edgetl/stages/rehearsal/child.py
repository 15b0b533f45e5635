"""The process that goes the path, and whoever waits for it.

A converter that crashes, hangs or takes all memory ends the process and not the build. The two talk in lines of JSON:
what is being done, and at last the result or why there is none.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

from edgetl.config.recipe import Recipe
from edgetl.console.progress import Progress
from edgetl.errors import EnvironmentFault, UsageError
from edgetl.results.rehearsal import Rehearsal

__all__ = ["collect_rarely", "main", "run"]

LIMIT = 300.0
"""Seconds that one step of the path may take."""
_LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""With these variables a process joins a launcher's others, which this one is none of."""


def run(recipe: Recipe, folder: Path, progress: Progress, limit: float = LIMIT) -> Rehearsal:
    """Rehearse in a process of its own.

    Args:
        folder: the result of the data stage.
        limit: seconds that one step may take.

    Raises:
        UsageError: the path cannot be gone, or a step does not end, naming it.
        EnvironmentFault: the process cannot be started, or was killed, as happens without memory.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _LAUNCHER}
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        try:
            # Of a session of its own: Ctrl-C is this process's affair, which ends the other one.
            process = subprocess.Popen(
                _command(folder),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
                start_new_session=True,
            )
        except OSError as exc:
            raise EnvironmentFault(f"the rehearsal cannot be started: {exc.strerror}", place=sys.executable) from exc
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(recipe.model_dump_json(by_alias=True) + "\n")
                process.stdin.flush()
            return _result(process, progress, limit, errors)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with those that it started
            process.wait()
            process.stdout.close()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()


def _command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "edgetl.stages.rehearsal", str(folder)]


def _result(process: subprocess.Popen[str], progress: Progress, limit: float, errors: IO[str]) -> Rehearsal:
    """Listen until the process has said all."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    assert process.stdout is not None
    threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
    doing, number = "starting", 0
    while True:
        try:
            line = lines.get(timeout=limit)
        except queue.Empty:
            raise UsageError(
                f"rehearsal: {doing} did not end within {limit:.0f} s",
                hint="take another backbone, or leave this step out",
            ) from None
        if line is None:
            raise _died(process, doing, errors)
        message = _message(line)
        if "doing" in message:
            doing, number = str(message["doing"]), number + 1
            progress.event("rehearsal", doing=doing)
            progress.advance(f"rehearsal: {doing}", number, number + 1)
        elif "fault" in message:
            raise EnvironmentFault(f"rehearsal: {message['fault']}", hint=message["hint"])
        elif "failed" in message:
            raise UsageError(f"rehearsal: {message['failed']}", hint=message["hint"])
        elif "result" in message:
            return Rehearsal.from_json(json.dumps(message["result"]), place="rehearsal")


def _read(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    with contextlib.suppress(ValueError):  # closed meanwhile
        for line in stream:
            lines.put(line)
    lines.put(None)


def _message(line: str) -> dict[str, Any]:
    """What a line says; what a library printed says nothing."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _died(process: subprocess.Popen[str], doing: str, errors: IO[str]) -> UsageError | EnvironmentFault:
    code = process.wait()
    errors.seek(0)
    said = [line.strip() for line in errors.read().splitlines() if line.strip()]
    last = f"; its last line: {said[-1][:200]}" if said else ""
    if code == -9:
        return EnvironmentFault(
            f"rehearsal: {doing}: the process was killed, as the system does where memory ends{last}",
            hint="a smaller batch_size or image_size needs less memory",
        )
    return UsageError(f"rehearsal: {doing}: the process ended by itself ({code}){last}", hint="take another backbone")


def main() -> None:
    """What the process does: read the recipe, go the path, say how it ends. Dies with whoever started it."""
    from edgetl.stages.rehearsal.path import rehearse
    from edgetl.stages.rehearsal.steps import Failure

    collect_rarely()
    folder = Path(sys.argv[1])
    recipe = Recipe.model_validate_json(sys.stdin.readline())
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    said = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what converters print is no message

    def tell(**message: Any) -> None:
        said.write(json.dumps(message) + "\n")

    try:
        found = rehearse(recipe, folder, lambda doing: tell(doing=doing))
    except Failure as exc:
        tell(failed=exc.message, hint=exc.hint)
    except EnvironmentFault as exc:
        tell(fault=exc.message, hint=exc.hint)
    else:
        tell(result=json.loads(found.to_json()))


def collect_rarely() -> None:
    """Spare the converters a tenth of their time: they make millions of objects, and none of what is loaded is garbage."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _end_with_the_parent() -> None:
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)  # the group is this process's own: `run` made it so
