"""Do the tests notice a mistake? One operator or constant changed at a time, and the tests of that module run.

    python -m benchmarks.mutants [--room evidence] [--module gates] [--count 60] [--seed 0]

Of each room's changes (`mutations`) a seeded sample is drawn. Each is written into a copy of the checkout, where pytest
runs the module's tests (`nearest_tests`) until one fails, in a process forked from one that has loaded torch and its like
already: a second or two instead of ten. An answer is kept in .edgetl/mutants/ under the content of the module and its
tests: a stop loses one, and after an edit only what it concerns runs again. Once each room is answered,
benchmarks/results/mutants.json is written; survivors that change nothing have their reason in equivalent_mutants.json.

Why not a library: mutmut 3 draws no sample and leaves the constants of a module alone; cosmic-ray 8 changes files in
place, has one test command for all modules, and starts a process, so loads torch, for each change.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.markdown import made_by, table
from benchmarks.mutations import Mutation, mutations
from benchmarks.nearest_tests import ROOT, nearest_tests, python_files

RESULT = ROOT / "benchmarks" / "results" / "mutants.json"
EQUIVALENT = ROOT / "benchmarks" / "equivalent_mutants.json"
ANSWERS = ROOT / ".edgetl" / "mutants"
LOG = ANSWERS / "last.log"
ROOMS = ("evidence", "data", "runtime", "training")
BAR = 0.90
_LEFT_OUT = "phantom"  # renders the stand-in's images, which no test can hold against a right answer
_LOADED_BEFORE = ("pytest", "hypothesis", "scipy.stats", "edgetl.models", "timm", "accelerate", "sklearn.metrics")
_TIMES_SLOWER, _EXTRA_SECONDS = 5, 20
_FOLDERS = ("edgetl", "tests", "targets", "recipes", "docs", "benchmarks")


def sample(room: str, count: int, seed: int, module: str | None) -> list[tuple[str, Mutation]]:
    """`count` changes of a room with the files they are in; what is drawn of a file depends on no other file."""
    ranked = []
    for path in python_files(f"edgetl/{room}"):
        if _LEFT_OUT in Path(path).parts or module not in (None, Path(path).stem):
            continue
        for mutation in mutations((ROOT / path).read_text(encoding="utf-8")):
            name = f"{seed} {path} {mutation.source} {mutation.change} {mutation.nth}"
            ranked.append((hashlib.sha256(name.encode()).digest(), path, mutation))
    ranked.sort(key=lambda entry: entry[0])
    return sorted([entry[1:] for entry in ranked[:count]], key=lambda entry: (entry[0], entry[1].line))


class Copy:
    """A copy of the checkout in which modules are changed and tests run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in _FOLDERS:
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        for path in (*ROOT.glob("*.toml"), *ROOT.glob("*.md")):
            shutil.copy(path, folder)
        sys.path.insert(0, str(folder))
        for name in _LOADED_BEFORE:
            importlib.import_module(name)
        self._seconds: dict[tuple[str, ...], float] = {}

    def key(self, mutation: Mutation, tests: Sequence[str]) -> str:
        """Names what an answer depends on: the changed module and its tests."""
        digest = hashlib.sha256(mutation.text.encode())
        for test in tests:
            digest.update((self.folder / test).read_bytes())
        return digest.hexdigest()[:24]

    def answer(self, path: str, mutation: Mutation, tests: Sequence[str]) -> str:
        """`killed`, `survived`, or `too slow`, which counts as noticed."""
        limit = _TIMES_SLOWER * self._unchanged(tuple(tests)) + _EXTRA_SECONDS
        target = self.folder / path
        original = target.read_text(encoding="utf-8")
        target.write_text(mutation.text, encoding="utf-8")
        for compiled in (target.parent / "__pycache__").glob(f"{target.stem}.*"):
            compiled.unlink()  # Python would take it for the changed file's: same size, same second
        try:
            code = self._run(tests, limit)
        finally:
            target.write_text(original, encoding="utf-8")
        return {None: "too slow", 0: "survived"}.get(code, "killed")

    def _unchanged(self, tests: tuple[str, ...]) -> float:
        """Seconds that the tests take when nothing is changed. Exits when they fail."""
        if tests not in self._seconds:
            began = time.monotonic()
            if (code := self._run(tests, 900)) != 0:
                sys.exit(f"{' '.join(tests)} fail without any change ({code}): see {LOG}")
            self._seconds[tests] = time.monotonic() - began
        return self._seconds[tests]

    def _run(self, tests: Sequence[str], seconds: float) -> int | None:
        """pytest's exit code; None when it took longer than that."""
        if (child := os.fork()) == 0:
            self._in_child(tests)
        descriptor = os.pidfd_open(child)
        ended, _, _ = select.select([descriptor], [], [], seconds)
        os.close(descriptor)
        if not ended:
            os.killpg(child, signal.SIGKILL)  # with what its tests started
        status = os.waitpid(child, 0)[1]
        return os.waitstatus_to_exitcode(status) if ended else None

    def _in_child(self, tests: Sequence[str]) -> NoReturn:
        import pytest
        from hypothesis import Phase, settings

        code = 3
        try:
            os.setsid()
            os.chdir(self.folder)
            sys.dont_write_bytecode = True
            os.environ |= {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
            loaded = [name for name in sys.modules if name.startswith(tuple(f"edgetl.{room}" for room in ROOMS))]
            assert not loaded, f"{loaded} would stay unchanged"
            log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            # No shrinking, and the same examples for each change.
            phases = (Phase.explicit, Phase.generate)
            settings.register_profile("mutants", deadline=None, derandomize=True, database=None, phases=phases)
            options = [
                "-x",
                "-q",
                "--tb=line",
                "-p",
                "no:cacheprovider",
                "--hypothesis-profile=mutants",
                "--timeout=60",
            ]
            code = int(pytest.main([*options, "-W", "ignore::pytest.PytestAssertRewriteWarning", *tests]))
        finally:
            os._exit(code)


def answered(copy: Copy, room: str, drawn: Sequence[tuple[str, Mutation]]) -> list[dict[str, Any]]:
    """Each change with what became of it, out of the kept answers where there is one."""
    rows = []
    for number, (path, mutation) in enumerate(drawn, 1):
        tests = nearest_tests(path)
        kept = ANSWERS / f"{copy.key(mutation, tests)}.json"
        if not kept.is_file():
            began = time.monotonic()
            row: dict[str, Any] = {"answer": copy.answer(path, mutation, tests) if tests else "survived"}
            row["seconds"] = round(time.monotonic() - began, 1)
            kept.with_suffix(".partial").write_text(json.dumps(row), encoding="utf-8")
            kept.with_suffix(".partial").replace(kept)
            place = f"{path}:{mutation.line}"
            print(f"{room} {number}/{len(drawn)} {place} {mutation.change}: {row['answer']}", file=sys.stderr)
        what = {"file": path, "line": mutation.line, "source": mutation.source, "change": mutation.change}
        rows.append({**what, "nth": mutation.nth, **json.loads(kept.read_text(encoding="utf-8"))})
    return rows


def summary(rows: Sequence[Mapping[str, Any]], reasons: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A room's numbers, and what was not noticed, with the reason where there is one.

    Args:
        rows: of `answered`.
        reasons: each a `reason`, and the fields of the rows that it is for.
    """
    survivors = []
    for row in (row for row in rows if row["answer"] == "survived"):
        why = [entry["reason"] for entry in reasons if all(row[key] == entry[key] for key in entry if key != "reason")]
        what = {key: row[key] for key in ("file", "line", "source", "change", "nth")}
        survivors.append({**what, "reason": next(iter(why), None)})
    return {
        "mutants": len(rows),
        "killed": len(rows) - len(survivors),
        "too_slow": sum(row["answer"] == "too slow" for row in rows),
        "seconds": round(sum(row["seconds"] for row in rows)),
        "survivors": survivors,
    }


def main() -> None:
    """Run what is not answered yet; write the result when all rooms are."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mutants", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--room", choices=ROOMS, action="append")
    parser.add_argument("--module", help="only files of this name")
    parser.add_argument("--count", type=int, default=60, help="of each room")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    reasons = json.loads(EQUIVALENT.read_text(encoding="utf-8"))
    ANSWERS.mkdir(parents=True, exist_ok=True)
    rooms = {}
    with tempfile.TemporaryDirectory() as scratch:
        copy = Copy(Path(scratch) / "checkout")
        for room in asked.room or ROOMS:
            drawn = sample(room, asked.count, asked.seed, asked.module)
            rooms[room] = summary(answered(copy, room, drawn), reasons)
        from benchmarks.provenance import provenance  # not before: it loads rooms that are to be changed

        result = {**provenance("benchmarks.mutants"), "seed": asked.seed, "bar": BAR, "rooms": rooms}
    if tuple(rooms) == ROOMS and asked.module is None:
        RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(render(result))


def render(result: Mapping[str, Any]) -> str:
    """The section for docs/results.md."""
    rows = [
        [room, f"{numbers['mutants']}", f"{numbers['killed']} ({numbers['killed'] / max(numbers['mutants'], 1):.0%})"]
        for room, numbers in result["rooms"].items()
    ]
    survivors = [
        [f"`{row['file']}:{row['line']}`", f"`{row['source']}`", f"`{row['change']}`", row["reason"] or "a hole"]
        for numbers in result["rooms"].values()
        for row in numbers["survivors"]
    ]
    cells = [[part.replace("|", "\\|") for part in row] for row in survivors]
    return (
        "## Mutants\n\n"
        + made_by(result)
        + "\nOne comparison, operator, constant, condition, return or raise is changed at a time, drawn with seed "
        f"{result['seed']}, and the unit tests of its module run; at least {result['bar']:.0%} must be noticed.\n\n"
        + table(["room", "changed", "noticed"], rows)
        + ("\nNot noticed:\n\n" + table(["place", "line", "change", "why"], cells) if cells else "")
    )


if __name__ == "__main__":
    main()
