"""The minutes of a sustained measurement as a picture of its own: SVG or PNG."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgetl.report.plots import session
from edgetl.runtime.sustained import Sustained

__all__ = ["draw"]

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b6b6b", "#000000")
"""Okabe and Ito's, which most people can tell apart."""


def draw(lasted: Mapping[str, Sustained], file: Path) -> None:
    """Write medians (lines) and 90th percentiles (dots) of each minute, and temperature, or else frequency, where known.

    Args:
        lasted: by target.
        file: ends in .svg or .png.

    Raises:
        OSError: it cannot be written.
    """
    aside = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    with session():
        import matplotlib
        from matplotlib.figure import Figure

        matplotlib.rcParams.update({"text.color": "#222", "axes.labelcolor": "#222", "axes.titlecolor": "#222"})
        matplotlib.rcParams.update(dict.fromkeys(("xtick.labelcolor", "ytick.labelcolor"), "#222"))
        matplotlib.rcParams.update(
            dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color", "grid.color"), "#888")
        )
        figure = Figure(figsize=(8.0, 4.2 * len(lasted)), layout="constrained", facecolor="white")
        for axes, (target, run) in zip(figure.subplots(len(lasted), squeeze=False)[:, 0], lasted.items(), strict=True):
            _minutes(axes, target, run)
        try:
            figure.savefig(
                aside, format=file.suffix[1:].lower(), dpi=150, metadata={"Date": None} if _is_svg(file) else None
            )
            aside.replace(file)
        finally:
            aside.unlink(missing_ok=True)


def _is_svg(file: Path) -> bool:
    return file.suffix.lower() == ".svg"


def _minutes(axes: Any, target: str, run: Sustained) -> None:
    numbers = range(1, run.minutes + 1)
    for index, result in enumerate(run.results):
        colour = _COLOURS[index % len(_COLOURS)]
        axes.plot(numbers, [minute.p50_ms for minute in result.minutes], color=colour, marker=".", label=result.name)
        axes.plot(numbers, [minute.p90_ms for minute in result.minutes], color=colour, linestyle=":", linewidth=1.0)
    threads = {result.threads for result in run.results}
    axes.set_title(f"{target}, {', '.join(map(str, sorted(threads)))} threads: milliseconds by minute", loc="left")
    axes.set(xlabel="minute (line: median, dots: 90th percentile)", ylim=(0, None))
    axes.xaxis.get_major_locator().set_params(integer=True)
    for name, unit in (("temperature_c", "°C"), ("frequency_mhz", "MHz")):
        said = [getattr(machine, name) if machine else None for machine in run.machine[1:]]
        if None in said or len(set(said)) < 2:  # a frequency that never moves is no reading
            continue
        beside = axes.twinx()
        beside.plot(numbers, said, color="#999", linewidth=1.0)
        beside.set_ylabel(f"grey: {unit}")
        break
    if run.results:
        axes.legend(loc="center left", bbox_to_anchor=(1.12, 0.5), frameon=False, fontsize=9)
