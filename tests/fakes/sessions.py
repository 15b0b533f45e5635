"""A session without an inference runtime, and a backend that opens it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from edgetl.runtime.accelerators import CPU, Accelerator, Placement
from edgetl.runtime.backends import BACKENDS, Backend
from edgetl.runtime.bundle_files import Place

SIZE = 4


class FakeSession:
    """One bias a class, from a JSON file or its companion `.bin`, which is read when it is opened, as a runtime does.

    Probabilities are the softmax of the picture's mean red, green and blue plus the biases.
    """

    def __init__(self, path: Path, threads: int, options: Mapping[str, str], asked: Accelerator = CPU) -> None:
        content = json.loads(path.read_text())
        companion = path.with_suffix(".bin")
        self._bias = np.array(json.loads(companion.read_text()) if companion.is_file() else content["bias"], np.float32)
        self.input_shape = (1, content.get("size", SIZE), SIZE, 3)
        self.output_shape = (1, len(self._bias))
        self.given = (path, threads, dict(options))

    def run(self, image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        assert image.shape == self.input_shape
        scores = np.exp(image.mean(axis=(1, 2)) / np.float32(64) + self._bias)
        return np.asarray(scores / scores.sum(), np.float32)

    def describe(self) -> dict[str, str | float | None]:
        place = Placement("cpu", 1.0, "x").to_json()
        return {"runtime": "fake", "version": "1", "compute_precision": "float32", **place}


@dataclass(frozen=True)
class Stub(Backend):
    """A backend of the table whose runtime is two functions, on a machine without accelerators."""

    opens: Callable[[Path, int, Mapping[str, str]], Any] = FakeSession
    says: Callable[[], str] = lambda: "1"

    def open_session(
        self, path: Place, threads: int, options: Mapping[str, str], accelerator: Accelerator = CPU
    ) -> Any:
        if accelerator.name != "cpu" and accelerator.name not in self.there() and not accelerator.allow_fallback:
            raise accelerator.missing(self.there(), Path(path).name)
        return self.opens(Path(path), threads, options)

    def there(self) -> tuple[str, ...]:
        self.says()
        return ("cpu",)

    def version(self) -> str:
        return self.says()


def stub(name: str, opens: Callable[..., Any] = FakeSession, says: Callable[[], str] = lambda: "1") -> Stub:
    """The entry of `name` with another runtime."""
    return Stub(
        **{field.name: getattr(BACKENDS[name], field.name) for field in fields(Backend)}, opens=opens, says=says
    )
