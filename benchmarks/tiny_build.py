"""A small real build on rendered pictures, for benchmarks that break builds: a minute on one core, all three formats.

Networks that hardly learned anything are no better in int8 than by chance, so the gate on that lets everything pass here;
latencies are measured in one thread and a few runs. Everything else is as in every build.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgetl.files import sha256_of

RECIPE = """\
name: tiny
data: {{kind: skin_phantom, images: {images}, image_size: {size}}}
teacher: {{backbone: mobilenetv3_small_075, weights: none, epochs: {epochs}, batch_size: 8}}
student: {{backbone: mobilenetv3_small_050}}
distil: {{weights: [1.0], epochs: {epochs}, batch_size: 8}}
prune: {{macs: 0.7, epochs: {epochs}, batch_size: 8}}
quantize: {{images: 16, max_drop: 1.0}}
export: [{formats}]
targets: [one_thread]
"""
_PROGRAM = """
from edgetl.evidence import gates
from edgetl.runtime import measuring
gates.int8_collapse.__defaults__ = (1.0,)
measuring.EFFORTS["quick"] = measuring.Effort(rounds=2, runs=4, seconds=0.0, limit_s=1.0, warm_up_s=0.05)
{more}
from edgetl.cli import main
main()
"""
_TARGET = """\
name: one_thread
kind: local
threads: [1]
"""
FORMATS = ("onnx", "openvino", "tflite")


class TinyBuild:
    """A folder with a recipe, and the command line in it.

    environment: added to this process's, without its EDGETL_ variables.
    more: Python that is run before the command line.
    """

    def __init__(
        self,
        folder: Path,
        *,
        images: int = 70,
        size: int = 32,
        epochs: int = 1,
        formats: Sequence[str] = FORMATS,
        environment: dict[str, str] | None = None,
        more: str = "",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.store, self.run = folder, folder / ".edgetl", folder / "runs" / "tiny"
        self.recipe = folder / "tiny.yaml"
        text = RECIPE.format(images=images, size=size, epochs=epochs, formats=", ".join(formats))
        self.recipe.write_text(text, encoding="utf-8")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("EDGETL_")}
        self._environment, self._program = {**kept, **(environment or {})}, _PROGRAM.format(more=more)
        (folder / "targets").mkdir(exist_ok=True)
        (folder / "targets" / "one_thread.yaml").write_text(_TARGET, encoding="utf-8")

    def start(self, *words: str) -> subprocess.Popen[str]:
        """`edgetl build` with more words, running, in a process group of its own; stderr is kept."""
        command = [sys.executable, "-c", self._program, "build", str(self.recipe), *words]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def build(self, *words: str) -> tuple[int, str]:
        """`edgetl build` to its end; exit code and stderr."""
        process = self.start(*words)
        _, said = process.communicate()
        return process.returncode, said

    def damaged(self) -> list[dict[str, Any]]:
        """What `edgetl cache verify` finds wrong; it reads every file of the store."""
        words = [sys.executable, "-m", "edgetl", "cache", "verify", "--store", str(self.store), "--json"]
        done = subprocess.run(words, env=self._environment, capture_output=True, text=True, check=False)
        return [check for check in json.loads(done.stdout)["entries"] if check["problem"]]


def artefacts(run: Path) -> dict[str, str]:
    """sha256 of every model file and of its outputs on the golden pictures, by path in the bundle."""
    bundle = run / "bundle"
    paths = [path for part in ("models", "golden") for path in sorted((bundle / part).iterdir())]
    return {path.relative_to(bundle).as_posix(): sha256_of(path) for path in paths}


def events(run: Path) -> list[dict[str, Any]]:
    """The lines of log.jsonl; one that is cut off is left out."""
    try:
        lines = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def messages(said: str) -> list[str]:
    """The errors that a command printed, each in one line with its hint."""
    found: list[str] = []
    for line in said.splitlines():
        if line.startswith("error:"):
            found.append(line)
        elif found:
            found[-1] += f" {line.strip()}"
    return found
