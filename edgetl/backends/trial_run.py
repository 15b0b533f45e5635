"""Does a file that was just written work? It is opened in its own runtime and run over a few images.

In a process of its own (half a second to two, most of it the runtime's import): a runtime that crashes takes that one along,
and not the build. `python -m edgetl.backends.trial_run` is that process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgetl.errors import ArtifactError, EdgetlError, EnvironmentFault, MissingRuntime
from edgetl.errors.wording import without_folders
from edgetl.runtime.backends import BACKENDS

__all__ = ["IMAGES", "outputs", "works"]

IMAGES = 4
"""So many tell a file that answers from one that does not."""

TELLING = 0.05
"""Where a network's probabilities differ by more over some images, int8 tells these apart too."""

_TIMEOUT_S = 600.0


def works(
    path: Path,
    backend: str,
    images: npt.NDArray[np.uint8],
    options: Mapping[str, str] | None = None,
    expected: npt.NDArray[np.float32] | None = None,
) -> None:
    """Return when a file loads in its runtime, gives finite numbers, and not the same ones for different images.

    Args:
        path: the main file; its stem is what errors call it.
        backend: of the table.
        images: uint8 [N, H, W, 3], as the input takes them; some are enough (`IMAGES`).
        options: the runtime's own; without them those that the table has for a precision that the stem ends with.
        expected: float32 [N, C], what the network says of them before it is converted. Where it says the same of all images,
            within what 8 bits can hold (an untrained network does), the file may too.

    Raises:
        ArtifactError: it does not, or its runtime crashed; names file, reason and, where the runtime does, the operator.
        MissingRuntime: the runtime is not installed.
        EnvironmentFault: the process was killed from outside, as by a system that is out of memory.
    """
    if options is None:
        options = BACKENDS[backend].runtime_options.get(path.stem.rpartition("-")[2], {})
    got = outputs(path, backend, images, options)
    if not np.isfinite(got).all():
        raise ArtifactError(f"{path.stem}: gives numbers that are not finite", hint=_AGAINST)
    varies = expected is None or bool(np.ptp(expected, axis=0).max() > TELLING)
    if varies and (images != images[:1]).any() and (got == got[:1]).all():
        raise ArtifactError(
            f"{path.stem}: gives the same probabilities for {len(images)} different images", hint=_AGAINST
        )


_AGAINST = "the network itself does not: its conversion went wrong"


def outputs(
    path: Path, backend: str, images: npt.NDArray[np.uint8], options: Mapping[str, str]
) -> npt.NDArray[np.float32]:
    """Probabilities float32 [N, C] from another process; arguments and errors as `works` has them."""
    package = import_module("edgetl.runtime").__path__[0]
    search = os.pathsep.join(filter(None, [str(Path(package).parents[1]), os.environ.get("PYTHONPATH", "")]))
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as said:
        np.save(Path(folder, "images.npy"), images)
        order = json.dumps([BACKENDS[backend].session, str(path.absolute()), dict(options)])
        try:
            done = subprocess.run(
                [sys.executable, "-m", __name__, folder, order],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env={**os.environ, "PYTHONPATH": search},
                timeout=_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ArtifactError(f"{path.stem}: did not answer within {_TIMEOUT_S:.0f} s") from None
        answer = Path(folder, "answer.json")
        if done.returncode == 0 and answer.is_file():
            _raise(json.loads(answer.read_text(encoding="utf-8")), path)
            got: npt.NDArray[np.float32] = np.load(Path(folder, "outputs.npy"))
            return got
        said.seek(0)
        raise _died(path, done.returncode, said.read().decode("utf-8", "replace"))


def _raise(answer: Mapping[str, Any], path: Path) -> None:
    """The error that the other process met, if any, as one of this one."""
    if answer.get("kind") == MissingRuntime.__name__:
        raise MissingRuntime(answer["message"], hint=answer["hint"])
    if answer:
        raise ArtifactError(f"{path.stem}: {words(answer['message'])}")


def words(message: str) -> str:
    """What a runtime says, on one line of bounded length, without the folders of this machine."""
    return " ".join(without_folders(message).split())[:400]


def _died(path: Path, code: int, said: str) -> EdgetlError:
    last = words(([line for line in said.splitlines() if line.strip()] or ["it said nothing"])[-1])
    if -code == signal.SIGKILL or any(sign in last for sign in ("MemoryError", "bad_alloc")):
        return EnvironmentFault(f"out of memory while {path.stem} was tried", hint="finished stages are kept")
    if code == 1:  # an exception that no session translates
        return ArtifactError(f"{path.stem}: does not run: {last}")
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return ArtifactError(f"{path.stem}: crashes its runtime: the process that tried it {how}; its last line: {last}")


def _main(folder: str, order: str) -> None:
    """Run a file over `images.npy`: `outputs.npy` is what came out, and `answer.json` the error, or empty."""
    session, path, options = json.loads(order)
    answer: dict[str, Any] = {}
    try:
        opened = import_module(session, "edgetl.runtime").open_session(Path(path), 1, options)
        images = np.load(Path(folder, "images.npy"))
        np.save(Path(folder, "outputs.npy"), np.concatenate([opened.run(image[None]).copy() for image in images]))
    except EdgetlError as exc:
        answer = {"kind": type(exc).__name__, "message": exc.message, "hint": exc.hint}
    Path(folder, "answer.json").write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    _main(*sys.argv[1:])
