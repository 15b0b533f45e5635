"""Model files that changed: with the check of their sha256 none reaches a native loader; without it the parent lives on.

    python -m benchmarks.mutated_models BUNDLE --count 1000     writes benchmarks/results/mutated_models.json

Each mutation of a runtime's int8 file is offered to `edgetl.runtime.load` as part of the bundle, then to a worker process,
which opens any path without a check and computes one image. Half of the mutations hit anywhere, where weights are most
of the bytes, half the first or last 16 KiB, where formats keep their structure.
"""

from __future__ import annotations

import argparse
import collections
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.markdown import made_by, table
from benchmarks.provenance import provenance
from edgetl import runtime
from edgetl.runtime.errors import IntegrityError, WorkerError
from edgetl.runtime.manifest import Artifact, Manifest
from edgetl.runtime.workers import local_worker

RESULT = Path(__file__).parent / "results" / "mutated_models.json"
OUTCOMES = ("refused by the loader", "computed", "crashed", "hung")
_EDGE = 2**14

Mutation = Callable[[bytearray, np.random.Generator], bytearray]


def flip(content: bytearray, random: np.random.Generator) -> bytearray:
    """One bit."""
    content[random.integers(len(content))] ^= 1 << random.integers(8)
    return content


def zero(content: bytearray, random: np.random.Generator) -> bytearray:
    """Up to 200 bytes."""
    start = int(random.integers(len(content)))
    end = start + int(random.integers(1, 200))
    before = bytes(content)
    content[start:end] = bytes(len(content[start:end]))
    return content if bytes(content) != before else flip(content, random)


def swap(content: bytearray, random: np.random.Generator) -> bytearray:
    """Two halves."""
    place = int(random.integers(1, len(content) - 1))
    turned = content[place:] + content[:place]
    return turned if turned != content else flip(content, random)


def cut(content: bytearray, random: np.random.Generator) -> bytearray:
    """The end missing."""
    return content[: random.integers(len(content))]


def grow(content: bytearray, random: np.random.Generator) -> bytearray:
    """Bytes appended."""
    return content + random.bytes(int(random.integers(1, 50)))


MUTATIONS: tuple[Mutation, ...] = (flip, zero, swap, cut, grow)


def mutated(good: bytes, seed: int) -> bytes:
    """Another file than `good`, the same one for a seed."""
    random = np.random.default_rng(seed)
    kind = MUTATIONS[seed % len(MUTATIONS)]
    if seed % 2 or kind in (swap, cut, grow) or len(good) <= 2 * _EDGE:
        return bytes(kind(bytearray(good), random))
    if random.integers(2):
        return bytes(kind(bytearray(good[:_EDGE]), random)) + good[_EDGE:]
    return good[:-_EDGE] + bytes(kind(bytearray(good[-_EDGE:]), random))


def main() -> None:
    """Mutate the int8 file of each runtime."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--count", type=int, default=1000, help="mutations a runtime")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(shutil.copytree(args.bundle, Path(folder) / "bundle"))
        manifest = Manifest.load(bundle)
        for artifact in manifest.artifacts:
            if artifact.precision == "int8":
                rows.append(_of(bundle, artifact, args.count))
                print(json.dumps(rows[-1]), flush=True)
    found = {**provenance("benchmarks.mutated_models"), "count": args.count, "rows": rows}
    found["command"] = f"python -m benchmarks.mutated_models BUNDLE --count {args.count}"
    RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _of(bundle: Path, artifact: Artifact, count: int) -> dict[str, Any]:
    """Mutations of an artefact's files by turns."""
    passed, outcomes = 0, collections.Counter[str]()
    paths = (artifact.path, *artifact.companions)
    for seed in range(count):
        path = bundle / paths[seed % len(paths)]
        good = path.read_bytes()
        path.write_bytes(mutated(good, seed))
        try:
            runtime.load(bundle, artifact.name)
            passed += 1
        except IntegrityError as error:
            passed += "sha256 is" not in error.message and "bytes" not in error.message  # the loader's own refusal
        outcomes[_unchecked(bundle, artifact)] += 1
        path.write_bytes(good)
        if sys.stderr.isatty():
            print(f"\r{artifact.name} {seed + 1}/{count}", end="", file=sys.stderr)
    return {"artifact": artifact.name, "passed the check": passed, **{name: outcomes[name] for name in OUTCOMES}}


def _unchecked(bundle: Path, artifact: Artifact) -> str:
    """What becomes of a worker that is given the file as it is."""
    try:
        with local_worker(bundle, artifact).start() as running:
            running.ready()
            running.run(1)
            running.quit()
    except WorkerError as error:
        if "exit code -" in error.message:
            return "crashed"
        return "hung" if "did not answer" in error.message else "refused by the loader"
    return "computed"


def render(result: Mapping[str, Any]) -> str:
    """The section of docs/results.md."""
    head = ("file", "passed the check", *OUTCOMES)
    rows = [(row["artifact"], *(str(row[name]) for name in head[1:])) for row in result["rows"]]
    return "\n".join(
        [
            "## Model files that changed\n",
            made_by(result),
            f"{result['count']:,} mutations of each runtime's int8 file of the main recipe. `passed the check`: "
            "`edgetl.runtime.load` gave it to the runtime. The others: what became of a process of its own that was given the "
            "file without a check; the process that started it went on each time.\n",
            table(head, rows),
        ]
    )


if __name__ == "__main__":
    main()
