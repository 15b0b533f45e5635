"""TFLite's own `benchmark_model`: its command line, and what it prints.

It was written against tflite/tools/benchmark/{benchmark_model,benchmark_tflite_model}.cc of google-ai-edge/LiteRT (7d88950,
01d971c) and tensorflow/core/util/stats_calculator.h, and reads what older ones print.

The program prints sums, not each run: `count=9 first=87112 curr=51629 min=51629 max=87112 avg=58147.4 std=11478`, in
microseconds, newer ones with `p5= median= p95=`. Percentiles 90 and 99 are not among them. Of three runs, however, first, last
(`curr`), smallest, largest and mean tell each single one. So it is started again and again: each time it warms up, then runs
three times, and these three are what is measured.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["OWN_FLAGS", "RUNS_AT_ONCE", "Invocation", "arguments", "parsed"]

RUNS_AT_ONCE = 3
"""The most runs of which each one's time can be told."""

OWN_FLAGS = frozenset(
    {"graph", "num_threads", "num_runs", "min_secs", "max_secs", "warmup_runs", "warmup_min_secs", "run_delay"}
    | {"run_frequency", "report_peak_memory_footprint", "input_layer", "input_layer_shape", "input_layer_value_files"}
    | {"input_layer_value_range", "output_filepath", "dry_run", "use_gpu", "use_nnapi", "gpu_invoke_loop_times"}
)
"""What edgetl sets itself, so that a target file may not."""

_ACCELERATORS: dict[str, dict[str, str]] = {
    "cpu": {},
    "gpu": {"use_gpu": "true", "gpu_precision_loss_allowed": "false"},
    "nnapi": {"use_nnapi": "true"},
}
_SUMS = re.compile(r"(?:^|\s)count=\d")
_FIELD = re.compile(r"\b(count|first|curr|min|max|avg|median)=([0-9.]+(?:e[+-]?\d+)?)")
_TIMINGS = re.compile(r"Inference timings in us: Init: (\d+), First inference: (\d+),")
_PEAK = re.compile(r"Overall peak memory footprint \(MB\) via periodic monitoring: ([0-9.]+)")
_REPLACING = re.compile(
    r"Replacing (\d+) out of (\d+) node\(s\) with delegate \((\w+)\) node, yielding (\d+) partitions?"
)
_EXPLICIT = re.compile(
    r"Explicitly applied (\w+) delegate, and the model graph will be (completely|partially) executed"
)
_PRECISE_BELOW = 1e5  # us; avg is printed with six digits, so that three times it is off by less than half of one


@dataclass(frozen=True)
class Invocation:
    """What one run of the program says.

    load_ms, first_ms: until the interpreter is ready, and its very first inference. times_ms: each run after the warm-up.
    peak_mb: in 10**6 bytes, where it was asked for. delegate, taken, nodes, pieces: which delegate has how many of the graph's
    operators in how many partitions; the accelerator's, or else the last one that was named. accelerated: how many the
    accelerator's has. complete: whether those are all; None where no accelerator was asked for.
    """

    load_ms: float
    first_ms: float
    times_ms: tuple[float, ...]
    peak_mb: float | None = None
    delegate: str = ""
    taken: int = 0
    nodes: int = 0
    pieces: int = 0
    accelerated: int = 0
    complete: bool | None = None


def arguments(
    graph: str,
    threads: int,
    runs: int,
    warm_up_s: float,
    accelerator: str,
    flags: Mapping[str, str],
    *,
    peak: bool = False,
    data: tuple[str, tuple[int, ...], str, str] | None = None,
) -> tuple[str, ...]:
    """The words behind the program's name.

    Args:
        runs: after the warm-up, at most `RUNS_AT_ONCE`.
        flags: others of the program, without dashes.
        peak: whether to watch memory, which takes a thread of its own.
        data: the input's name and shape, the file with its bytes, and the one that the output's bytes go to.
    """
    assert 1 <= runs <= RUNS_AT_ONCE
    given = {
        "graph": graph,
        "num_threads": str(threads),
        "num_runs": str(runs),
        "min_secs": "0",
        "max_secs": "60",
        "warmup_runs": "1",
        "warmup_min_secs": f"{warm_up_s:g}",
        **_ACCELERATORS[accelerator],
        **flags,
    }
    if peak:
        given["report_peak_memory_footprint"] = "true"
    if data is not None:
        name, shape, source, target = data
        given["input_layer"] = name
        given["input_layer_shape"] = ",".join(map(str, shape))
        given["input_layer_value_files"] = f"{name}:{source}"
        given["output_filepath"] = target
    return tuple(f"--{flag}={value}" for flag, value in given.items())


