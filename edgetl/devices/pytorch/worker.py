"""A network in PyTorch as a worker for measuring: the baseline that every artefact is compared with.

python -m edgetl.devices.pytorch.worker --network FOLDER --size PIXELS --threads N
    [--device cuda:0 --precision fp16 --mode graph --batch 64]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from edgetl.devices.pytorch.ways import MODES, PRECISIONS, Way, call, pictures, require, require_same
from edgetl.errors import EdgetlError
from edgetl.runtime.serving import serve, time_runs
from edgetl.runtime.workers import Command

_CPU = Way()


def worker(name: str, threads: int, network: Path, size: int, way: Way = _CPU) -> Command:
    """How to start the worker for the network that `edgetl.models.spec` wrote into a folder."""
    settings = ["--network", str(network), "--size", str(size), "--threads", str(threads)]
    settings += ["--device", way.device, "--precision", way.precision, "--mode", way.mode, "--batch", str(way.batch)]
    return Command(name, (sys.executable, "-m", "edgetl.devices.pytorch.worker", *settings), threads, way.batch)


def main() -> int:
    """Load the network, then serve: uint8 images in, probabilities out, as an artefact does; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", type=Path, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--device", default=_CPU.device)
    parser.add_argument("--precision", choices=PRECISIONS, default=_CPU.precision)
    parser.add_argument("--mode", choices=MODES, default=_CPU.mode)
    parser.add_argument("--batch", type=int, default=_CPU.batch)
    parsed = parser.parse_args()
    try:
        _serve(
            parsed.network, parsed.size, parsed.threads, Way(parsed.device, parsed.precision, parsed.mode, parsed.batch)
        )
    except EdgetlError as exc:
        print(exc, file=sys.stderr)
        return exc.exit_code
    return 0


def _serve(folder: Path, size: int, threads: int, way: Way) -> None:
    import torch

    from edgetl.models import spec

    start = time.perf_counter_ns()  # as of artefacts, without the import of the runtime
    torch.set_num_threads(threads)
    card, network, images = require(way), spec.load(folder), pictures(way, size)
    load_ms = (time.perf_counter_ns() - start) / 1e6
    plain = Way(batch=way.batch)
    # Before the way's own call, which sets for the whole process what products are shortened to.
    expected = None if way == plain else call(spec.load(folder), plain, images)()
    start = time.perf_counter_ns()
    run = call(network, way, images)
    load_ms += (time.perf_counter_ns() - start) / 1e6
    (first_ms,) = time_runs(run, 1)
    if expected is not None:
        require_same(run(), expected, way)
    described = {"runtime": "pytorch", "version": torch.__version__, "compute_precision": way.precision}
    placement = f"{way.mode} on {card}, the host's time with both copies" if card else way.mode
    place = {"accelerator": torch.device(way.device).type, "placement": placement, "delegated": 1.0}
    serve(run, {"load_ms": load_ms, "first_ms": first_ms, **described, **place})


if __name__ == "__main__":
    sys.exit(main())
