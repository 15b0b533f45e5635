"""Two kinds of regression, seeded into a real bundle and looked for by `edgetl bench --compare`.

    python -m benchmarks.regressions BUNDLE WORK
    python -m benchmarks.regressions BUNDLE WORK --full --baselines 5 --trials 5 --repeats 1     slower, and more to be believed

From BUNDLE two twins are made in WORK: `slower`, whose onnx-fp32 file takes about a tenth longer, and `off_delegate`, whose
tflite-int8 file leaves at least 5 % of its operators to TFLite's own kernels. BUNDLE is measured `--baselines` times, then
the twins and BUNDLE itself `--trials` times each, in random order, one thread, all by `edgetl bench`. A trial is `--repeats`
measurements: the last one alone is compared with the baseline by `bench --compare`, all of them by `history compare`.
What is measured stays in WORK/history.sqlite and WORK/trials.json, and a second start goes on from there.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import twins
from benchmarks.markdown import made_by, ratio, table
from benchmarks.provenance import provenance
from edgetl.files import write_whole
from edgetl.runtime.manifest import Manifest
from edgetl.runtime.measurement import Measurement
from edgetl.runtime.measuring import measure
from edgetl.runtime.workers import local_worker

RESULT = Path(__file__).parent / "results" / "regressions.json"
SLOWER, OFF, NONE = "slower", "off_delegate", "none"
_SEEDED = {
    SLOWER: ("onnx-fp32", ("median",)),
    OFF: ("tflite-int8", ("partition", "share of operators")),
    NONE: ("", ()),
}
"""Of each kind, the artefact and what of it has to be named for it to count as found."""
_LAYERS = (8, 13, 18, 24, 32, 44)
_WANTED = 1.10
_SHARE = 0.05


def main() -> None:
    """Make the twins, measure, compare, write the result file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--full", action="store_true", help="at least 1024 runs and 60 s each, not some 100 runs")
    parser.add_argument("--baselines", type=int, default=8)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3, help="measurements of a trial")
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    (args.work / "one_thread.yaml").write_text("name: local_cpu_1t\nkind: local\nthreads: [1]\n", encoding="utf-8")
    seeded = _seed(args.bundle, args.work)
    folders = {NONE: args.bundle, SLOWER: args.work / SLOWER, OFF: args.work / OFF}
    trials = _measured(args, folders)
    found = provenance("benchmarks.regressions")
    found["command"] = found["command"].replace(str(args.bundle), "BUNDLE").replace(str(args.work), "WORK")
    found |= {"bundle": Manifest.load(args.bundle).name, "mode": "full" if args.full else "quick"}
    found |= {"baselines": args.baselines, "repeats": args.repeats, "seeded": seeded, "trials": trials}
    args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(args.out)


def _seed(bundle: Path, work: Path) -> dict[str, Any]:
    """The twins, once, and what is wrong with them: by edgetl's sessions and clock, interleaved."""
    path = work / "seeded.json"
    if not path.is_file():
        tries = {layers: work / f"layers{layers}" for layers in _LAYERS}
        name = _SEEDED[SLOWER][0]
        for layers, folder in tries.items():
            if not folder.is_dir():
                twins.twin(bundle, folder, name, partial(twins.more_work, layers=layers))
        ratios = _ratios(bundle, list(tries.values()), name, 4)
        layers, found = min(zip(tries, ratios, strict=True), key=lambda pair: abs(pair[1]["median"] - _WANTED))
        tries[layers].rename(work / SLOWER)
        slower = {"layers": layers, "ratio": found, **twins.differences(bundle, work / SLOWER, name)}
        name = _SEEDED[OFF][0]
        off = twins.twin(bundle, work / OFF, name, partial(twins.off_the_delegate, share=_SHARE))
        (found,) = _ratios(bundle, [work / OFF], name, 4)
        off |= {"ratio": found, **twins.differences(bundle, work / OFF, name)}
        write_whole(path, json.dumps({SLOWER: slower, OFF: off}, indent=1))
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _ratios(bundle: Path, others: Sequence[Path], name: str, runs: int) -> list[dict[str, float]]:
    """Of each other bundle's artefact, its time over the bundle's, round by round of interleaved runs with one thread."""
    plan = []
    for number, folder in enumerate((bundle, *others)):
        worker = local_worker(folder, Manifest.load(folder).artifact(name), 1)
        plan.append(replace(worker, name=f"{worker.name} {number}"))
    quotients: list[list[float]] = [[] for _ in others]
    for seed in range(runs):
        base, *rest = measure(plan, "quick", seed)
        assert isinstance(base, Measurement)
        for gathered, other in zip(quotients, rest, strict=True):
            assert isinstance(other, Measurement)
            gathered += [now / before for before, now in zip(base.round_ms, other.round_ms, strict=True)]
    return [{"median": statistics.median(each), "low": min(each), "high": max(each)} for each in quotients]


