"""The bundle: what goes onto a device, put together beside its place and checked by reading it back."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgetl import __version__
from edgetl.backends import contract
from edgetl.config.loading import Loaded
from edgetl.data.layout import pictures_of
from edgetl.errors import EdgetlError
from edgetl.evidence.gates import FP32_NOISE
from edgetl.files import sha256_of
from edgetl.report.card import model_card
from edgetl.report.recommending import recommended
from edgetl.results.artifacts import CalibratedArtifact, Calibration
from edgetl.results.report import Report
from edgetl.runtime import labels as label_files
from edgetl.runtime import manifest as manifests
from edgetl.runtime.manifest import Golden, Manifest, OperatingPoint, TensorSpec
from edgetl.stages.common import sources
from edgetl.stages.common.settings import preprocessing_after
from edgetl.stages.common.tools import tool_versions

# How far another processor may be off: fp32 sums in another order give 1e-6; int8 kernels round ties in their own way, and
# a tie that falls elsewhere early in the network moves a probability by some hundredths.
GOLDEN_TOLERANCE = {"fp32": 1e-4, "int8": 0.05}
_SENSITIVITY = 0.90
_NAME_ENDS = rb"(?![\w.-])"
"""Behind a folder: /home/al is not in /home/alice."""


def write(loaded: Loaded, folders: Mapping[str, Path], report: Report, bundle: Path) -> Manifest:
    """Write a whole bundle into a folder that does not exist yet; its manifest, read back.

    Args:
        folders: of the finished stages, by name.
        report: for labels and the model card.
    """
    bundle.mkdir(parents=True)
    labels = tuple(report.data.classes)
    (bundle / label_files.NAME).write_text(label_files.to_text(labels), encoding="utf-8", newline="\n")
    (bundle / "MODEL_CARD.md").write_text(model_card(report), encoding="utf-8")
    calibrated = list(_shipped(loaded, folders, report, bundle))
    tolerance = dict(GOLDEN_TOLERANCE)
    if any(gate.name == "fp32_parity" for gate in report.not_passed("warn")):
        tolerance["fp32"] = (
            FP32_NOISE  # a runtime whose own arithmetic does that to PyTorch does it to another processor
        )
    golden = _golden(labels, folders, calibrated, bundle, tolerance)
    files = {path.relative_to(bundle).as_posix(): sha256_of(path) for path in _files(bundle)}
    size = loaded.recipe.data.image_size
    manifest = Manifest(
        name=loaded.recipe.name,
        labels=labels,
        inputs=(TensorSpec(contract.INPUT, (1, size, size, 3), "uint8", "NHWC", "one RGB picture, preprocessed"),),
        outputs=(TensorSpec(contract.OUTPUT, (1, len(labels)), "float32", "NC", "probability of each label; sum 1"),),
        preprocessing=preprocessing_after(loaded.recipe.data, folders["data"]),
        artifacts=tuple(each.artifact for each in calibrated),
        operating_points=tuple(
            OperatingPoint(each.artifact.name, label, _SENSITIVITY, threshold)
            for each in calibrated
            for label, threshold in each.thresholds.items()
        ),
        golden=golden,
        stand_in=loaded.stand_in,
        files=files,
        provenance=_provenance(loaded, report),
        edgetl=__version__,
        recommended=chosen.name if (chosen := recommended(report)) else None,
    )
    text = json.dumps(manifest.to_json(), indent=1, ensure_ascii=False)
    (bundle / manifests.NAME).write_text(text + "\n", encoding="utf-8")
    _refuse_private(bundle, loaded)
    return Manifest.load(bundle)


def _shipped(loaded: Loaded, folders: Mapping[str, Path], report: Report, bundle: Path) -> Iterator[CalibratedArtifact]:
    """The artefacts of the report, their files copied."""
    names = {artifact.name for artifact in report.artifacts}
    (bundle / "models").mkdir()
    for folder in (folders[f"calibrate.{backend}"] for backend in loaded.recipe.formats):
        for each in Calibration.read(folder).artifacts:
            if each.artifact.name in names:
                for path in (each.artifact.path, *each.artifact.companions):
                    shutil.copy2(folder / path, bundle / path)
                yield each


def _golden(
    labels: Sequence[str],
    folders: Mapping[str, Path],
    calibrated: Sequence[CalibratedArtifact],
    bundle: Path,
    tolerance: Mapping[str, float],
) -> Golden:
    shutil.copytree(folders["evaluate"] / "golden", bundle / "golden")
    expected = {}
    for artifact in (each.artifact for each in calibrated):
        name, computed = artifact.name, folders[f"verify.{artifact.backend}"] / "golden"
        shutil.copy2(computed / f"{name}.npy", bundle / "golden")
        shutil.copy2(computed / "labels.txt", bundle / label_files.GOLDEN)
        label_files.require_same(bundle, label_files.GOLDEN, labels)
        expected[name] = f"golden/{name}.npy"
    images = tuple(f"golden/{path.name}" for path in sorted((bundle / "golden").glob("*.png")))
    return Golden(images, "golden/tensors.npy", expected, tolerance)


def _provenance(loaded: Loaded, report: Report) -> Mapping[str, Any]:
    return {
        "recipe": report.recipe,
        "seed": loaded.recipe.seed,
        "tools": tool_versions(loaded.recipe.formats),
        "stages": {stage.name: stage.key for stage in report.stages},
        **({"missing": [asdict(each) for each in report.missing]} if report.missing else {}),
    }


def _files(bundle: Path) -> list[Path]:
    return sorted(path for path in bundle.rglob("*") if path.is_file())


def _refuse_private(bundle: Path, loaded: Loaded) -> None:
    """Look inside every file for where it was made and from what: exporters embed paths, and nobody looks there."""
    root = loaded.data_root
    data = (
        [root.parent if root.is_file() else root, pictures_of(root, sources.layout(loaded.recipe.data))] if root else []
    )
    roots = [Path.home(), loaded.project, *data, Path(__file__).parents[3]]
    needles = {os.fsencode(root.resolve()) for root in roots if len(root.resolve().parts) > 2}
    for path in _files(bundle):
        content = path.read_bytes()
        embedded = [os.fsdecode(needle) for needle in needles if re.search(re.escape(needle) + _NAME_ENDS, content)]
        if embedded:
            raise EdgetlError(f"contains the path {embedded[0]}, which must not leave this machine", place=path.name)
