"""PyTorch eager as a worker for measuring: the baseline that every artefact is compared with.

python -m edgetl.devices.eager --network FOLDER --size PIXELS --threads N
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from edgetl.runtime.preprocessing import DIVISOR, OFFSET
from edgetl.runtime.serving import serve, time_runs
from edgetl.runtime.workers import Command


def worker(name: str, threads: int, network: Path, size: int) -> Command:
    """How to start the worker for the network that `edgetl.models.spec` wrote into a folder."""
    settings = ("--network", str(network), "--size", str(size), "--threads", str(threads))
    return Command(name, (sys.executable, "-m", "edgetl.devices.eager", *settings), threads)


def main() -> None:
    """Load the network, then serve: uint8 image in, probabilities out, as an artefact does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", type=Path, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parsed = parser.parse_args()
    start = time.perf_counter_ns()
    import torch

    from edgetl.models import spec

    torch.set_num_threads(parsed.threads)
    network = spec.load(parsed.network).eval()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch 2.13's stubs lack this form
    load_ms = (time.perf_counter_ns() - start) / 1e6
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (1, parsed.size, parsed.size, 3), dtype=torch.uint8, generator=generator)

    def run() -> torch.Tensor:
        with torch.inference_mode():
            return torch.softmax(network((image.permute(0, 3, 1, 2).float() - OFFSET) / DIVISOR), dim=-1)

    (first_ms,) = time_runs(run, 1)
    described = {"runtime": "pytorch", "version": torch.__version__, "compute_precision": "fp32"}
    place = {"accelerator": "cpu", "placement": "eager"}
    serve(run, {"load_ms": load_ms, "first_ms": first_ms, **described, **place})


if __name__ == "__main__":
    main()
