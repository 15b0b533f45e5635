"""A whole bundle whose artefacts are the tiny model in every format."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import tiny_models
from PIL import Image

from edgetl.runtime import labels
from edgetl.runtime.backends import BACKENDS
from edgetl.runtime.manifest import Artifact, Golden, Manifest, OperatingPoint, Precision, TensorSpec
from edgetl.runtime.preprocessing import Preprocessing, Resize, preprocess
from edgetl.runtime.sessions import Session

NAMES = sorted(BACKENDS)
PREPROCESSING = Preprocessing(Resize("crop", "bilinear", tiny_models.SIZE, tiny_models.SIZE))
LABELS = ("mel", "nv", "bkl")


@functools.cache
def model(folder: Path, backend: str) -> Path:
    return tiny_models.WRITERS[backend](folder / f"tiny{tiny_models.SUFFIXES[backend]}")


def open_tiny(models: Path, backend: str, threads: int = 1) -> Session:
    return BACKENDS[backend].open_session(model(models, backend), threads, tiny_models.OPTIONS[backend])


def make_bundle(folder: Path, models: Path) -> Path:
    """A bundle with the tiny model in all three formats and two golden pictures."""
    (folder / "models").mkdir(parents=True)
    (folder / "golden").mkdir()
    for name in (labels.NAME, labels.GOLDEN):
        (folder / name).write_text(labels.to_text(LABELS), newline="\n")
    for seed in range(2):
        pixels = np.random.default_rng(seed).integers(0, 256, (20, 30, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"golden/{seed}.png")
    images = tuple(f"golden/{seed}.png" for seed in range(2))
    tensors = np.stack([preprocess(folder / image, PREPROCESSING) for image in images])
    np.save(folder / "golden/tensors.npy", tensors)
    parts = []
    for backend in NAMES:
        source = model(models, backend)
        for path in source.parent.glob(f"tiny{source.suffix}"):
            shutil.copy(path, folder / "models")
        companions = ("models/tiny.bin",) if backend == "openvino" else ()
        for _ in companions:
            shutil.copy(source.with_suffix(".bin"), folder / "models")
        session = open_tiny(models, backend)
        np.save(folder / f"golden/{backend}.npy", np.concatenate([session.run(tensor[None]) for tensor in tensors]))
        parts.append((backend, f"models/{source.name}", companions))
    files = {path.relative_to(folder).as_posix(): sha(path) for path in folder.rglob("*") if path.is_file()}
    precision: Precision = "fp32"
    manifest = Manifest(
        edgetl="0.1.0",
        name="tiny",
        labels=LABELS,
        inputs=(TensorSpec("image", (1, 8, 8, 3), "uint8", "NHWC", "RGB"),),
        outputs=(TensorSpec("probabilities", (1, 3), "float32", "NC", "one a label"),),
        preprocessing=PREPROCESSING,
        artifacts=tuple(
            Artifact(
                name=f"tiny.fp32.{backend}",
                model="tiny",
                backend=backend,
                precision=precision,
                path=path,
                sha256=files[path],
                bytes=sum((folder / file).stat().st_size for file in (path, *companions)),
                companions=companions,
                runtime_options=tiny_models.OPTIONS[backend],
            )
            for backend, path, companions in parts
        ),
        operating_points=(
            OperatingPoint("tiny.fp32.onnx", "mel", 0.9, 0.0),
            OperatingPoint("tiny.fp32.onnx", "nv", 0.9, 1.0),
        ),
        golden=Golden(
            images=images,
            tensors="golden/tensors.npy",
            expected={f"tiny.fp32.{backend}": f"golden/{backend}.npy" for backend in NAMES},
            tolerance={"fp32": 1e-4},
        ),
        stand_in=None,
        files=files,
        provenance={},
    )
    (folder / "bundle.json").write_text(json.dumps(manifest.to_json()), "utf-8")
    return folder


def sha(path: Path) -> str:
    """In hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
