"""The page's plots: inline SVG that follows the page's font and its light or dark colours.

matplotlib draws with marker colours that nothing else uses; `_inline` turns them into CSS variables of the page and
takes out what inline SVG must not have here: namespace addresses, metadata, and ids that would collide between plots.
"""

from __future__ import annotations

import html
import io
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from edgetl.evidence.calibration import Bin
from edgetl.report.places import Place, Point
from edgetl.results.training import Epoch
from edgetl.runtime.backends import BACKENDS

__all__ = ["accuracy_latency", "reliability_diagram", "series_colours", "session", "styles", "training_curves"]

_INK, _QUIET = "#010203", "#040506"
_SERIES = ("#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04", "#0a0b05", "#0a0b06")
_VARIABLES = {_INK: "var(--ink)", _QUIET: "var(--line-strong)"} | {
    colour: f"var(--series-{index})" for index, colour in enumerate(_SERIES, start=1)
}
_MARKS = (("o", "●"), ("s", "■"), ("D", "◆"), ("v", "▼"), ("P", "✚"))
"""matplotlib's names of the marks of backends, and how text shows them."""
_PYTORCH = ("pytorch", _SERIES[3], "^", "△")


@contextmanager
def session() -> Iterator[None]:
    """Draw inside of this: matplotlib keeps its font cache in a temporary folder, not in the user's home."""
    folder = tempfile.mkdtemp(prefix="edgetl-plots-")
    before = os.environ.get("MPLCONFIGDIR")
    os.environ["MPLCONFIGDIR"] = folder
    try:
        import matplotlib

        with matplotlib.rc_context(_style()):
            yield
    finally:
        if before is None:
            del os.environ["MPLCONFIGDIR"]
        else:
            os.environ["MPLCONFIGDIR"] = before
        shutil.rmtree(Path(folder), ignore_errors=True)


def training_curves(histories: Mapping[str, Sequence[Epoch]]) -> list[str]:
    """One small plot each for loss, validation balanced accuracy and validation AUROC; none without epochs.

    Epochs that were not validated have no point in the latter two.

    Args:
        histories: a run's name to its epochs.
    """
    panels: tuple[tuple[str, Callable[[Epoch], float | None]], ...] = (
        ("Training loss", lambda epoch: epoch.label_loss),
        ("Balanced accuracy on validation", lambda epoch: epoch.val_balanced_accuracy),
        ("AUROC on validation", lambda epoch: epoch.val_auroc),
    )
    if not any(histories.values()):
        return []
    plots = []
    for number, (heading, value) in enumerate(panels):
        figure, axes = _figure(3.5, 2.5)
        for index, (name, epochs) in enumerate(histories.items()):
            points = {epoch.epoch: score for epoch in epochs if (score := value(epoch)) is not None}
            marks = {"marker": "o", "markersize": 3.0} if len(points) < 20 else {}
            axes.plot(list(points), list(points.values()), color=_SERIES[index % len(_SERIES)], label=name, **marks)
        axes.set_title(heading, loc="left")
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        plots.append(_inline(figure, f"curve{number}", heading))
    return plots


def series_colours(names: Sequence[str]) -> dict[str, str]:
    """CSS colour of each run in `training_curves`, for one legend beside the three plots."""
    return {name: f"var(--series-{index % len(_SERIES) + 1})" for index, name in enumerate(names)}


class Style(NamedTuple):
    """How a backend's points look: colour and mark in the plot, colour and glyph beside it."""

    colour: str
    mark: str
    css: str
    glyph: str


def styles(points: Sequence[Point]) -> dict[str, Style]:
    """The style of each backend that has points, in the order of the table, PyTorch last."""
    colours = [colour for colour in _SERIES if colour != _PYTORCH[1]]
    every = [
        (name, colours[number % len(colours)], *_MARKS[number % len(_MARKS)]) for number, name in enumerate(BACKENDS)
    ]
    there = {point.backend for point in points}
    return {
        name: Style(colour, mark, _VARIABLES[colour], glyph)
        for name, colour, mark, glyph in [*every, _PYTORCH]
        if name in there
    }


