"""`edgetl bench`: latency of a bundle's artefacts on targets, and accuracy there when a labelled set is given."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from edgetl.commands.arguments import BundleArgument, HistoryOption, JsonOption, SetDataOption
from edgetl.commands.completion import complete_compared, complete_target
from edgetl.commands.history import judge, tell
from edgetl.commands.pairs import ColumnsOption, columns_of
from edgetl.errors import UsageError

if TYPE_CHECKING:
    from edgetl.api.bench import BenchResult


_COMPARE = "--compare"


def _is_bundle(word: str) -> bool:
    """Of any word of a command line, which may be no path at all."""
    return bool(word) and os.path.isfile(os.path.join(word, "bundle.json"))  # noqa: PTH113, PTH118  # Path.is_file raises


class _Command(TyperCommand):
    """`--compare` may stand without its value, which typer's options cannot."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """With `last` behind a `--compare` that has nothing behind it."""
        if _COMPARE in args:
            after = args.index(_COMPARE) + 1
            bundles = [index for index, word in enumerate(args) if _is_bundle(word)]
            # The only bundle that is named is the one to be measured; with another one it is what to compare with.
            if after == len(args) or args[after].startswith("-") or bundles == [after]:
                args = [*args[:after], "last", *args[after:]]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command("bench", cls=_Command)(_bench)


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
    batches: Annotated[
        list[int] | None,
        typer.Option("--batch", metavar="N", min=1, help="Also N images at a time; may be given again."),
    ] = None,
    sustained: Annotated[
        int | None, typer.Option("--sustained", metavar="MINUTES", help="Lasting load instead, minute by minute.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw the minutes of --sustained: .svg or .png.")
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            _COMPARE,
            metavar="[B]",
            help="Against what was measured before: last (the bundle before this one; also without B), a label, name, "
            "sha256 or folder. Exit code 1 when something got worse.",
            show_default=False,
            autocompletion=complete_compared,
        ),
    ] = None,
    label: Annotated[str, typer.Option("--label", metavar="WORD", help="A word to compare with later.")] = "",
    history: HistoryOption = None,
    no_history: Annotated[bool, typer.Option("--no-history", help="Do not keep the measurements.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure latency on targets, all artefacts interleaved, and keep the measurements."""
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
            batches=batches or (),
            sustained=sustained,
            compare=compare,
            label=label,
            history=history,
            no_history=no_history,
            progress=console,
        )
    if as_json:
        print(json.dumps(result.to_json()))
    else:
        _show(result)
    if plot:  # last: a full disk must not cost what was measured
        result.plot(plot)
    result.raise_on_problems()
    if result.comparison is not None:
        judge(result.comparison)


def _show(result: BenchResult) -> None:
    from edgetl.api.bench import images_per_second
    from edgetl.runtime.text import of_sustained

    for name, rows in result.latency.items():
        for row in rows:
            noisy = f"  noisy: {row.noise}" if row.noisy else ""
            emulated = "  emulated: times are not device times" if row.origin == "emulated" else ""
            many = f"  {images_per_second(row):.0f} images/s in batches of {row.batch}" if row.batch > 1 else ""
            print(
                f"{name:<14} {row.target} x{row.threads}  p50 {row.p50_ms:.2f}  p90 {row.p90_ms:.2f}  "
                f"p99 {row.p99_ms:.2f} ms  load {row.load_ms:.0f} ms  peak {row.peak_rss_mb or 0:.0f} MB{many}"
                f"{noisy}{emulated}"
            )
            for caution in row.cautions:
                print(f"{'':<14} caution: {caution}")
    for pair in result.slow_int8:
        print(f"SLOW INT8: {pair.sentence()}")
    for target, found in result.metrics_on.items():
        for name, metrics in found.items():
            accuracy = metrics["balanced_accuracy"]
            interval = f"{accuracy.value:.4f} [{accuracy.low:.4f}, {accuracy.high:.4f}]"
            print(f"{name:<14} {target}  balanced accuracy {interval}")
    for target, lasted in result.sustained.items():
        print(f"{target}\n{of_sustained(lasted)}")
    for each in result.unmeasured:
        how = "not measured" if each.left_out else f"x{each.threads}  FAILED"
        print(f"{each.name:<14} {each.target} {how}: {each.reason}")
    if result.comparison is not None:
        tell(result.comparison)