def parsed(said: str, accelerator: str) -> Invocation:
    """What one invocation printed.

    Raises:
        ValueError: it failed, or printed something else; what and its last error in one line.
    """
    lines = said.splitlines()
    timings = [match for line in lines if (match := _TIMINGS.search(line))]
    sums = [dict(_FIELD.findall(line)) for line in lines if _SUMS.search(line)]
    if len(timings) != 1 or len(sums) != 2:
        errors = [line.partition("ERROR:")[2].strip() for line in lines if "ERROR:" in line]
        telling = [error for error in errors if error != "Benchmarking failed."] or [
            line for line in lines if line.strip()
        ]
        raise ValueError(f"benchmark_model gave no times; its last error: {telling[-1][:200] if telling else '(none)'}")
    peaks = [float(match[1]) for line in lines if (match := _PEAK.search(line))]
    replaced = [match for line in lines if (match := _REPLACING.search(line))]
    explicit = [
        match[2] == "completely"
        for line in lines
        if (match := _EXPLICIT.search(line)) and match[1].lower() == accelerator
    ]
    # They are called TfLiteGpuDelegateV2 and TfLiteNnapiDelegate; TfLiteXNNPackDelegate, the CPU's, takes what they leave.
    # NNAPI's replaces operators even where its driver refuses them afterwards; then nothing says that it was applied.
    own = [match for match in replaced if accelerator in match[3].lower()]
    others = [match for match in replaced if match not in own]
    own = own if explicit else []
    shown = own or [match for match in others if match[3] == others[-1][3]]
    return Invocation(
        load_ms=int(timings[0][1]) / 1e3,
        first_ms=int(timings[0][2]) / 1e3,
        times_ms=tuple(time / 1e3 for time in _each(sums[1])),
        peak_mb=peaks[-1] * 2**20 / 1e6 if peaks else None,
        delegate=shown[-1][3] if shown else "",
        taken=sum(int(match[1]) for match in shown),
        nodes=max((int(match[2]) for match in replaced), default=0),
        pieces=sum(int(match[4]) for match in shown),
        accelerated=sum(int(match[1]) for match in own),
        complete=None if accelerator == "cpu" else bool(explicit) and all(explicit),
    )


def _each(sums: Mapping[str, str]) -> list[float]:
    """Microseconds of each of at most three runs, in the order in which they ran."""
    try:
        count = int(sums["count"])
        if count < 1:
            raise ValueError("benchmark_model ran nothing")
        if count == 1 or "min" not in sums:  # "count=3 curr=51629(all same)"
            return [float(sums["curr"])] * count
        first, last, low, high = (float(sums[name]) for name in ("first", "curr", "min", "max"))
        if count == 2:
            return [first, last]
        if count != RUNS_AT_ONCE:
            raise ValueError(f"benchmark_model ran {count} times, expected at most {RUNS_AT_ONCE}")
        mean = float(sums["avg"])
        middle = round(3 * mean) - low - high
        if mean >= _PRECISE_BELOW and "median" in sums:
            middle = float(sums["median"])
        values = [low, min(max(middle, low), high), high]
        for end in (first, last):
            values.remove(min(values, key=lambda value: abs(value - end)))
        return [first, values[0], last]
    except KeyError as exc:
        raise ValueError(f"benchmark_model printed no {exc.args[0]} of its runs") from exc
