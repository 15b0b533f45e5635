"""Evaluate: what each PyTorch network says about validation and test, from the original files.

Writes `models.json` (report.json's `models` and `comparisons`, and their gates), `logits.npz` (float32 [n, C] as NAME_val
and NAME_test) and `golden/`: phantom pictures and their tensors, on which every artefact's output is recorded for devices
to compare with.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetl.recipe import Recipe
from edgetl.stages.networks import networks
from edgetl.stages.stage import Context, Stage

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn

    from edgetl.data.table import DataTable

GOLDEN_IMAGES = 8
_GOLDEN_SEED = 20_260


def _settings(recipe: Recipe) -> Any:
    return {"image_size": recipe.data.image_size, "resize": recipe.data.resize.model_dump(), "seed": recipe.seed}


def _run(context: Context) -> None:
    from edgetl.data.table import DataTable
    from edgetl.stages.arrays import write_arrays

    table = DataTable.load(context.inputs["data"] / "table.json")
    folders = networks(context)
    logits = _logits(context, table, folders)
    models = [_model(context, table, name, folder, logits) for name, folder in folders.items()]
    document = {"models": models, **_comparisons(table, models, logits)}
    (context.folder / "models.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    write_arrays(context.folder / "logits.npz", logits)
    _write_golden(context)


def _logits(context: Context, table: DataTable, folders: dict[str, Path]) -> dict[str, npt.NDArray[np.float32]]:
    import numpy as np

    from edgetl.models import spec
    from edgetl.stages.originals import batches, preprocessing_of
    from edgetl.training.inference import predict_logits

    loaded: dict[str, nn.Module] = {name: spec.load(folder).eval() for name, folder in folders.items()}
    found: dict[str, list[npt.NDArray[np.float32]]] = {}
    for split in ("val", "test"):
        records = table.of(split)
        for start, images in batches(context.data_root, records, preprocessing_of(context.recipe.data)):
            for name, network in loaded.items():
                found.setdefault(f"{name}_{split}", []).append(predict_logits(network, images))
            context.progress.advance(f"evaluate on {split}", start + len(images), len(records))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _model(
    context: Context, table: DataTable, name: str, folder: Path, logits: dict[str, npt.NDArray[np.float32]]
) -> dict[str, Any]:
    """The report's entry: size, and metrics on test at the temperature and thresholds that validation chose."""
    from edgetl.evidence.calibration import fit_temperature, operating_points, softmax
    from edgetl.models import prune, spec
    from edgetl.stages.measures import test_metrics

    temperature = fit_temperature(logits[f"{name}_val"], table.labels("val"))
    validated = softmax(logits[f"{name}_val"], temperature)
    thresholds = operating_points(validated, table.labels("val"), table.classes)
    probabilities = softmax(logits[f"{name}_test"], temperature)
    macs, parameters = prune.count(spec.load(folder), context.recipe.data.image_size)
    measures = test_metrics(table, probabilities, thresholds, context.recipe.seed)
    context.progress.say(f"  {name}: balanced accuracy {measures['metrics']['balanced_accuracy']['value']:.3f}")
    return {"name": name, "parameters": parameters, "macs": macs, "temperature": temperature, **measures}


def _comparisons(
    table: DataTable, models: list[dict[str, Any]], logits: dict[str, npt.NDArray[np.float32]]
) -> dict[str, Any]:
    """What distillation and pruning cost: each network against the one before it, on the same test images."""
    from edgetl.evidence.calibration import softmax
    from edgetl.evidence.gates import student_vs_teacher
    from edgetl.evidence.intervals import paired_difference

    said = {model["name"]: softmax(logits[f"{model['name']}_test"], model["temperature"]) for model in models}
    comparisons, gates = [], []
    for reference, candidate in itertools.pairwise(said):
        for metric in ("balanced_accuracy", "accuracy", "auroc"):
            difference = paired_difference(
                metric, said[candidate], said[reference], table.labels("test"), table.groups("test"), table.classes
            )
            pair = {"candidate": candidate, "reference": reference, "metric": metric}
            comparisons.append({**pair, "difference": difference.to_json()})
            if (reference, metric) == ("teacher", "balanced_accuracy"):
                gates.append(student_vs_teacher(candidate, difference).to_json())
    return {"comparisons": comparisons, "gates": gates}


def _write_golden(context: Context) -> None:
    import numpy as np

    from edgetl.data import phantom
    from edgetl.runtime.preprocessing import preprocess
    from edgetl.stages.originals import preprocessing_of

    rendered = context.scratch / "golden"
    phantom.render(rendered, GOLDEN_IMAGES, 2 * context.recipe.data.image_size, _GOLDEN_SEED)
    pictures = sorted((rendered / "images").glob("*.png"))
    golden = context.folder / "golden"
    golden.mkdir()
    for picture in pictures:
        (golden / picture.name).write_bytes(picture.read_bytes())
    tensors = [preprocess(picture, preprocessing_of(context.recipe.data)) for picture in pictures]
    np.save(golden / "tensors.npy", np.stack(tensors))


_NEEDS = ("data/table.json", "teach/network", "distil/network", "prune/network")

STAGE = Stage("evaluate", 1, _NEEDS, _settings, ("torch", "timm"), _run)