def _measured(args: argparse.Namespace, folders: Mapping[str, Path]) -> list[dict[str, Any]]:
    """All trials, those of an earlier start first."""
    path = args.work / "trials.json"
    known: dict[str, Any] = {"baselines": 0, "trials": []}
    if path.is_file():
        known = json.loads(path.read_text(encoding="utf-8"))
    while known["baselines"] < args.baselines:
        _bench(args, folders[NONE], "baseline")
        known["baselines"] += 1
        write_whole(path, json.dumps(known, indent=1))
    order = [(kind, number) for kind in folders for number in range(args.trials)]
    random.Random(0).shuffle(order)
    for kind, number in order:
        label = f"{kind}-{number}"
        if all(trial["label"] != label for trial in known["trials"]):
            for repeat in range(1, args.repeats):
                _bench(args, folders[kind], label)
                print(f"{label}: {repeat} of {args.repeats}", flush=True)
            single = _judged(_bench(args, folders[kind], label, "--compare", "baseline", "--json"), kind)
            words = ("history", "compare", label, "baseline", "--history", _history(args), "--json")
            trial = {"label": label, "kind": kind, "single": single, "pooled": _judged(_edgetl(*words), kind)}
            print(json.dumps(trial), flush=True)
            known["trials"].append(trial)
            write_whole(path, json.dumps(known, indent=1))
    return list(known["trials"])


def _history(args: argparse.Namespace) -> str:
    return str(args.work / "history.sqlite")


def _bench(args: argparse.Namespace, folder: Path, label: str, *words: str) -> subprocess.CompletedProcess[str]:
    quick = () if args.full else ("--quick",)
    place = ("--target", str(args.work / "one_thread.yaml"), "--history", _history(args), "--label", label)
    return _edgetl("bench", str(folder), *place, *quick, *words)


def _edgetl(*words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-m", "edgetl", *words], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"edgetl {' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
    return done


def _judged(done: subprocess.CompletedProcess[str], kind: str) -> dict[str, Any]:
    """Whether the seeded regression was named, and what else was that is none."""
    content = json.loads(done.stdout)
    comparison = content.get("comparison", content)
    artifact, words = _SEEDED[kind]
    named = [said for said in comparison["regressions"] if artifact and said.startswith(f"{artifact} ")]
    compared = [row for row in comparison["rows"] if not row["reason"]]
    seeded = [row for row in comparison["rows"] if row["artifact"] == artifact]
    return {
        "exit_code": done.returncode,
        "found": any(word in said for said in named for word in words),
        "compared": len(compared),
        "rows": len(comparison["rows"]),
        "seeded_noisy": [row["reason"] for row in seeded if row["reason"]],
        "false": [said for said in comparison["regressions"] if said not in named],
        "changes": {change["quantity"]: _short(change) for row in seeded for change in row["changes"]},
    }


def _short(change: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: change[name] for name in ("before", "now", "verdict")}
    return kept | ({"ratio": change["ratio"]} if change["ratio"] else {})


def render(result: Mapping[str, Any]) -> str:
    """The section of docs/results.md."""
    rows = []
    for kind, about in (
        (SLOWER, "more work in one file"),
        (OFF, "operators off the delegate"),
        (NONE, "nothing: the same bundle"),
    ):
        trials = [trial for trial in result["trials"] if trial["kind"] == kind]
        cells = []
        for how in ("single", "pooled"):
            judged = [trial[how] for trial in trials]
            cells.append("" if kind == NONE else f"{sum(each['found'] for each in judged)} of {len(judged)}")
            cells.append(f"{sum(bool(each['false']) for each in judged)} of {len(judged)}")
        compared = [each for trial in trials for each in (trial["single"], trial["pooled"])]
        share = sum(each["compared"] for each in compared) / max(1, sum(each["rows"] for each in compared))
        rows.append([about, *cells, f"{100 * share:.0f} %"])
    slower, off = result["seeded"][SLOWER], result["seeded"][OFF]
    text = (
        f"\nSeeded into the bundle of `{result['bundle']}`, one thread, {result['mode']} measurements; the baseline is "
        f"{result['baselines']} measurements of the unchanged bundle.\n\n"
        f"- Slower: {slower['layers']} pointwise convolutions of onnx-fp32 have a sibling whose result is added times zero; "
        f"{ratio(slower['ratio'], 3)} times as long in one interleaved run (median of the rounds' quotients, smallest and "
        f"largest); probabilities differ by {slower['max_abs_diff']:.1e} at most.\n"
        f"- Off the delegate: {off['off']} of {off['operators']} operators of tflite-int8 ({100 * off['share']:.1f} %) are "
        f"int8 hard-swishes, which XNNPACK refuses; {ratio(off['ratio'], 3)} times as long; probabilities differ by "
        f"{off['max_abs_diff']:.3f} at most, the top class on {100 * off['top1_agreement']:.0f} % of {off['images']} images is "
        "the same.\n\n"
        "Found: exit code 1, and the seeded file named for the seeded reason. False alarm: a trial in which anything else was "
        "called worse. One: a single measurement (`edgetl bench --compare`); "
        f"{result['repeats']}: that many together (`edgetl history compare`). Noisy rows are not compared.\n"
    )
    many = str(result["repeats"])
    head = ["seeded", "found, one", "false alarms, one", f"found, {many}", f"false alarms, {many}", "rows compared"]
    return "\n".join(["\n## Regressions\n", made_by(result), text, table(head, rows)])


if __name__ == "__main__":
    main()
