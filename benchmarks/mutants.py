"""Do the tests notice a mistake? One operator or constant changed at a time, and the tests of that module run.

    python -m benchmarks.mutants [--room evidence] [--module gates] [--count 60] [--seed 0]

Of each room's changes (`benchmarks.mutations`) a seeded sample is drawn. Each is written into a copy of the checkout, where
pytest runs until the first failure, in a process forked from one that has loaded torch and its like already: a second or
two instead of ten. An answer is kept in .edgetl/mutants/ under the content of the module and its tests: a stop loses
one, and after an edit only what it concerns runs again. Once each room is answered, benchmarks/results/mutants.json is
written. Survivors that change nothing have their reason in benchmarks/equivalent_mutants.json.

Why not a library: mutmut 3 draws no sample and leaves the constants of a module alone; cosmic-ray 8 changes files in
place, has one test command for all modules, and starts a process, so loads torch, for each change.
"""

from __future__ import annotations

import argparse
import ast
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
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.markdown import made_by, table
from benchmarks.mutations import Mutation, mutations

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "mutants.json"
EQUIVALENT = ROOT / "benchmarks" / "equivalent_mutants.json"
ANSWERS = ROOT / ".edgetl" / "mutants"
ROOMS = ("evidence", "data", "runtime", "training")
LEFT_OUT = "phantom"  # renders the stand-in's images, which no test can hold against a right answer
LOG = ANSWERS / "last.log"
BAR = 0.90
_LOADED_BEFORE = (
    "pytest",
    "hypothesis.extra.numpy",
    "scipy.stats",
    "edgetl.models",
    "timm",
    "accelerate",
    "sklearn.metrics",
)
_TIMES_SLOWER, _EXTRA_SECONDS = 5, 20

# Modules whose tests import them in a way that `tests_of` does not see, or whose nearest tests take minutes.
TESTS = {
    "edgetl/training/loop.py": ["tests/train/test_loop.py"],
    "edgetl/training/distributed.py": ["tests/train/test_processes.py"],
}


def tests_of(module: str) -> list[str]:
    """The test file named after a module; else the files of tests/unit and tests/device that import it.

    Where none does, those of the modules that import it, and so on.

    Args:
        module: path from the root, `edgetl/evidence/gates.py`.
    """
    if module in TESTS:
        return TESTS[module]
    wanted, seen = {_dotted(module)}, set[str]()
    while wanted - seen:
        importing = {path for path in _files("tests") if _imports(path) & wanted}
        helpers = {Path(path).stem for path in importing}
        importing |= {path for path in _files("tests") if _imports(path) & helpers}
        chosen = [path for path in importing if path.startswith(("tests/unit/test_", "tests/device/test_"))]
        if chosen:
            own = [path for path in chosen if Path(path).stem == f"test_{Path(module).stem}"]
            return own or sorted(chosen)
        seen |= wanted
        wanted = {_dotted(path) for path in _files("edgetl") if _imports(path) & wanted}
    return []


@cache
def _files(folder: str) -> tuple[str, ...]:
    return tuple(str(path.relative_to(ROOT)) for path in sorted((ROOT / folder).rglob("*.py")))


