"""A device over ssh: an emulated ARM64 machine computes what this one does, and losing it leaves nothing behind.

    python tools/arm64_device.py make
    python -m benchmarks.ssh_devices BUNDLE IMAGES --count 150 --losses 20    writes benchmarks/results/ssh_devices.json

The device is an OpenSSH server on loopback whose Python runs under qemu. IMAGES is a folder of pictures; `count` of them,
drawn by a seed, are decoded and resized here, and every file of the bundle runs on them there and here. Then
`edgetl bench BUNDLE` is started again and again, and at a random moment the connection is cut, or our program on the device
killed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.markdown import made_by, table
from benchmarks.provenance import provenance
from edgetl.devices.ssh.device import Ssh
from edgetl.devices.ssh.quoting import command
from edgetl.devices.ssh.target import SshTarget
from edgetl.runtime.manifest import Artifact, Manifest
from edgetl.runtime.preprocessing import preprocess
from edgetl.runtime.sessions import open_artifact
from tools import arm64_device, loopback_sshd
from tools.loopback_sshd import HOST, SshServer

RESULT = Path(__file__).parent / "results" / "ssh_devices.json"
TARGET = SshTarget(name="arm64_emulated", kind="ssh", host=HOST, threads=(1,), emulated=True)
_AT_ONCE = 25


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--losses", type=int, default=20)
    args = parser.parse_args()
    if why := loopback_sshd.missing() or arm64_device.missing():
        raise SystemExit(why)
    with tempfile.TemporaryDirectory() as folder:
        server = SshServer(Path(folder), arm64_device.python())
        os.environ["HOME"] = str(server.client)
        os.environ.pop("SSH_AUTH_SOCK", None)
        server.start()
        try:
            found = {
                **provenance("benchmarks.ssh_devices"),
                "count": args.count,
                **_agreement(args.bundle, args.images, args.count),
                "losses": [_loss(server, args.bundle, seed) for seed in range(args.losses)],
            }
        finally:
            server.stop()
    found["command"] = f"python -m benchmarks.ssh_devices BUNDLE IMAGES --count {args.count} --losses {args.losses}"
    RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _agreement(bundle: Path, images: Path, count: int) -> dict[str, Any]:
    """Selftest, pushes, and outputs there and here."""
    manifest = Manifest.load(bundle)
    chosen = random.Random(0).sample(sorted(images.rglob("*.jpg")), count)
    tensors = np.stack([preprocess(path, manifest.preprocessing) for path in chosen])
    with tempfile.TemporaryDirectory() as scratch:
        np.save(Path(scratch) / "tensors.npy", tensors)
        with closing(Ssh(TARGET)) as device:
            machine = device.info()
            there = device.push(bundle)
            line = command(["python3", "-m", "edgetl_runtime", "selftest", "--json", str(there)], device.runtime)
            checks = json.loads(device.connection.start(line).line(600.0) or "[]")
            first = device.pushed
            pictures = str(device.push(Path(scratch), keep=False) / "tensors.npy")
            rows = [_compared(device, there, bundle, artifact, pictures, tensors) for artifact in manifest.artifacts]
        with closing(Ssh(TARGET)) as again:
            again.push(bundle)
            assert again.runtime
            second = again.pushed
    passed = sum(check["passed"] is True for check in checks)
    return {
        "device": {"machine": machine.machine, "processor": machine.processor},
        "selftest": {"passed": passed, "of": len(checks)},
        "pushed files": {"first run": first, "second run": second},
        "rows": rows,
    }


def _compared(
    device: Ssh, there: Path, bundle: Path, artifact: Artifact, pictures: str, tensors: npt.NDArray[np.uint8]
) -> dict[str, Any]:
    session = open_artifact(bundle, artifact, 1)
    here = np.concatenate([session.run(tensor[None]) for tensor in tensors])
    said: list[list[float]] = []
    with device.worker(there, artifact, 1).start() as running:
        described = running.ready()
        while len(said) < len(tensors):
            said += running.outputs(pictures, len(said), min(_AT_ONCE, len(tensors) - len(said))) or []
            print(f"{artifact.name} {len(said)}/{len(tensors)}", file=sys.stderr)
    probabilities = np.array(said, np.float32)
    row = {
        "artifact": artifact.name,
        "runtime": f"{described['runtime']} {str(described['version']).partition('-')[0]}",
        "largest difference": float(np.max(np.abs(probabilities - here))),
        "same label": int(np.sum(probabilities.argmax(1) == here.argmax(1))),
        "labels": len(np.unique(here.argmax(1))),
    }
    print(json.dumps(row), flush=True)
    return row


def _loss(server: SshServer, bundle: Path, seed: int) -> dict[str, Any]:
    """One `edgetl bench` whose device is lost, by turns by the connection and by our program there."""
    how, seconds = ("connection", "program")[seed % 2], random.Random(seed).uniform(0.0, 20.0)
    target = server.folder / "target.yaml"
    target.write_text(f"name: arm64_emulated\nkind: ssh\nhost: {HOST}\nthreads: [1]\nemulated: true\n")
    bench = [sys.executable, "-m", "edgetl", "bench", str(bundle), "--target", str(target), "--json"]
    with subprocess.Popen(bench, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 60.0
        while not server.running() and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(seconds)
        for number in server.sessions() if how == "connection" else server.running()[:1]:  # the agent came first
            os.kill(number, signal.SIGKILL)
        out, err = process.communicate(timeout=120.0)
    result = {
        "how": how,
        "after s": round(seconds, 1),
        "exit code": process.returncode,
        "printed": len(out),
        "message": next((line for line in err.splitlines() if "lost" in line), err[-200:]),
        "left there": 0 if server.quiet(60.0) else len(server.running()),  # one that loads under qemu sees the end late
    }
    server.kill_all()
    print(json.dumps(result), flush=True)
    return result


def render(result: Mapping[str, Any]) -> str:
    """The section of docs/results.md."""
    count, losses = result["count"], result["losses"]
    head = ("file", "runtime there", "largest difference of a probability", "same label")
    rows = [
        (row["artifact"], row["runtime"], f"{row['largest difference']:.1e}", f"{row['same label']} of {count}")
        for row in result["rows"]
    ]
    selftest, pushed = result["selftest"], result["pushed files"]
    right = sum(loss["exit code"] == 4 for loss in losses)
    silent = sum(not loss["printed"] for loss in losses)
    clean = sum(not loss["left there"] for loss in losses)
    return "\n".join(
        [
            "## A device over ssh\n",
            made_by(result),
            f"An {result['device']['machine']} machine that qemu emulates behind an OpenSSH server: its outputs are real, its "
            f"times are no device's and are not shown. {count} pictures, each file there and on this machine. Selftest there: "
            f"{selftest['passed']} of {selftest['of']} checks passed. Files pushed by the first run: {pushed['first run']}, by "
            f"the second: {pushed['second run']}.\n",
            table(head, rows),
            f"\n`edgetl bench` with the device lost at a random moment of its first twenty seconds, {len(losses)} times: "
            f"{right} exits with code 4, {silent} without a row of results, {clean} with nothing left running on the device.\n",
        ]
    )


if __name__ == "__main__":
    main()
