"""Run the study's cells side by side on one GPU, the most wanted first, until they are done or the time is over.

    python -m benchmarks.gpu_study DATA OUT --minutes 9

Every cell ends as logits of validation and test in OUT/logits.npz and a line in OUT/cells.json; OUT/networks-*.tar holds some
of the networks, in half precision.
"""

from __future__ import annotations

import argparse
import json
import time
import traceback
from collections.abc import Mapping
from pathlib import Path

import torch

from benchmarks.gpu_study.arrays import read
from benchmarks.gpu_study.cells import PROGRAMS, Bank, Program
from edgetl.models import torchvision_shim


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument(
        "--since", type=float, default=time.time(), help="when the minutes began, in seconds since 1970"
    )
    parser.add_argument("--lanes", type=int, default=6, help="trainings side by side")
    parser.add_argument("--only", nargs="*", help="these programs alone; name those whose networks they need too")
    parser.add_argument("--scale", type=float, default=1.0, help="of all epochs: less than 1 to try it out")
    parser.add_argument("--pictures", type=int, help="of each split at most so many: to try it out")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    print(f"imported; {len(PROGRAMS)} cells", flush=True)
    torchvision_shim.ensure()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    ham = read(options.data, 128, options.workers, options.pictures)
    print(f"{time.monotonic() - began:.0f} s: {len(ham.images)} pictures", flush=True)
    device = torch.device("cuda" if torch.cuda.device_count() else "cpu")
    bank = Bank(ham.to(device), options.out)
    bank.scale = options.scale
    programs = {name: program for name, program in PROGRAMS.items() if not options.only or name in options.only}
    _run(bank, programs, options.lanes, time.monotonic() + 60 * options.minutes - (time.time() - options.since))
    bank.save()
    bank.save_networks()
    print(json.dumps(bank.summary()), flush=True)
    if bank.failed:
        raise SystemExit(f"failed: {', '.join(sorted(bank.failed))}")


def _run(bank: Bank, programs: Mapping[str, Program], lanes: int, end: float) -> None:
    """Drive the programs, at most `lanes` of them at once; one that waits for another's network takes no place."""
    driven = {name: program(bank) for name, program in programs.items()}
    trains = dict.fromkeys(driven, False)
    began = told = saved = time.monotonic()
    while driven and time.monotonic() < end:
        busy = False
        for name, program in list(driven.items()):
            if not trains[name] and sum(trains.values()) >= lanes:
                continue
            try:
                state = next(program)
                trains[name] = state is not None
                busy = bool(state) or busy
                continue
            except StopIteration:
                print(f"{time.monotonic() - began:.0f} s: {name} done", flush=True)
            except Exception:  # noqa: BLE001 - one cell must not end the others
                bank.failed.add(name)
                print(f"{name} failed\n{traceback.format_exc()}", flush=True)
            del driven[name]
            trains[name] = False
            break  # the free place goes to the most wanted one that waits, not to the next in turn
        if not busy:
            time.sleep(0.0002)
        if time.monotonic() - told > 15:
            told = time.monotonic()
            active = [name for name, active in trains.items() if active]
            print(f"{told - began:.0f} s: {bank.images / (told - began):.0f} images/s, {active}", flush=True)
        if time.monotonic() - saved > 90:
            bank.save()
            saved = time.monotonic()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    bank.seconds = time.monotonic() - began


if __name__ == "__main__":
    main()
