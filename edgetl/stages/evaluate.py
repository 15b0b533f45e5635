"""Evaluate: what each PyTorch network says about validation and test, from the original files.

Writes `models.json` (what networks are worth, comparisons and their gates), `logits.npz` (float32 [n, C] as NAME_val
and NAME_test) and `golden/`: phantom pictures and their tensors, on which every artefact's output is recorded for devices
to compare with.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetl.config.recipe import Recipe
from edgetl.data.readers import READERS
from edgetl.stages.common import needs
from edgetl.stages.common.networks import AVERAGE, SHIPPED, TEACHER_NETWORKS, TEACHERS, networks
from edgetl.stages.common.stage import Context, Stage

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn

    from edgetl.data.table import DataTable
    from edgetl.results.evaluation import Evaluation, Model

GOLDEN_IMAGES = 8
_GOLDEN_SEED = 20_260
_PHANTOM = READERS["skin_phantom"]


def _settings(recipe: Recipe) -> Any:
    preprocessing = {"image_size": recipe.data.image_size, "resize": recipe.data.resize.model_dump()}
    golden = {"phantom": _PHANTOM.version, "images": GOLDEN_IMAGES, "seed": _GOLDEN_SEED}
    return {**preprocessing, "seed": recipe.seed, "golden": golden}


def _run(context: Context) -> None:
    from edgetl.data.table import DataTable
    from edgetl.store.arrays import write_arrays

    table = DataTable.load(context.inputs["data"], ("val", "test"))
    folders = networks(context)
    logits = _logits(context, table, folders)
    costs = _with_average(_costs(context, folders), logits)
    models = [_model(context, table, name, *cost, logits) for name, cost in costs.items()]
    _compared(table, models, logits).write(context.folder)
    write_arrays(context.folder / "logits.npz", logits)
    _write_golden(context)


def _logits(context: Context, table: DataTable, folders: dict[str, Path]) -> dict[str, npt.NDArray[np.float32]]:
    import numpy as np

    from edgetl.data import originals
    from edgetl.data.decode import batches
    from edgetl.models import spec
    from edgetl.stages.common.settings import preprocessing_after
    from edgetl.training.inference import predict_logits

    loaded: dict[str, nn.Module] = {name: spec.load(folder).eval() for name, folder in folders.items()}
    logits: dict[str, list[npt.NDArray[np.float32]]] = {}
    digests = originals.read(context.inputs["data"], "val", "test")
    preprocessing = preprocessing_after(context.recipe.data, context.inputs["data"])
    for split in ("val", "test"):
        records = table.of(split)
        for start, images in batches(context.data_root, records, preprocessing, digests):
            for name, network in loaded.items():
                logits.setdefault(f"{name}_{split}", []).append(predict_logits(network, images))
            context.progress.advance(f"evaluate on {split}", start + len(images), len(records))
    return {name: np.concatenate(parts) for name, parts in logits.items()}


def _costs(context: Context, folders: dict[str, Path]) -> dict[str, tuple[int, int]]:
    """Multiply-accumulates and parameters of each network."""
    from edgetl.models import prune, spec

    size = context.recipe.data.image_size
    return {name: prune.count(spec.load(folder), size) for name, folder in folders.items()}


def _with_average(
    costs: dict[str, tuple[int, int]], logits: dict[str, npt.NDArray[np.float32]]
) -> dict[str, tuple[int, int]]:
    """Adds the average of several teachers, which is what the student learned from, after the last of them."""
    import numpy as np

    teachers = [name for name in costs if name in TEACHERS]
    if len(teachers) < 2:
        return costs
    for split in ("val", "test"):
        logits[f"{AVERAGE}_{split}"] = np.mean([logits[f"{name}_{split}"] for name in teachers], axis=0)
    macs, parameters = (sum(costs[name][part] for name in teachers) for part in (0, 1))
    others = {name: cost for name, cost in costs.items() if name not in teachers}
    return {name: costs[name] for name in teachers} | {AVERAGE: (macs, parameters)} | others


def _model(
    context: Context,
    table: DataTable,
    name: str,
    macs: int,
    parameters: int,
    logits: dict[str, npt.NDArray[np.float32]],
) -> Model:
    """Size, and metrics on test at the temperature and thresholds that validation chose."""
    from edgetl.evidence.calibration import fit_temperature, operating_points, softmax
    from edgetl.results.evaluation import Model
    from edgetl.stages.common.measures import measured

    temperature = fit_temperature(logits[f"{name}_val"], table.labels("val"))
    validated = softmax(logits[f"{name}_val"], temperature)
    thresholds = operating_points(validated, table.labels("val"), table.classes)
    probabilities = softmax(logits[f"{name}_test"], temperature)
    measures = measured(name, table, probabilities, thresholds, context.recipe.seed)
    context.progress.say(f"  {name}: balanced accuracy {measures.metrics['balanced_accuracy'].value:.3f}")
    return Model(**vars(measures), parameters=parameters, macs=macs, temperature=temperature)


def _compared(table: DataTable, models: list[Model], logits: dict[str, npt.NDArray[np.float32]]) -> Evaluation:
    """The models, and what distillation and pruning cost, on the same test images: each student against each teacher, the
    pruned one against the unpruned one. The gate is about the one that ships, against the average of several teachers."""
    from edgetl.evidence.calibration import softmax
    from edgetl.evidence.gates import student_vs_teacher
    from edgetl.evidence.intervals import paired_difference
    from edgetl.results.evaluation import Comparison, Evaluation

    outputs = {model.name: softmax(logits[f"{model.name}_test"], model.temperature) for model in models}
    comparisons, gates = [], []
    teachers = [name for name in outputs if name in (*TEACHERS, AVERAGE)]
    students = [name for name in ("student", "pruned") if name in outputs]
    pairs = [(teacher, student) for student in students for teacher in teachers]
    pairs += itertools.pairwise(students)
    gated = (teachers[-1], students[-1]) if teachers else None
    for reference, candidate in pairs:
        for metric in ("balanced_accuracy", "accuracy", "auroc"):
            difference = paired_difference(
                metric,
                outputs[candidate],
                outputs[reference],
                table.labels("test"),
                table.groups("test"),
                table.classes,
            )
            comparisons.append(Comparison(candidate, reference, metric, difference))
            if (reference, candidate) == gated and metric == "balanced_accuracy":
                name = "the average of the teachers" if reference == AVERAGE else "the teacher"
                gates.append(student_vs_teacher(candidate, difference, teacher=name))
    return Evaluation(tuple(models), tuple(comparisons), tuple(gates))


def _write_golden(context: Context) -> None:
    import numpy as np

    from edgetl.data import phantom
    from edgetl.runtime.preprocessing import preprocess
    from edgetl.stages.common.settings import preprocessing_after

    rendered = context.scratch / "golden"
    phantom.render(rendered, GOLDEN_IMAGES, 2 * context.recipe.data.image_size, _GOLDEN_SEED)
    pictures = sorted((rendered / "images").glob("*.png"))
    golden = context.folder / "golden"
    golden.mkdir()
    for number, picture in enumerate(pictures):
        _write_cut(picture, number, golden / picture.name)
    written = [golden / picture.name for picture in pictures]
    preprocessing = preprocessing_after(context.recipe.data, context.inputs["data"])
    tensors = [preprocess(picture, preprocessing) for picture in written]
    np.save(golden / "tensors.npy", np.stack(tensors))


def _write_cut(picture: Path, number: int, path: Path) -> None:
    """A golden picture as it is, wide or tall in turn: a square one looks the same cropped, stretched and padded."""
    from PIL import Image

    with Image.open(picture) as image:
        width, height = image.size
        shapes = (width, height), (width, height * 3 // 4), (width * 3 // 4, height)
        image.crop((0, 0, *shapes[number % len(shapes)])).save(path)


_NEEDS = (*needs.originals("val", "test"), *TEACHER_NETWORKS, *SHIPPED)

_TOOLS = (*needs.DECODING_TOOLS, *needs.EVIDENCE_TOOLS, *_PHANTOM.tools, "timm", "torch")

STAGE = Stage("evaluate", 5, _NEEDS, _settings, _TOOLS, _run)