def _dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@cache
def _imports(path: str) -> frozenset[str]:
    """Dotted names of all that a file imports."""
    package = path.split("/")[:-1]
    names = set[str]()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def sample(room: str, count: int, seed: int, module: str | None) -> list[tuple[str, Mutation]]:
    """`count` changes of a room with the files they are in; what is drawn of one file depends on no other file."""
    ranked = []
    for path in _files(f"edgetl/{room}"):
        if LEFT_OUT in Path(path).parts or module not in (None, Path(path).stem):
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
        for part in ("edgetl", "tests", "targets", "recipes", "docs", "benchmarks"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "results"))
        for path in (*ROOT.glob("*.toml"), *ROOT.glob("*.md")):
            shutil.copy(path, folder)
        sys.path.insert(0, str(folder))
        for name in _LOADED_BEFORE:
            importlib.import_module(name)
        self._seconds: dict[tuple[str, ...], float] = {}

    def key(self, mutation: Mutation, tests: Sequence[str]) -> str:
        """What an answer depends on: the changed module and its tests."""
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
            code = self._run(tests, limit, _dotted(path))
        finally:
            target.write_text(original, encoding="utf-8")
        return {None: "too slow", 0: "survived"}.get(code, "killed")

    def _unchanged(self, tests: tuple[str, ...]) -> float:
        """Seconds that the tests take when nothing is changed. Exits when they fail."""
        if tests not in self._seconds:
            began = time.monotonic()
            if (code := self._run(tests, 900, None)) != 0:
                sys.exit(f"{' '.join(tests)} fail without any change ({code}): see {LOG}")
            self._seconds[tests] = time.monotonic() - began
        return self._seconds[tests]

    def _run(self, tests: Sequence[str], seconds: float, changed: str | None) -> int | None:
        """pytest's exit code; None when it took longer than that."""
        if (child := os.fork()) == 0:
            self._in_child(tests, changed)
        descriptor = os.pidfd_open(child)
        ended, _, _ = select.select([descriptor], [], [], seconds)
        os.close(descriptor)
        if not ended:
            os.killpg(child, signal.SIGKILL)  # with what its tests started
        status = os.waitpid(child, 0)[1]
        return os.waitstatus_to_exitcode(status) if ended else None

    def _in_child(self, tests: Sequence[str], changed: str | None) -> None:
        import pytest
        from hypothesis import Phase, settings

        code = 3
        try:
            os.setsid()
            os.chdir(self.folder)
            os.environ["PYTHONPATH"] = str(self.folder)
            if changed is not None:
                sys.dont_write_bytecode = True
                os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
                assert changed not in sys.modules, f"{changed} is loaded already, unchanged"
            log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            # No shrinking, and the same examples for each change.
            phases = (Phase.explicit, Phase.generate)
            settings.register_profile("mutants", deadline=None, derandomize=True, database=None, phases=phases)
            options = [
                "-x",
                "-q",
                "-p",
                "no:cacheprovider",
                "--hypothesis-profile=mutants",
                "--tb=line",
                "-W",
                "ignore::pytest.PytestAssertRewriteWarning",
            ]
            code = int(pytest.main([*options, *tests]))
        finally:
            os._exit(code)


def answered(copy: Copy, room: str, drawn: Sequence[tuple[str, Mutation]]) -> list[dict[str, Any]]:
    """Each change with what became of it, out of the kept answers where there is one."""
    rows = []
    for number, (path, mutation) in enumerate(drawn, 1):
        tests = tests_of(path)
        kept = ANSWERS / f"{copy.key(mutation, tests)}.json"
        if not kept.is_file():
            began = time.monotonic()
            answer = copy.answer(path, mutation, tests) if tests else "survived"
            row = {"file": path, "line": mutation.line, "source": mutation.source, "change": mutation.change}
            row |= {"nth": mutation.nth, "answer": answer, "seconds": round(time.monotonic() - began, 1)}
            kept.with_suffix(".partial").write_text(json.dumps(row), encoding="utf-8")
            kept.with_suffix(".partial").replace(kept)
            print(f"{room} {number}/{len(drawn)} {path}:{row['line']} {row['change']}: {answer}", file=sys.stderr)
        rows.append(json.loads(kept.read_text(encoding="utf-8")))
    return rows


def summary(rows: Sequence[Mapping[str, Any]], reasons: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A room's numbers: how many changes, how many were noticed, and those that were not, with the reason if there is one."""
    survivors = []
    for row in (row for row in rows if row["answer"] == "survived"):
        why = [entry["reason"] for entry in reasons if all(row[key] == entry[key] for key in entry if key != "reason")]
        survivors.append(
            {**{key: row[key] for key in ("file", "line", "source", "change")}, "reason": next(iter(why), None)}
        )
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
    parser.add_argument("--module", help="only the file of this name; nothing is written")
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
        from benchmarks.provenance import provenance  # loads rooms that are to be changed
    result = {**provenance("benchmarks.mutants"), "seed": asked.seed, "bar": BAR, "rooms": rooms}
    if tuple(rooms) == ROOMS and asked.module is None:
        RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(render(result))


def render(result: Mapping[str, Any]) -> str:
    """The section for docs/results.md."""
    rows = [
        [room, str(told["mutants"]), f"{told['killed']} ({told['killed'] / max(told['mutants'], 1):.0%})"]
        for room, told in result["rooms"].items()
    ]
    survivors = [
        [f"`{one['file']}:{one['line']}`", f"`{one['source']}`", f"`{one['change']}`", one["reason"] or "a hole"]
        for told in result["rooms"].values()
        for one in told["survivors"]
    ]
    cell = [[part.replace("|", "\\|") for part in row] for row in survivors]
    return (
        "## Mutants\n\n"
        + made_by(result)
        + "\nOne comparison, operator, constant, condition, return or raise is changed at a time, drawn with seed "
        f"{result['seed']}, and the unit tests of that module run; at least {result['bar']:.0%} must fail.\n\n"
        + table(["room", "changed", "noticed"], rows)
        + ("\nNot noticed:\n\n" + table(["place", "line", "change", "why"], cell) if cell else "")
    )


if __name__ == "__main__":
    main()