def accuracy_latency(place: Place, number: int) -> str:
    """Balanced accuracy with its interval against the median time of one image on one target, time on a log axis.

    Args:
        number: of the plot on its page, where each has ids of its own.
    """
    from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter

    points = place.points
    figure, axes = _figure(4.8, 3.5)
    axes.set_xscale("log")
    style_of = styles(points)
    for point in points:
        colour = style_of[point.backend].colour
        accuracy = point.accuracy
        axes.vlines(point.p50_ms, accuracy.low, accuracy.high, color=colour, linewidth=1.0, alpha=0.55)
        axes.hlines(accuracy.value, point.p50_ms, point.p90_ms, color=colour, linewidth=1.0, alpha=0.55)
        small = point.precision == "int8"
        axes.plot(
            point.p50_ms,
            accuracy.value,
            marker=style_of[point.backend].mark,
            markersize=7,
            color=colour,
            markerfacecolor=colour if small else "none",
            linestyle="none",
        )
    axes.set_xlabel(
        f"milliseconds per image, {'one thread' if place.threads == 1 else f'{place.threads} threads'} (log)"
    )
    axes.set_title("Balanced accuracy on test", loc="left")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))  # no 2.5: labels are whole percents
    axes.xaxis.set_major_locator(_few_ticks([point.p50_ms for point in points]))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.12, y=0.08)
    return _inline(figure, f"tradeoff{number}", f"Balanced accuracy against latency on {html.escape(place.target)}")


def reliability_diagram(bins: Sequence[Bin]) -> str:
    """How often the artefact is right against how sure it says it is; on the diagonal it means what it says."""
    from matplotlib.ticker import PercentFormatter

    figure, axes = _figure(3.5, 3.1)
    axes.plot([0, 1], [0, 1], color=_QUIET, linewidth=1.0)
    most = max(point.count for point in bins)
    confidences, accuracies = [point.confidence for point in bins], [point.accuracy for point in bins]
    axes.plot(confidences, accuracies, color=_SERIES[0], linewidth=1.2)
    axes.scatter(
        confidences, accuracies, s=[12 + 90 * point.count / most for point in bins], color=_SERIES[0], zorder=3
    )
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="probability of the top class")
    axes.set_title("Share of right answers", loc="left")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return _inline(figure, "reliability", "Reliability diagram")


def _style() -> dict[str, Any]:
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": "edgetl",
        "font.size": 10.5,
        "axes.titlesize": 10.5,
        "axes.labelsize": 10.0,
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "axes.titlecolor": _INK,
        "axes.edgecolor": _QUIET,
        "xtick.color": _QUIET,
        "ytick.color": _QUIET,
        "xtick.labelcolor": _INK,
        "ytick.labelcolor": _INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": _QUIET,
        "grid.alpha": 0.35,
        "grid.linewidth": 0.6,
        "lines.linewidth": 1.6,
    }


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # not pyplot: no global state, no window

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_alpha(0.0)
    axes = figure.subplots()
    axes.patch.set_alpha(0.0)
    axes.set_axisbelow(True)
    return figure, axes


def _few_ticks(values: Sequence[float]) -> Any:
    """Ticks at 1, 2 and 5 of each decade: a log axis over less than one decade would have a single label."""
    from matplotlib.ticker import LogLocator

    wide = max(values) / min(values) > 100
    return LogLocator(base=10, subs=(1.0,) if wide else (1.0, 2.0, 5.0))


def _inline(figure: Any, name: str, label: str) -> str:
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r'\bid="([^"]*)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(url\(|href=")#', rf"\1#{name}-", svg)
    # The named fonts are on few machines: take the page's. The style sheet would apply to the whole page.
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    svg = re.sub(r"<defs>\s*<style.*?</defs>", "", svg, count=1, flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    svg = re.sub(r'<svg [^>]*viewBox="([^"]*)"[^>]*>', rf'<svg viewBox="\1" role="img" aria-label="{label}">', svg)
    return svg.strip()
