"""Calibrate: the finished artefacts of one format, each with its own temperature and thresholds.

Quantization moves confidences, so each file is run on validation in its own runtime, its temperature is fitted there and
baked in, and only then is the file hashed. Writes `models/` and `artifacts.json`.
"""

from __future__ import annotations

import functools
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.backends import converter
from edgetl.config.recipe import Recipe
from edgetl.files import sha256_of
from edgetl.runtime.backends import BACKENDS
from edgetl.stages.common import needs
from edgetl.stages.common.one_by_one import Files
from edgetl.stages.common.stage import Context, Stage

if TYPE_CHECKING:
    from edgetl.data.table import DataTable
    from edgetl.results.artifacts import CalibratedArtifact
    from edgetl.runtime.manifest import Precision

_MAKERS: tuple[tuple[Precision, str], ...] = (("fp32", "export"), ("int8", "quantize"))


def stage(backend: str) -> Stage:
    """The calibrate stage of one format."""

    def run(context: Context) -> None:
        from edgetl.data.table import DataTable
        from edgetl.results.artifacts import Calibration, LeftOut

        table = DataTable.load(context.inputs["data"], ("val",))
        models = context.folder / "models"
        models.mkdir()
        sources = {
            one: context.inputs[f"{maker}.{backend}"]
            for one, maker in _MAKERS
            if f"{maker}.{backend}" in context.inputs
        }
        files = Files(context, "calibrate", models, LeftOut.of(list(sources.values())[-1]))
        finished = []
        for precision, source in sources.items():
            name = f"{backend}-{precision}"
            if files.lacks(name, f"{backend}-fp32"):
                continue
            with files.making(name):
                for path in sorted(source.glob(f"{name}.*")):
                    shutil.copy2(path, models)
                finished.append(_calibrated(context, table, backend, precision, models))
        Calibration(tuple(finished), tuple(files.missing)).write(context.folder)

    def settings(recipe: Recipe) -> object:
        preprocessing = {"image_size": recipe.data.image_size, "resize": recipe.data.resize.model_dump()}
        return {**preprocessing, "pruned": recipe.prune is not None}

    reads = (*needs.originals("val"), f"export.{backend}", f"quantize.{backend}")
    return Stage(
        f"calibrate.{backend}",
        4,
        reads,
        settings,
        (*needs.DECODING_TOOLS, *needs.EVIDENCE_TOOLS, *BACKENDS[backend].tools),
        run,
        lambda recipe: recipe.makes(backend, "fp32"),
    )


def _calibrated(
    context: Context, table: DataTable, backend: str, precision: Precision, models: Path
) -> CalibratedArtifact:
    """Bake the temperature into a file of the folder `models`; it ends as what the bundle will hold."""
    import numpy as np

    from edgetl.data import originals
    from edgetl.evidence.calibration import fit_temperature, operating_points, softmax
    from edgetl.results.artifacts import CalibratedArtifact
    from edgetl.runtime.manifest import Artifact
    from edgetl.stages.common.predict import BuiltFile, outputs
    from edgetl.stages.common.settings import preprocessing_after

    path = models / f"{backend}-{precision}{BACKENDS[backend].suffix}"
    options = dict(BACKENDS[backend].runtime_options.get(precision, {}))
    labels = table.labels("val")
    advance = functools.partial(context.progress.advance, f"calibrate {path.stem}")
    preprocessing = preprocessing_after(context.recipe.data, context.inputs["data"])
    session = {path.stem: BuiltFile(backend, path, options)}
    digests = originals.read(context.inputs["data"], "val")
    records = table.of("val")
    probabilities = outputs(session, context.data_root, records, preprocessing, advance, digests)[path.stem]
    del session  # the file is about to change
    # Log probabilities are the logits up to a constant per image, which the softmax takes out again.
    scores = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    temperature = fit_temperature(scores, labels)
    converter(backend).set_temperature(path, temperature)
    companions = [other for other in sorted(path.parent.glob(f"{path.stem}.*")) if other != path]
    artifact = Artifact(
        name=path.stem,
        model="pruned" if context.recipe.prune else "student",
        backend=backend,
        precision=precision,
        path=f"models/{path.name}",
        sha256=sha256_of(path),
        bytes=sum(file.stat().st_size for file in (path, *companions)),
        companions=tuple(f"models/{other.name}" for other in companions),
        temperature=temperature,
        runtime_options=options,
    )
    reference = None if precision == "fp32" else f"{backend}-fp32"
    thresholds = operating_points(softmax(scores, temperature), labels, table.classes)
    return CalibratedArtifact(artifact, reference, thresholds)
