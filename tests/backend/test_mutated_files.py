"""A model file that changed is refused by its size or its sha256: the native loader, which may crash on it, never sees it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.sessions import stub
from model_bundle import NAMES, make_bundle

from benchmarks.mutated_models import mutated
from edgetl import runtime
from edgetl.runtime.backends import BACKENDS
from edgetl.runtime.errors import IntegrityError
from edgetl.runtime.manifest import Manifest

COUNT = 100
"""Of each file."""


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
        for seed in range(COUNT):
            (bundle / path).write_bytes(mutated(good, seed))
            for source, name in ((bundle, artifact.name), (bundle / artifact.path, None)):
                with pytest.raises(IntegrityError, match=r"bytes with its companions|sha256 is"):
                    runtime.load(source, name)
        (bundle / path).write_bytes(good)
    assert opened == []
