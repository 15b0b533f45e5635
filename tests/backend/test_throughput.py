"""Throughput: a bundle's files, which take one image, written for several and held against what they were."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_bundle import make_bundle

import edgetl
from edgetl import cli
from edgetl.api import batches
from edgetl.api.batches import Written, batched
from edgetl.backends import converter
from edgetl.history import content_digest
from edgetl.runtime.backends import BACKENDS
from edgetl.runtime.manifest import Manifest


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "b", tmp_path_factory.mktemp("models"))


def _made(bundle: Path, folder: Path, *sizes: int) -> Written:
    return batched(bundle, Manifest.load(bundle), sizes, folder)


def test_each_image_gets_in_a_batch_what_it_gets_alone(bundle: Path, tmp_path: Path) -> None:
    manifest = Manifest.load(bundle)
    found = _made(bundle, tmp_path, 3, 8)
    assert found.refused == {}
    assert [(each.of, each.batch) for each in found.made] == [
        (artifact.name, batch) for artifact in manifest.artifacts for batch in (3, 8)
    ]
    for each in found.made:
        backend, before = BACKENDS[each.artifact.backend], manifest.artifact(each.of)
        alone = backend.open_session(bundle / before.path, 1, before.runtime_options)
        together = backend.open_session(each.folder / each.artifact.path, 1, before.runtime_options)
        images = np.random.default_rng(each.batch).integers(0, 256, together.input_shape, np.uint8)
        assert len(images) == each.batch
        expected = np.concatenate([alone.run(image[None]) for image in images])
        assert np.abs(expected - expected[::-1]).max() > 1e-3
        np.testing.assert_allclose(together.run(images), expected, atol=1e-6)
        files = [each.folder / name for name in (each.artifact.path, *each.artifact.companions)]
        assert each.artifact.bytes == sum(file.stat().st_size for file in files)
    (tmp_path / "again").mkdir()
    again = _made(bundle, tmp_path / "again", 3, 8)
    contents = [each.content for each in found.made]
    assert [each.content for each in again.made] == contents, "or no repetition would be known as one"
    own = [content_digest(each.sha256, {}) for each in manifest.artifacts]
    assert len({*contents, *own}) == len(contents) + len(own)


@pytest.mark.parametrize("wrong", ["the order", "a value", "the shape", "the file"])
def test_one_that_computes_something_else_is_refused_with_the_reason(
    bundle: Path, tmp_path: Path, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its runtime gives the images in another order, or one's numbers a little off; or it takes another batch."""
    entry, onnx = BACKENDS["onnx"], converter("onnx")
    opened = type(entry).open_session

    def open_session(self: Any, path: Path, *arguments: Any) -> Any:
        session: Any = opened(self, path, *arguments)
        if self.name == "onnx" and session.input_shape[0] == 4:
            run = session.run
            if wrong == "the order":
                session.run = lambda images: run(images)[::-1]
            if wrong == "a value":
                session.run = lambda images: run(images) + np.array([[0], [0], [2e-3], [0]], np.float32)
        return session

    def with_batch(path: Path, batch: int, folder: Path) -> Path:
        if wrong == "the file":
            raise RuntimeError("a bug of ours is no refusal")
        return written(path, batch if wrong != "the shape" else batch + 1, folder)

    written = onnx.with_batch
    monkeypatch.setattr(type(entry), "open_session", open_session)
    monkeypatch.setattr(onnx, "with_batch", with_batch)
    if wrong == "the file":
        with pytest.raises(RuntimeError, match="a bug of ours"):
            _made(bundle, tmp_path, 4)
        return
    found = _made(bundle, tmp_path, 4)
    said = (
        "takes [5, 8, 8, 3], expected a batch of 4"
        if wrong == "the shape"
        else "in a batch of 4 probabilities differ by"
    )
    ((name, why),) = found.refused.items()
    assert name == ("tiny.fp32.onnx", 4)
    assert said in why.message
    assert why.exit_code == 5
    assert {each.of for each in found.made} == {"tiny.fp32.openvino", "tiny.fp32.tflite"}


@pytest.mark.parametrize(("count", "batch", "turns"), [(2, 8, 1), (8, 2, 4), (3, 2, 2), (1, 1, 1), (5, 5, 1)])
def test_every_golden_image_is_in_some_batch(count: int, batch: int, turns: int) -> None:
    fillings = batches._fillings(count, batch)
    assert [len(filling) for filling in fillings] == [batch] * turns
    assert set(np.concatenate(fillings).tolist()) == set(range(count))


def test_bench_has_rows_for_batches_and_images_a_second(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["bench", str(bundle), "--quick", "--target", "local_cpu_1t", "--batch", "3", "--json"]
    monkeypatch.setattr(sys, "argv", ["edgetl", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert ended.value.code in (0, None), said.err
    latency = json.loads(said.out)["latency"]
    assert list(latency) == [artifact.name for artifact in Manifest.load(bundle).artifacts]
    for rows in latency.values():
        assert [row["batch"] for row in rows] == [1, 3]
        assert [row["images_per_second"] for row in rows] == pytest.approx(
            [1e3 * row["batch"] / row["p50_ms"] for row in rows]
        )


def test_a_batch_that_cannot_be_is_usage(bundle: Path) -> None:
    with pytest.raises(edgetl.EdgetlError, match="batch: got a batch of 0, expected at least 1") as caught:
        edgetl.bench(bundle, batches=[4, 0])
    assert caught.value.exit_code == 2
