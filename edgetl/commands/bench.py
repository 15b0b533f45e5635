"""`edgetl bench`: latency of a bundle's artefacts on targets, and accuracy there when a labelled set is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgetl.commands.arguments import BundleArgument, JsonOption, SetDataOption
from edgetl.commands.completion import complete_target
from edgetl.commands.pairs import ColumnsOption, columns_of
from edgetl.errors import UsageError

if TYPE_CHECKING:
    from edgetl.api.bench import BenchResult


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command("bench")(_bench)


def _bench(
    bundle: BundleArgument,
    targets: Annotated[
        list[str] | None,
        typer.Option("--target", metavar="T", help="Target; default local_cpu.", autocompletion=complete_target),
    ] = None,
    data: Annotated[str | None, typer.Option("--data", metavar="KIND:ROOT", help="Measure accuracy there too.")] = None,
    columns: ColumnsOption = None,
    set_: SetDataOption = None,
    quick: Annotated[bool, typer.Option("--quick", help="About 100 runs each, not 1024 and 60 s.")] = False,
    sustained: Annotated[
        int | None, typer.Option("--sustained", metavar="MINUTES", help="Lasting load instead, minute by minute.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw the minutes of --sustained: .svg or .png.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure latency on targets, all artefacts interleaved."""
    from edgetl.api.bench import bench, picture_place
    from edgetl.console.progress import Console

    if plot and not sustained:
        raise UsageError("got --plot without --sustained, expected both: it draws those minutes", place="--plot")
    if plot:
        picture_place(plot)
    chosen = targets or ["local_cpu"]
    with Console() as console:
        result = bench(
            bundle,
            targets=chosen,
            data=data,
            columns=columns_of(columns),
            overrides=set_ or (),
            quick=quick,
            sustained=sustained,
            progress=console,
        )
    if plot:
        result.plot(plot)
    if as_json:
        print(json.dumps(result.to_json()))
    else:
        _show(result)
    result.raise_on_problems()


def _show(result: BenchResult) -> None:
    from edgetl.runtime.text import of_sustained

    for name, rows in result.latency.items():
        for row in rows:
            noisy = f"  noisy: {row.noise}" if row.noisy else ""
            print(
                f"{name:<14} {row.target} x{row.threads}  p50 {row.p50_ms:.2f}  p90 {row.p90_ms:.2f}  "
                f"p99 {row.p99_ms:.2f} ms  load {row.load_ms:.0f} ms  peak {row.peak_rss_mb or 0:.0f} MB{noisy}"
            )
            for caution in row.cautions:
                print(f"{'':<14} caution: {caution}")
    for target, found in result.metrics_on.items():
        for name, metrics in found.items():
            accuracy = metrics["balanced_accuracy"]
            interval = f"{accuracy.value:.4f} [{accuracy.low:.4f}, {accuracy.high:.4f}]"
            print(f"{name:<14} {target}  balanced accuracy {interval}")
    for target, lasted in result.sustained.items():
        print(f"{target}\n{of_sustained(lasted)}")
    for each in result.unmeasured:
        how = "not measured" if each.foreign else f"x{each.threads}  FAILED"
        print(f"{each.name:<14} {each.target} {how}: {each.reason}")
