"""Calibrate: the finished artefacts of one format, each with its own temperature and thresholds.

Quantization moves confidences, so each file is run on validation in its own runtime, its temperature is fitted there and
baked in, and only then is the file hashed. Writes `models/` and `artifacts.json`.
"""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetl.backends import BACKENDS
from edgetl.config.recipe import Format, Recipe
from edgetl.files import sha256_of
from edgetl.stages.common import needs
from edgetl.stages.common.stage import Context, Stage
from edgetl.stages.export import SUFFIX

if TYPE_CHECKING:
    from edgetl.data.table import DataTable


def stage(backend: Format) -> Stage:
    """The calibrate stage of one format."""

    def run(context: Context) -> None:
        from edgetl.data.table import DataTable

        table = DataTable.load(context.inputs["data"], ("val",))
        models = context.folder / "models"
        models.mkdir()
        found = []
        for source in (f"export.{backend}", f"quantize.{backend}"):
            if source in context.inputs:
                found += [
                    Path(shutil.copy2(path, models)) for path in sorted(context.inputs[source].glob(f"{backend}-*"))
                ]
        finished = [
            _calibrated(context, table, backend, path) for path in sorted(found) if path.suffix == SUFFIX[backend]
        ]
        (context.folder / "artifacts.json").write_text(json.dumps(finished, indent=1), encoding="utf-8")

    def settings(recipe: Recipe) -> object:
        preprocessing = {"image_size": recipe.data.image_size, "resize": recipe.data.resize.model_dump()}
        return {**preprocessing, "pruned": recipe.prune is not None}

    reads = (*needs.originals("val"), f"export.{backend}", f"quantize.{backend}")
    return Stage(
        f"calibrate.{backend}",
        1,
        reads,
        settings,
        (*needs.DECODING_TOOLS, *BACKENDS[backend].TOOLS),
        run,
        lambda recipe: backend in recipe.export,
    )


def _calibrated(context: Context, table: DataTable, backend: Format, path: Path) -> dict[str, Any]:
    """Bake the temperature into a file; its artefact as in the manifest, and thresholds by class."""
    import numpy as np

    from edgetl.data import originals
    from edgetl.evidence.calibration import fit_temperature, operating_points, softmax
    from edgetl.stages.common.predict import open_file, outputs
    from edgetl.stages.common.settings import preprocessing_of

    precision = path.stem.removeprefix(f"{backend}-")
    options = dict(BACKENDS[backend].RUNTIME_OPTIONS.get(precision, {}))
    labels = table.labels("val")
    advance = functools.partial(context.progress.advance, f"calibrate {path.stem}")
    preprocessing = preprocessing_of(context.recipe.data)
    session = {path.stem: open_file(backend, path, options)}
    digests = originals.read(context.inputs["data"], "val")
    records = table.of("val")
    probabilities = outputs(session, context.data_root, records, preprocessing, advance, digests)[path.stem]
    del session  # the file is about to change
    # Log probabilities are the logits up to a constant per image, which the softmax takes out again.
    scores = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    temperature = fit_temperature(scores, labels)
    BACKENDS[backend].set_temperature(path, temperature)
    companions = [other for other in sorted(path.parent.glob(f"{path.stem}.*")) if other != path]
    return {
        "name": path.stem,
        "model": "pruned" if context.recipe.prune else "student",
        "backend": backend,
        "precision": precision,
        "path": f"models/{path.name}",
        "sha256": sha256_of(path),
        "bytes": path.stat().st_size,
        "companions": [f"models/{other.name}" for other in companions],
        "temperature": temperature,
        "runtime_options": options,
        "thresholds": operating_points(softmax(scores, temperature), labels, table.classes),
    }
