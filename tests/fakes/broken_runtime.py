"""A runtime whose files say in one word how they break; another process imports it by its name."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgetl.runtime.accelerators import CPU, Accelerator
from edgetl.runtime.errors import IntegrityError, MissingRuntime

SUFFIX = ".broken"


class _Session:
    input_shape = (1, 4, 4, 3)
    output_shape = (1, 2)

    def __init__(self, word: str) -> None:
        self._word = word

    def run(self, image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        share = np.float32(image.mean() / 255)
        if self._word == "zero":
            raise ZeroDivisionError("integer division or modulo by zero")
        values = {"nan": [np.nan, share], "constant": [0.25, 0.75]}.get(self._word, [share, 1 - share])
        return np.array([values], np.float32)


def version() -> str:
    """Of nothing."""
    return "1"


def accelerators() -> tuple[str, ...]:
    """None but the CPU."""
    return ("cpu",)


def open_session(path: Path, threads: int, options: Mapping[str, str], accelerator: Accelerator = CPU) -> _Session:
    """Break as the file says, or open it."""
    word = path.read_text()
    if word == "damaged":
        raise IntegrityError(f"does not load: node 3 (DIV) of {path}", place=str(path))
    if word == "absent":
        raise MissingRuntime("needs a runtime", hint="pip install it")
    if word == "memory":
        raise MemoryError
    if word in ("SIGSEGV", "SIGKILL"):
        print("the last words", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.Signals[word])
    return _Session(word)
