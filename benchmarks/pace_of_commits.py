"""Whether a training step became slower: the same epochs by the code of two commits, interleaved.

    python -m benchmarks.pace_of_commits BASE COMMIT [--rounds 7]

Each round trains `fit` with EMA and augmentation (`benchmarks.training_overhead`'s `full`) in fresh processes, once with each
commit's code, in alternating order; a ratio divides the two of one round.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.markdown import made_by, ratio, table
from benchmarks.provenance import provenance
from benchmarks.training_overhead import pictures

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "pace_of_commits.json"


def main() -> None:
    """Measure, interleaved, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base")
    parser.add_argument("commit")
    parser.add_argument("--rounds", type=int, default=7)
    words = parser.parse_args()
    commits = [git("rev-parse", "--verify", f"{name}^{{commit}}") for name in (words.base, words.commit)]
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        pictures(Path(folder))
        codes = {commit: checked_out(commit, Path(folder)) for commit in commits}
        for number in range(words.rounds):
            seconds = {commit: _trained(codes[commit], folder) for commit in commits[:: 1 if number % 2 else -1]}
            rounds.append({clock: [seconds[commit][clock] for commit in commits] for clock in ("wall", "processor")})
    ratios = {clock: spread([later / base for base, later in (one[clock] for one in rounds)]) for clock in rounds[0]}
    about = {"base": commits[0], "measured": commits[1], "ratios": ratios, "rounds": rounds}
    result = {**provenance("benchmarks.pace_of_commits"), **about}
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def render(result: Mapping[str, Any]) -> str:
    """The section of docs/results.md."""
    rows = [[f"{clock} time", ratio(result["ratios"][clock])] for clock in ("wall", "processor")]
    return "\n".join(
        [
            "## Training against an earlier commit\n",
            made_by(result),
            f"Time of the same epochs, {result['measured'][:10]} over {result['base'][:10]}: median [smallest, largest] of "
            f"{len(result['rounds'])} rounds; above 1 is slower.\n",
            table(["", "ratio"], rows),
        ]
    )


def checked_out(commit: str, folder: Path) -> Path:
    """A clone with the code of a commit."""
    code = folder / commit
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(code)], check=True)
    subprocess.run(["git", "-C", str(code), "checkout", "--quiet", commit], check=True)
    return code


def _trained(code: Path, folder: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.training_overhead", "--worker", "full", folder]
    environment = os.environ | {"PYTHONPATH": str(code)}
    done = subprocess.run(command, cwd=code, env=environment, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def spread(quotients: list[float]) -> dict[str, float]:
    """Median, smallest and largest."""
    ordered = sorted(quotients)
    return {"median": ordered[len(ordered) // 2], "low": ordered[0], "high": ordered[-1]}


def git(*words: str) -> str:
    """What git says in this checkout."""
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
