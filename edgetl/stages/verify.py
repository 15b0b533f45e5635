"""Verify: every artefact of one format on the whole test split, in its own runtime, against PyTorch and against its fp32.

Writes `artifacts.json` (parity, metrics, gates of each) and `golden/NAME.npy` (float32 [n, C], its output on the golden
pictures), with `golden/labels.txt` (what their columns mean). A gate that fails is recorded here and ends the build after
the report, so that the evidence is there to read.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.config.recipe import Recipe
from edgetl.runtime import labels
from edgetl.runtime.backends import BACKENDS
from edgetl.stages.common import needs
from edgetl.stages.common.one_by_one import Files
from edgetl.stages.common.stage import Context, Stage

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgetl.data.table import DataTable
    from edgetl.evidence.gates import Gate
    from edgetl.evidence.intervals import Interval
    from edgetl.evidence.parity import Parity
    from edgetl.results.artifacts import CalibratedArtifact, VerifiedArtifact
    from edgetl.runtime.sessions import Session


def stage(backend: str) -> Stage:
    """The verify stage of one format."""

    def run(context: Context) -> None:
        from edgetl.data import originals
        from edgetl.data.table import DataTable
        from edgetl.results.artifacts import Calibration, Verification
        from edgetl.stages.common.predict import BuiltFile, outputs
        from edgetl.stages.common.settings import preprocessing_after
        from edgetl.store.arrays import write_arrays

        table = DataTable.load(context.inputs["data"], ("test",))
        finished = context.inputs[f"calibrate.{backend}"]
        calibration = Calibration.read(finished)
        golden = context.folder / "golden"
        golden.mkdir()
        files = Files(context, "verify", golden, calibration.missing)
        sessions: dict[str, Session] = {}
        for artifact in (each.artifact for each in calibration.artifacts):
            with files.making(artifact.name):
                sessions[artifact.name] = BuiltFile(backend, finished / artifact.path, artifact.runtime_options)
        advance = functools.partial(context.progress.advance, f"verify {backend}")
        preprocessing = preprocessing_after(context.recipe.data, context.inputs["data"])
        digests = originals.read(context.inputs["data"], "test")
        records = table.of("test")
        probabilities = outputs(sessions, context.data_root, records, preprocessing, advance, digests, files.leave_out)
        verified = []
        for each in calibration.artifacts:
            name = each.artifact.name
            if not files.lacks(name, each.reference):
                with files.making(name):
                    _write_golden(context, golden, name, sessions[name])
                    verified.append(_verified(context, table, each, probabilities))
        (golden / "labels.txt").write_text(labels.to_text(table.classes), encoding="utf-8", newline="\n")
        write_arrays(context.folder / "outputs.npz", {each.name: probabilities[each.name] for each in verified})
        Verification(tuple(verified), tuple(files.missing)).write(context.folder)

    def settings(recipe: Recipe) -> object:
        return {
            "image_size": recipe.data.image_size,
            "resize": recipe.data.resize.model_dump(),
            "seed": recipe.seed,
            "max_drop": recipe.quantize.max_drop if recipe.quantize and recipe.makes(backend, "int8") else None,
        }

    reads = (*needs.originals("test"), "evaluate/logits.npz", "evaluate/golden", f"calibrate.{backend}")
    tools = (*needs.DECODING_TOOLS, *needs.EVIDENCE_TOOLS, *BACKENDS[backend].tools)
    return Stage(f"verify.{backend}", 6, reads, settings, tools, run, lambda recipe: recipe.makes(backend, "fp32"))


def _verified(
    context: Context,
    table: DataTable,
    calibrated: CalibratedArtifact,
    outputs: Mapping[str, npt.NDArray[np.float32]],
) -> VerifiedArtifact:
    """Parity, metrics and gates of one artefact, from the outputs of all on test, float32 [n, C]."""
    import numpy as np

    from edgetl.evidence.calibration import softmax
    from edgetl.evidence.parity import compare, widest_flip
    from edgetl.results.artifacts import VerifiedArtifact
    from edgetl.stages.common.measures import measured

    artifact = calibrated.artifact
    probabilities = outputs[artifact.name]
    logits = np.load(context.inputs["evaluate"] / "logits.npz")[f"{artifact.model}_test"]
    expected = softmax(logits, artifact.temperature)
    parity = compare(probabilities, expected)
    measures = measured(artifact.name, table, probabilities, calibrated.thresholds, context.recipe.seed)
    gates = _gates(context, table, calibrated, outputs, parity, widest_flip(probabilities, expected))
    for gate in gates:
        if not gate.passed:
            word = "FAILED" if gate.severity == "fail" else "warning"
            context.progress.warn(f"  {word}: {gate.name} of {gate.subject}: {gate.message}")
    context.progress.say(
        f"  {artifact.name}: balanced accuracy {measures.metrics['balanced_accuracy'].value:.3f}, "
        f"max difference to PyTorch {parity.max_abs_diff:.1e}, same class on {parity.top1_agreement:.1%}"
    )
    return VerifiedArtifact(**vars(measures), parity=parity, gates=tuple(gates))


def _gates(
    context: Context,
    table: DataTable,
    calibrated: CalibratedArtifact,
    outputs: Mapping[str, npt.NDArray[np.float32]],
    parity: Parity,
    flip: float,
) -> list[Gate]:
    from edgetl.evidence import gates
    from edgetl.evidence.intervals import paired_difference

    name = calibrated.artifact.name
    if calibrated.reference is None:
        return [gates.fp32_parity(name, parity, flip=flip)]
    assert context.recipe.quantize is not None
    reference = outputs[calibrated.reference]
    true, groups = table.labels("test"), table.groups("test")

    def lost(metric: str) -> Interval:
        return paired_difference(metric, outputs[name], reference, true, groups, table.classes)

    return [
        gates.int8_collapse(name, lost("accuracy")),
        gates.quantization_drop(name, lost("balanced_accuracy"), context.recipe.quantize.max_drop),
    ]


def _write_golden(context: Context, golden: Path, name: str, session: Session) -> None:
    import numpy as np

    tensors = np.load(context.inputs["evaluate"] / "golden" / "tensors.npy")
    np.save(golden / f"{name}.npy", np.concatenate([session.run(image[None]) for image in tensors]))
