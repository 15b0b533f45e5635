"""What the commands print for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .measurement import Measurement
from .predicting import Prediction
from .subjects import Failure
from .sustained import Sustained
from .verifying import Check

_WORDS = {True: "ok     ", False: "FAILED ", None: "skipped"}


def of_prediction(prediction: Prediction) -> str:
    """File, label, its probability, the operating points that are reached, and how long it took."""
    reached = [flag for flag, is_reached in prediction.flags.items() if is_reached]
    words = [f"{prediction.file}: {prediction.label} {prediction.probabilities[prediction.label]:.3f}", *reached]
    return f"{'  '.join(words)}  ({prediction.latency_ms:.1f} ms, {prediction.artifact})"


def of_measurements(results: Sequence[Measurement | Failure]) -> str:
    """A table, a line an artefact."""
    wide = max((len(result.name) for result in results), default=0)
    head = f"{'artefact':<{wide}}  {'p50 ms':>8}  {'p90 ms':>8}  {'p99 ms':>8}  {'first':>8}  {'load':>8}  {'MB':>6}"
    lines = [f"{head}  threads, runtime"]
    for result in results:
        if isinstance(result, Failure):
            lines.append(f"{result.name:<{wide}}  FAILED: {result.reason}")
            continue
        times = (result.p50_ms, result.p90_ms, result.p99_ms, result.first_ms, result.load_ms)
        memory = "-" if result.peak_rss_mb is None else f"{result.peak_rss_mb:.0f}"
        about = (
            f"{result.threads}, {result.described.get('runtime', '?')} {result.described.get('version', '')}".rstrip()
        )
        noise = f"; NOISY: {result.noise}" if result.noisy else ""
        columns = [f"{result.name:<{wide}}", *(f"{time:>8.3f}" for time in times), f"{memory:>6}", about + noise]
        lines.append("  ".join(columns))
    return "\n".join(lines)


def of_sustained(lasted: Sustained) -> str:
    """A line an artefact: the first minute, the last one, and one over the other; then the machine."""
    names = [*(result.name for result in lasted.results), *(failure.name for failure in lasted.failures)]
    wide = max(map(len, names), default=0)
    head = f"{'artefact':<{wide}}  {'p50 ms':>8}  {'p90 ms':>8}  {'p50 ms':>8}  {'p90 ms':>8}  {'ratio':>6}"
    lines = [f"{head}  minute 1, minute {lasted.minutes}"]
    for result in lasted.results:
        ends = (result.minutes[0], result.minutes[-1])
        times = "  ".join(f"{time:>8.3f}" for minute in ends for time in (minute.p50_ms, minute.p90_ms))
        lines.append(f"{result.name:<{wide}}  {times}  {result.ratio:>6.3f}")
    lines += [f"{failure.name:<{wide}}  FAILED: {failure.reason}" for failure in lasted.failures]
    lines += [f"{b} became quicker than {a}" for a, b in lasted.overtaken]
    for name, unit in (("temperature_c", "C"), ("frequency_mhz", "MHz")):
        said = [getattr(machine, name) for machine in (lasted.machine[0], lasted.machine[-1]) if machine]
        if len(said) == 2 and None not in said:
            lines.append(f"{said[0]:.0f} {unit} before, {said[1]:.0f} {unit} after")
    return "\n".join(lines)


def of_checks(checks: Sequence[Check]) -> str:
    """A line a check."""
    return "\n".join(
        f"{_WORDS[check.passed]}  {check.artifact or 'bundle'}  {check.check}: {check.detail}" for check in checks
    )


def of_device(found: Mapping[str, Any]) -> str:
    """The machine in a line, then a line a runtime."""
    machine = f"Python {found['python']}, {found['system']}, {found['machine']}, {found['cores']} cores"
    there = {backend: f" on {', '.join(names)}" for backend, names in found["accelerators"].items()}
    runtimes = [
        f"{backend}: {version or 'not installed'}{there.get(backend, '')}"
        for backend, version in found["runtimes"].items()
    ]
    return "\n".join([machine, *runtimes])
