"""Builds that run at once in one store: is every stage computed once, and is nothing damaged?

    python -m benchmarks.concurrent_builds [--rounds 10] [--builds 4]

A round starts equal builds together in an empty store, each with a run folder of its own. Counted: exit codes, how often
each stage was computed (the builds' own logs), what `edgetl cache verify` finds, and whether the artefacts are the same
files with the same outputs.
"""

from __future__ import annotations

import argparse
import collections
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.markdown import made_by
from benchmarks.provenance import provenance
from benchmarks.tiny_build import TinyBuild, artefacts, events

RESULT = Path(__file__).parent / "results" / "concurrent_builds.json"


def main() -> None:
    """Run the rounds; the result is written after each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--builds", type=int, default=4)
    arguments = parser.parse_args()
    about, rounds = provenance("benchmarks.concurrent_builds"), []
    for number in range(arguments.rounds):
        with tempfile.TemporaryDirectory(prefix="edgetl-concurrent-") as folder:
            rounds.append(_round(Path(folder), arguments.builds))
        print(f"round {number + 1}: {json.dumps(rounds[-1])}", flush=True)
        document = {**about, "builds": arguments.builds, "rounds": rounds, "summary": _summary(rounds)}
        RESULT.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(RESULT)


def _round(folder: Path, builds: int) -> dict[str, Any]:
    tiny = TinyBuild(folder)
    runs = [folder / "runs" / str(number) for number in range(builds)]
    started = [tiny.start("--out", str(run)) for run in runs]
    said = [process.communicate()[1] for process in started]
    codes = [process.returncode for process in started]
    for code, words in zip(codes, said, strict=True):
        if code != 0:
            print(words[-2000:], flush=True)
    computed = collections.Counter(
        event["name"] for run in runs for event in events(run) if event["event"] == "stage_end"
    )
    begun = collections.Counter(event["name"] for run in runs for event in events(run) if event["event"] == "stage")
    entries = len(list((tiny.store / "entries").iterdir()))
    results = [artefacts(run) for run, code in zip(runs, codes, strict=True) if code == 0]
    return {
        "exit_codes": codes,
        "stages": len(computed),
        "entries": entries,
        "computed_more_than_once": sorted(name for name, times in (computed | begun).items() if times != 1),
        "waited": sum(words.count("waiting for another build") for words in said),
        "damaged": len(tiny.damaged()),
        "left_aside": len(list((tiny.store / "aside").iterdir())),
        "same_artefacts": len(results) == builds and all(result == results[0] for result in results),
    }


def _summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "rounds": len(rounds),
        "builds_that_ended_well": sum(code == 0 for one in rounds for code in one["exit_codes"]),
        "builds": sum(len(one["exit_codes"]) for one in rounds),
        "stages_computed_more_than_once": sum(len(one["computed_more_than_once"]) for one in rounds),
        "damaged_entries": sum(one["damaged"] for one in rounds),
        "rounds_with_equal_artefacts": sum(one["same_artefacts"] for one in rounds),
    }


def render(result: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    summary = result["summary"]
    return (
        "## Several builds in one store\n\n"
        f"{made_by(result)}\n"
        f"{summary['rounds']} rounds of {result['builds']} equal builds started together in one empty store: "
        f"{summary['builds_that_ended_well']} of {summary['builds']} ended with exit code 0, "
        f"{summary['stages_computed_more_than_once']} stages were computed more than once, "
        f"{summary['damaged_entries']} stored results were damaged, and in {summary['rounds_with_equal_artefacts']} of "
        f"{summary['rounds']} rounds all builds delivered the same files.\n"
    )


if __name__ == "__main__":
    main()
