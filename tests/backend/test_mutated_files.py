"""A model file that changed is refused by its size or its sha256: the native loader, which may crash on it, never sees it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fakes.sessions import stub
from model_bundle import NAMES, make_bundle

from edgetl import runtime
from edgetl.runtime.backends import BACKENDS
from edgetl.runtime.errors import IntegrityError
from edgetl.runtime.manifest import Manifest

MUTATIONS = 100
"""Of each file."""


def flip(content: bytearray, random: np.random.Generator) -> bytearray:
    content[random.integers(len(content))] ^= 1 << random.integers(8)
    return content


def zero(content: bytearray, random: np.random.Generator) -> bytearray:
    start = int(random.integers(len(content)))
    end = start + int(random.integers(1, 200))
    before = bytes(content)
    content[start:end] = bytes(len(content[start:end]))
    return content if bytes(content) != before else flip(content, random)


def swap(content: bytearray, random: np.random.Generator) -> bytearray:
    place = int(random.integers(1, len(content) - 1))
    turned = content[place:] + content[:place]
    return turned if turned != content else flip(content, random)


def cut(content: bytearray, random: np.random.Generator) -> bytearray:
    return content[: random.integers(len(content))]


def grow(content: bytearray, random: np.random.Generator) -> bytearray:
    return content + random.bytes(int(random.integers(1, 50)))


KINDS: tuple[Callable[[bytearray, np.random.Generator], bytearray], ...] = (flip, zero, swap, cut, grow)


@pytest.mark.parametrize("backend", NAMES)
def test_no_mutated_file_reaches_a_native_loader(tmp_path: Path, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    models = tmp_path / "models"
    models.mkdir()
    bundle = make_bundle(tmp_path / "bundle", models)
    artifact = Manifest.load(bundle).artifact(f"tiny.fp32.{backend}")
    assert runtime.load(bundle, artifact.name).predict(bundle / "golden/0.png").label
    opened: list[Path] = []
    monkeypatch.setitem(BACKENDS, backend, stub(backend, lambda path, threads, options: opened.append(path)))
    for path in (artifact.path, *artifact.companions):
        good = (bundle / path).read_bytes()
        for seed in range(MUTATIONS):
            random = np.random.default_rng(seed)
            (bundle / path).write_bytes(KINDS[seed % len(KINDS)](bytearray(good), random))
            for source, name in ((bundle, artifact.name), (bundle / artifact.path, None)):
                with pytest.raises(IntegrityError, match=r"bytes with its companions|sha256 is"):
                    runtime.load(source, name)
        (bundle / path).write_bytes(good)
    assert opened == []
