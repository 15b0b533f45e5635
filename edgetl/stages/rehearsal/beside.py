"""A second process for the format that takes longest: converters compute on one core, and most machines have two.

`python -m edgetl.stages.rehearsal.beside FOLDER` is that process. Whoever ends the rehearsal ends it too (`child`).
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetl.backends.trial_run import words
from edgetl.config.recipe import Recipe
from edgetl.errors import EnvironmentFault
from edgetl.models import spec
from edgetl.models.architecture import Network
from edgetl.results.document import validated
from edgetl.results.rehearsal import RehearsedFile
from edgetl.runtime.cores import usable_cores
from edgetl.stages.rehearsal.child import collect_rarely
from edgetl.stages.rehearsal.files import files_of
from edgetl.stages.rehearsal.steps import LESS, Steps

__all__ = ["all_files"]

_LONGEST = "tflite"
_RECIPE, _IMAGES, _ANSWER = "recipe.json", "images.npy", "files.json"


def all_files(recipe: Recipe, network: Network, images: NDArray[np.uint8], step: Steps) -> tuple[RehearsedFile, ...]:
    """What `files.files_of` gives, in less time where there is a second core."""
    if _LONGEST not in recipe.formats or len(recipe.formats) < 2 or usable_cores() < 2:
        return files_of(recipe, network, images, step)
    with tempfile.TemporaryDirectory() as name, _started(recipe, network, images, Path(name)) as process:
        others = [backend for backend in recipe.formats if backend != _LONGEST]
        here = files_of(recipe, network, images, step, formats=others)
        with step.of(f"{_LONGEST}: its files, made in another process"):
            return _ordered(recipe, (*here, *_answer(process, Path(name))))


@contextmanager
def _started(
    recipe: Recipe, network: Network, images: NDArray[np.uint8], folder: Path
) -> Iterator[subprocess.Popen[str]]:
    (folder / _RECIPE).write_text(recipe.model_dump_json(by_alias=True), encoding="utf-8")
    np.save(folder / _IMAGES, images)
    spec.save(network, folder)
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(_command(folder), stdin=subprocess.DEVNULL, stdout=said, stderr=said, text=True)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def _command(folder: Path) -> list[str]:
    return [sys.executable, "-m", __name__, str(folder)]


def _answer(process: subprocess.Popen[str], folder: Path) -> tuple[RehearsedFile, ...]:
    """What the process found; one that crashed is a file that cannot be made."""
    code = process.wait()
    if code == 0:
        answer = json.loads((folder / _ANSWER).read_text(encoding="utf-8"))
        if isinstance(answer, dict):
            raise EnvironmentFault(**answer)
        return tuple(validated(RehearsedFile, row) for row in answer)
    if code == -signal.SIGKILL:
        raise EnvironmentFault("the process was killed, as the system does where memory ends", hint=LESS)
    said = (folder / "said").read_text(encoding="utf-8", errors="replace")
    last = words(([line for line in said.splitlines() if line.strip()] or ["it said nothing"])[-1])
    problem = f"{_LONGEST}-fp32: the process that makes it ended by itself ({code}); its last line: {last}"
    return (RehearsedFile(f"{_LONGEST}-fp32", 0.0, 0, None, problem, None),)


def _ordered(recipe: Recipe, files: tuple[RehearsedFile, ...]) -> tuple[RehearsedFile, ...]:
    return tuple(file for backend in recipe.formats for file in files if file.name.rpartition("-")[0] == backend)


def _main(folder: Path) -> None:
    collect_rarely()
    recipe = Recipe.model_validate_json((folder / _RECIPE).read_text(encoding="utf-8"))
    network, images = spec.load(folder).eval(), np.load(folder / _IMAGES)
    try:
        files = files_of(recipe, network, images, Steps(lambda _: None), formats=[_LONGEST])
        answer: Any = [asdict(file) for file in files]
    except EnvironmentFault as exc:
        answer = {"message": exc.message, "hint": exc.hint}
    (folder / _ANSWER).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
