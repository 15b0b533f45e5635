"""Verify: every artefact of one format on the whole test split, in its own runtime, against PyTorch and against its fp32.

Writes `artifacts.json` (parity, metrics, gates of each) and `golden/NAME.npy` (float32 [n, C], its output on the golden
pictures), with `golden/labels.txt` (what their columns mean). A gate that fails is recorded here and ends the build after
the report, so that the evidence is there to read.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgetl.backends import BACKENDS
from edgetl.config.recipe import Format, Recipe
from edgetl.stages.common import needs
from edgetl.stages.common.stage import Context, Stage

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgetl.data.table import DataTable
    from edgetl.evidence.gates import Gate
    from edgetl.runtime.sessions import Session


def stage(backend: Format) -> Stage:
    """The verify stage of one format."""

    def run(context: Context) -> None:
        from edgetl.data import originals
        from edgetl.data.table import DataTable
        from edgetl.stages.common.predict import open_file, outputs
        from edgetl.stages.common.settings import preprocessing_of
        from edgetl.store.arrays import write_arrays

        table = DataTable.load(context.inputs["data"], ("test",))
        finished = context.inputs[f"calibrate.{backend}"]
        artifacts = json.loads((finished / "artifacts.json").read_text(encoding="utf-8"))
        sessions = {
            artifact["name"]: open_file(backend, finished / artifact["path"], artifact["runtime_options"])
            for artifact in artifacts
        }
        advance = functools.partial(context.progress.advance, f"verify {backend}")
        preprocessing = preprocessing_of(context.recipe.data)
        digests = originals.read(context.inputs["data"], "test")
        said = outputs(sessions, context.data_root, table.of("test"), preprocessing, advance, digests)
        results = [_verified(context, table, artifact, said) for artifact in artifacts]
        _write_golden(context, sessions, table.classes)
        write_arrays(context.folder / "outputs.npz", said)
        (context.folder / "artifacts.json").write_text(json.dumps(results, indent=1), encoding="utf-8")

    def settings(recipe: Recipe) -> object:
        return {
            "image_size": recipe.data.image_size,
            "resize": recipe.data.resize.model_dump(),
            "seed": recipe.seed,
            "max_drop": recipe.quantize.max_drop if recipe.quantize else None,
        }

    reads = (*needs.originals("test"), "evaluate/logits.npz", "evaluate/golden", f"calibrate.{backend}")
    tools = (*needs.DECODING_TOOLS, *BACKENDS[backend].TOOLS)
    return Stage(f"verify.{backend}", 2, reads, settings, tools, run, lambda recipe: backend in recipe.export)


def _verified(
    context: Context, table: DataTable, artifact: dict[str, Any], outputs: dict[str, npt.NDArray[np.float32]]
) -> dict[str, Any]:
    """Parity, metrics and gates of one artefact, from its outputs on test."""
    import numpy as np

    from edgetl.evidence.calibration import softmax
    from edgetl.evidence.parity import compare
    from edgetl.stages.common.measures import test_metrics

    probabilities = outputs[artifact["name"]]
    logits = np.load(context.inputs["evaluate"] / "logits.npz")[f"{artifact['model']}_test"]
    parity = compare(probabilities, softmax(logits, artifact["temperature"]))
    measures = test_metrics(table, probabilities, artifact["thresholds"], context.recipe.seed)
    gates = [gate.to_json() for gate in _gates(context, table, artifact, outputs, parity)]
    for gate in gates:
        if not gate["passed"]:
            word = "FAILED" if gate["severity"] == "fail" else "warning"
            context.progress.warn(f"  {word}: {gate['name']} of {gate['subject']}: {gate['message']}")
    context.progress.say(
        f"  {artifact['name']}: balanced accuracy {measures['metrics']['balanced_accuracy']['value']:.3f}, "
        f"max difference to PyTorch {parity.max_abs_diff:.1e}, same class on {parity.top1_agreement:.1%}"
    )
    return {"name": artifact["name"], "parity": parity.to_json(), **measures, "gates": gates}


def _gates(
    context: Context,
    table: DataTable,
    artifact: dict[str, Any],
    outputs: dict[str, npt.NDArray[np.float32]],
    parity: Any,
) -> list[Gate]:
    from edgetl.evidence import gates
    from edgetl.evidence.intervals import paired_difference

    name = artifact["name"]
    if artifact["precision"] == "fp32":
        return [gates.fp32_parity(name, parity)]
    assert context.recipe.quantize is not None
    reference = outputs[name.replace("int8", "fp32")]
    labels, groups = table.labels("test"), table.groups("test")

    def lost(metric: str) -> Any:
        return paired_difference(metric, outputs[name], reference, labels, groups, table.classes)

    return [
        gates.int8_collapse(name, lost("accuracy")),
        gates.quantization_drop(name, lost("balanced_accuracy"), context.recipe.quantize.max_drop),
    ]


def _write_golden(context: Context, sessions: Mapping[str, Session], classes: Sequence[str]) -> None:
    import numpy as np

    from edgetl.runtime import labels

    golden = context.folder / "golden"
    golden.mkdir()
    tensors = np.load(context.inputs["evaluate"] / "golden" / "tensors.npy")
    for name, session in sessions.items():
        np.save(golden / f"{name}.npy", np.concatenate([session.run(image[None]) for image in tensors]))
    (golden / "labels.txt").write_text(labels.to_text(classes), encoding="utf-8", newline="\n")
