"""What TFLite's benchmark_model prints is read as what it means."""

from __future__ import annotations

import itertools

import pytest
from fakes import benchmark_model as fake

from edgetl.devices.adb.benchmark_model import arguments, parsed

# Of an arm64 phone, LiteRT's build of 2025; the paths are shortened.
LOG = """INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Min num runs: [3]
INFO: Graph: [./models/int4.tflite]
INFO: Loaded model ./models/int4.tflite
INFO: Initialized TensorFlow Lite runtime.
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
VERBOSE: Replacing 2136 out of 2168 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 65 partitions for subgraph 0.
INFO: The input model file size (MB): 8.45746
INFO: Initialized session in 207.799ms.
INFO: Running benchmark for at least 5 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=11 first=90710 curr=42743 min=42209 max=90710 avg=48230.2 std=13845 p5=42209 median=42611 p95=90710

INFO: Running benchmark for at least 3 iterations and at least 0 seconds but terminate if exceeding 60 seconds.
INFO: count=3 first=42468 curr=41938 min=41938 max=42840 avg=42415.3 std=370 p5=41938 median=42468 p95=42840

INFO: Inference timings in us: Init: 207799, First inference: 90710, Warmup (avg): 48230.2, Inference (avg): 42415.3
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE.
INFO: Memory footprint delta from the start of the tool (MB): init=23.5938 overall=26.6797
"""


def test_a_phones_log_is_read() -> None:
    found = parsed(LOG, "cpu")
    assert (found.load_ms, found.first_ms) == (207.799, 90.71)
    assert found.times_ms == (42.468, 42.84, 41.938)
    assert (found.delegate, found.taken, found.nodes, found.pieces) == ("TfLiteXNNPackDelegate", 2136, 2168, 65)
    assert found.peak_mb is None
    assert found.complete is None


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("scale", [1, 97, 9_973, 333_337])
def test_three_runs_are_told_in_their_order(scale: int, old: bool, capsys: pytest.CaptureFixture[str]) -> None:
    for values in itertools.product((3, 4, 7), repeat=3):
        runs = [value * scale for value in values]
        fake.sums([9, 9], old)
        fake.sums(runs, old)
        fake.say("Inference timings in us: Init: 1, First inference: 2, Warmup (avg): 3, Inference (avg): 4")
        times = [round(time * 1e3) for time in parsed(capsys.readouterr().out, "cpu").times_ms]
        assert (times[0], times[2]) == (runs[0], runs[2])
        # Six digits of the mean tell the middle one exactly below .1 s, and within 15 us of 2 s; newer builds say it.
        assert abs(times[1] - runs[1]) <= (15 * (scale == 333_337) if old else 0)


@pytest.mark.parametrize("runs", [[5], [5, 5], [5, 8], [8, 5]])
@pytest.mark.parametrize("old", [False, True])
def test_one_and_two_are_told_too(runs: list[int], old: bool, capsys: pytest.CaptureFixture[str]) -> None:
    fake.sums([9], old)
    fake.sums(runs, old)
    fake.say("Inference timings in us: Init: 1, First inference: 2, Warmup (avg): 3, Inference (avg): 4")
    assert [round(time * 1e3) for time in parsed(capsys.readouterr().out, "cpu").times_ms] == runs


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("count=3 ", "count=4 "), "ran 4 times, expected at most 3"),
        (("count=3 ", "count=0 "), "ran nothing"),
        (("count=3 first=42468", "count=3"), "no first of its runs"),
        (("Inference timings in us: Init", "Average inference timings in us: Warmup"), "gave no times"),
        (("INFO: Inference timings", "ERROR: no NNAPI\nERROR: Benchmarking failed.\n"), "its last error: no NNAPI"),
        ((LOG, ""), r"its last error: \(none\)"),
        ((LOG, "sh: benchmark_model: not executable: 64-bit ELF file"), "not executable: 64-bit ELF file"),
    ],
)
def test_what_is_no_result_is_none(change: tuple[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parsed(LOG.replace(*change), "cpu")


def test_the_last_three_runs_are_what_is_timed() -> None:
    """Not those of the warm-up, whose line comes first."""
    words = arguments("/m", 4, 3, 0.25, "gpu", {"gpu_backend": "cl"})
    assert {"--num_runs=3", "--min_secs=0", "--warmup_min_secs=0.25", "--num_threads=4", "--use_gpu=true"} <= set(words)
    assert "--gpu_precision_loss_allowed=false" in words
    assert "--gpu_backend=cl" in words
    assert max(parsed(LOG, "cpu").times_ms) < 50
