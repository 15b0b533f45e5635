#!/usr/bin/env python3
"""Prints what TFLite's benchmark_model prints, and computes what its graph does where that is a .tflite file.

Formats: OnBenchmarkEnd and Run of tflite/tools/benchmark/benchmark_model.cc, Init of benchmark_tflite_model.cc (LiteRT 7d88950,
01d971c), OutputToStream of tensorflow/core/util/stats_calculator.h.

A graph that is no .tflite file is text: `times 5100 5200 5300`, the microseconds of its runs in turn; `fail WORDS`, an error;
`hang SECONDS`; `talk SECONDS`, lines all the while; `old`, the lines of older builds; `gpu completely|partially|none`, what
a delegate took.
"""

import os
import sys
import time
from pathlib import Path


def main() -> int:
    """As the program: flags as --name=value."""
    flags = dict(word[2:].split("=", 1) for word in sys.argv[1:])
    content = Path(flags["graph"]).read_bytes()
    real = content[4:8] == b"TFL3"
    told: dict[str, list[str]] = (
        {} if real else {line.split()[0]: line.split()[1:] for line in content.decode().splitlines() if line.split()}
    )
    say("STARTING!")
    say(f"Graph: [{flags['graph']}]")
    if "hang" in told:
        time.sleep(float(told["hang"][0]))
    for _ in range(5 * int(told.get("talk", ["0"])[0])):
        say("and on")
        time.sleep(0.2)
    if "fail" in told:
        print("ERROR: " + " ".join(told["fail"]), file=sys.stderr)
        print("ERROR: Benchmarking failed.", file=sys.stderr)
        return 1
    say("Initialized TensorFlow Lite runtime.")
    accelerated = "gpu" if flags.get("use_gpu") == "true" else ""
    took = told.get("gpu", ["none"])[0]
    if accelerated and took == "none":
        say("Though GPU delegate is explicitly applied, the model graph will not be executed by the delegate.")
    elif accelerated:
        taken = 60 if took == "completely" else 41
        print(
            f"VERBOSE: Replacing {taken} out of 60 node(s) with delegate (TfLiteGpuDelegateV2) node, "
            "yielding 1 partitions for subgraph 0."
        )
        tail = " w/ 1 delegate kernels." if took == "partially" else "."
        say(f"Explicitly applied GPU delegate, and the model graph will be {took} executed by the delegate{tail}")
    left = {"completely": 0, "partially": 19}.get(took, 60) if accelerated else 60
    if left and "old" not in told:  # XNNPACK takes what an accelerator leaves
        print(
            f"VERBOSE: Replacing {left} out of {left} node(s) with delegate (TfLiteXNNPackDelegate) node, "
            "yielding 1 partitions."
        )
    times = [int(each) for each in told.get("times", ["5100", "5200", "5300"])]
    say(f"The input model file size (MB): {len(content) / 1e6:.6g}")
    say("Initialized session in 12.5ms.")
    sums([9000, 5100, 5050], "old" in told)
    runs = int(flags["num_runs"])
    start = os.getpid() % len(times)
    sums([times[(start + run) % len(times)] for run in range(runs)], "old" in told)
    say("Inference timings in us: Init: 12500, First inference: 9000, Warmup (avg): 6383.33, Inference (avg): 5200")
    say("Memory footprint delta from the start of the tool (MB): init=5.5 overall=7.25")
    if flags.get("report_peak_memory_footprint") == "true":
        say("Overall peak memory footprint (MB) via periodic monitoring: 25.5")
    if "output_filepath" in flags:
        data = Path(flags["input_layer_value_files"].split(":", 1)[1]).read_bytes()
        shape = [int(side) for side in flags["input_layer_shape"].split(",")]
        Path(flags["output_filepath"]).write_bytes(compute(flags["graph"], data, shape))
    return 0


def say(line: str) -> None:
    """A line as TFLITE_LOG(INFO) writes it."""
    print(f"INFO: {line}", flush=True)


def sums(values: list[int], old: bool) -> None:
    """Of `Stat`, and of `StatWithPercentiles` in newer builds."""
    say("Running benchmark for at least 1 iterations and at least 0 seconds but terminate if exceeding 60 seconds.")
    if min(values) == max(values):
        same = "(all same)" if len(values) > 1 else ""
        print(f"INFO: count={len(values)} curr={values[-1]}{same}\n")
        return
    mean = sum(values) / len(values)
    deviation = int((sum(value * value for value in values) / len(values) - mean * mean) ** 0.5)
    line = f"count={len(values)} first={values[0]} curr={values[-1]} min={min(values)} max={max(values)} avg={mean:.6g}"
    line += f" std={deviation}"
    if not old:
        line += f" p5={min(values)} median={sorted(values)[len(values) // 2]} p95={max(values)}"
    print(line + "\n" if old else f"INFO: {line}\n")


def compute(graph: str, data: bytes, shape: list[int]) -> bytes:
    """The bytes of all outputs."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(graph)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.frombuffer(data, np.uint8).reshape(shape))
    interpreter.invoke()
    found: bytes = interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).tobytes()
    return found


if __name__ == "__main__":
    sys.exit(main())
