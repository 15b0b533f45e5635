"""`edgetl verify`, `predict` and `evaluate`: what one does with a finished bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgetl.commands.arguments import BundleArgument, DataOption, JsonOption, require_bundle, split_data
from edgetl.commands.pairs import ColumnsOption, columns_of, pairs
from edgetl.console.streams import tell
from edgetl.errors import DataError, EnvironmentFault, IntegrityError, UnreadableImage

if TYPE_CHECKING:
    from edgetl.runtime.predicting import Prediction

_Artifact = Annotated[str | None, typer.Option("--artifact", metavar="NAME", help="Only this artefact.")]


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("evaluate")(_evaluate)
    app.command("verify")(_verify)
    app.command("predict")(_predict)


_MAP_HINT = (
    "for example --map mel=malignant,nv=benign,other=; nothing behind the = leaves images out; a name with a comma "
    """stands in double quotes: --map '"melanoma, thin"=mel'"""
)


def _evaluate(
    bundle: BundleArgument,
    data: DataOption,
    columns: ColumnsOption = None,
    artifact: _Artifact = None,
    map_: Annotated[
        str | None, typer.Option("--map", metavar="LABEL=CLASS,...", help="Rename or merge labels.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Metrics with 95 % intervals of every artefact on another labelled set."""
    from edgetl.api.evaluate import evaluate
    from edgetl.console.progress import Console

    kind, root = split_data(data)
    require_bundle(bundle)
    of_table, mapping = columns_of(columns), pairs("--map", map_, _MAP_HINT)
    with Console() as console:
        results = evaluate(bundle, kind, root, artifact, mapping, console, of_table)
    if as_json:
        print(json.dumps({name: {key: one.to_json() for key, one in found.items()} for name, found in results.items()}))
        return
    for name, metrics in results.items():
        print(name)
        for metric, interval in metrics.items():
            print(f"  {metric:<28} {interval.value:.4f}  [{interval.low:.4f}, {interval.high:.4f}]")


def _verify(bundle: BundleArgument, as_json: JsonOption = False) -> None:
    """Check hashes, and golden vectors on every installed runtime. Exit code 5 when something differs."""
    from edgetl.runtime.verifying import verify

    require_bundle(bundle)
    checks = verify(bundle)
    if as_json:
        print(json.dumps([check.to_json() for check in checks]))
    else:
        words = {True: "ok     ", False: "FAILED ", None: "skipped"}
        for check in checks:
            print(f"{words[check.passed]}  {check.artifact or 'bundle'}  {check.check}: {check.detail}")
    failed = [check for check in checks if check.passed is False]
    if failed:
        first = f"{failed[0].artifact or 'bundle'}: {failed[0].check}: {failed[0].detail}"
        raise IntegrityError(f"{len(failed)} of {len(checks)} checks failed, the first: {first}", place=str(bundle))
    if not any(check.passed for check in checks if check.check == "outputs"):
        raise EnvironmentFault(
            "no artefact could be run, so nothing was verified",
            place=str(bundle),
            hint="install one of onnxruntime, openvino, ai-edge-litert",
        )


def _predict(
    bundle: BundleArgument,
    files: Annotated[list[Path], typer.Argument(help="Pictures.", show_default=False)],
    artifact: _Artifact = None,
    as_json: JsonOption = False,
) -> None:
    """Label pictures: the most probable label, its probability, and the operating points that are reached."""
    from edgetl.runtime.predicting import open_predictor

    require_bundle(bundle)
    predict = open_predictor(bundle, artifact)
    done, unreadable = [], []
    for file in files:
        try:
            prediction = predict(file)
        except UnreadableImage as exc:  # a broken picture costs its own line, not those of the others
            unreadable.append(exc)
            tell(f"error: {exc}")
            continue
        done.append(prediction)
        if not as_json:
            print(_line(prediction))
    if as_json:
        print(json.dumps([prediction.to_json() for prediction in done]))
    if unreadable:
        raise DataError(f"{len(unreadable)} of {len(files)} pictures could not be read")


def _line(prediction: Prediction) -> str:
    reached = " ".join(name for name, is_reached in prediction.flags.items() if is_reached)
    return f"{prediction.file}\t{prediction.label}\t{prediction.probabilities[prediction.label]:.3f}\t{reached}"
