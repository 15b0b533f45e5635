"""`edgetl verify`, `predict` and `evaluate`: what one does with a finished bundle."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgetl.commands.arguments import ArtifactOption, BundleArgument, JsonOption, SetDataOption
from edgetl.commands.pairs import ColumnsOption, columns_of, pairs
from edgetl.console.streams import exact_names, tell
from edgetl.errors import UnreadableImage

if TYPE_CHECKING:
    from edgetl.runtime.predicting import Prediction

_MAP_HINT = (
    "for example --map mel=malignant,nv=benign,other=; nothing behind the = leaves images out; a name with a comma "
    """stands in double quotes: --map '"melanoma, thin"=mel'"""
)
_MANY = 20  # pictures for which a person would look for signs of life


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("evaluate")(_evaluate)
    app.command("verify")(_verify)
    app.command("predict")(_predict)


def _evaluate(
    bundle: BundleArgument,
    data: Annotated[str, typer.Option("--data", metavar="KIND:ROOT", help="A labelled data set.")],
    columns: ColumnsOption = None,
    set_: SetDataOption = None,
    artifact: ArtifactOption = None,
    map_: Annotated[
        str | None, typer.Option("--map", metavar="LABEL=CLASS,...", help="Rename or merge labels.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Metrics with 95 % intervals of every artefact on another labelled set."""
    from edgetl.api.evaluate import evaluate
    from edgetl.console.progress import Console

    of_table, mapping = columns_of(columns), pairs("--map", map_, _MAP_HINT)
    with Console() as console:
        results = evaluate(
            bundle,
            data,
            columns=of_table,
            overrides=set_ or (),
            artifact=artifact,
            mapping=mapping,
            progress=console,
        )
    if as_json:
        rows = {name: {key: value.to_json() for key, value in metrics.items()} for name, metrics in results.items()}
        print(json.dumps(rows))
        return
    for name, metrics in results.items():
        print(name)
        for metric, interval in metrics.items():
            print(f"  {metric:<28} {interval.value:.4f}  [{interval.low:.4f}, {interval.high:.4f}]")


def _verify(bundle: BundleArgument, as_json: JsonOption = False) -> None:
    """Check hashes, and golden vectors on every installed runtime. Exit code 5 when something differs."""
    from edgetl.api.verify import verify

    result = verify(bundle)
    if as_json:
        print(json.dumps(result.to_json()))
    else:
        words = {True: "ok     ", False: "FAILED ", None: "skipped"}
        for check in result.checks:
            print(f"{words[check.passed]}  {check.artifact or 'bundle'}  {check.check}: {check.detail}")
    result.raise_on_problems()


def _predict(
    bundle: BundleArgument,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="WHAT",
            help="Pictures; folders of pictures; patterns in quotes, such as 'scans/**/*.png'; @list.txt, a file with a "
            "path a line (@- is stdin).",
            show_default=False,
        ),
    ],
    artifact: ArtifactOption = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write a table, a row a picture.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing table.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Label pictures: the most probable label, its probability, and the operating points that are reached."""
    from edgetl.api.bundle import open_bundle
    from edgetl.api.pictures import endings, find_pictures
    from edgetl.api.predict import collected, predictions, table_place
    from edgetl.api.recipes import warn_of_stand_in
    from edgetl.console.progress import Console, Silent

    if csv:
        table_place(csv, force=force)
    opened = open_bundle(bundle, artifact=artifact)
    warn_of_stand_in(opened.manifest, tell)
    pictures = find_pictures(files)
    if pictures.left_out:
        total = sum(pictures.left_out.values())
        noun = "file" if total == 1 else "files"
        tell(f"warning: {total} {noun} left out, which by their ending are no pictures: {endings(pictures.left_out)}")
    exact_names()
    with ExitStack() as stack:
        bar = stack.enter_context(Console()) if _bar_fits(len(pictures.files), as_json) else None
        results = predictions(opened, pictures, bar or Silent())
        shown = (_shown(result, as_json, bar.warn if bar else tell) for result in results)
        result = collected(opened, pictures, shown)
    if csv:
        result.write_csv(csv, force=force)
    if as_json:
        print(json.dumps([prediction.to_json() for prediction in result.predictions]))
    result.raise_on_problems()


def _bar_fits(count: int, as_json: bool) -> bool:
    """Whether somebody sees stderr while nothing else says how far it is: lines on the same terminal would."""
    return count >= _MANY and sys.stderr.isatty() and (as_json or not sys.stdout.isatty())


def _shown(
    result: Prediction | UnreadableImage, as_json: bool, complain: Callable[[str], None]
) -> Prediction | UnreadableImage:
    """Print one picture's result as soon as it is there; JSON comes at the end, in one piece."""
    if isinstance(result, UnreadableImage):
        complain(f"error: {result}")
    elif not as_json:
        print(_line(result))
    return result


def _line(prediction: Prediction) -> str:
    reached = " ".join(name for name, is_reached in prediction.flags.items() if is_reached)
    return f"{prediction.file}\t{prediction.label}\t{prediction.probabilities[prediction.label]:.3f}\t{reached}"
