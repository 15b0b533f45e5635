"""Trained to the end: what longer schedules, a teacher, augmentation and pruning buy when every training may finish.

    python -m benchmarks.schedules CELLS... SPLIT

CELLS are outputs of `benchmarks.gpu_study` (`cells.json`, `logits.npz`), SPLIT its `split.json`. The last step of each
training is judged: no epoch and no candidate was chosen, on validation as little as on test, so both are unseen images and
their pool is the narrower ruler. Also writes `edgetl/training/ladder.json`, which the forecast of a build quotes.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.markdown import interval, made_by, points, table
from benchmarks.pooled import Draws, draws, spread
from benchmarks.provenance import provenance
from benchmarks.study import verdict
from edgetl.evidence.calibration import softmax
from edgetl.evidence.intervals import with_intervals
from edgetl.training.ladder import FILE, Ladder

RESULT = Path(__file__).parent / "results" / "schedules.json"
LENGTHS = (15, 30, 60, 100)
COLUMNS = {
    "mild": "standard augmentation",
    "strong": "strong augmentation",
    "distilled": "strong augmentation, DIST",
}
CELLS = {
    "teacher0": "EfficientNet-Lite0 from ImageNet, alone",
    "teacher1": "the same, another seed",
    "teacher2": "the same, a third seed",
    "accurate1": "EfficientNet-Lite0 from ImageNet, taught by one (KD)",
    "accurate3": "the same, taught by three (KD)",
    "main0": "MobileNetV3-L, taught (DIST)",
    "main1": "the same, another seed",
    "small0": "main0 with the first half of the epochs at 96 px",
    "early40_0": "main0 pruned to 40 % of its MACs after 10 epochs",
    "early60_0": "main0 pruned to 60 % of its MACs after 10 epochs",
    "early60_1": "main1 pruned to 60 % of its MACs after 10 epochs",
    "trial0": "main0, 10 epochs",
    "trial1": "main1, 10 epochs",
}
Pair = tuple[str, str]
"""Candidate and reference."""
_EARLY60 = (("early60_0", "main0"), ("early60_1", "main1"))
PAIRS: tuple[Pair, ...] = (
    ("main1", "main0"),
    ("main0", "teacher0"),
    ("main1", "teacher0"),
    ("main0", "strong_100"),
    *((f"mild_{length}", "mild_100") for length in LENGTHS[-2::-1]),
    *((f"strong_{length}", f"mild_{length}") for length in LENGTHS),
    *((f"distilled_{length}", f"strong_{length}") for length in LENGTHS),
    ("small0", "main0"),
    ("early40_0", "main0"),
    *_EARLY60,
    ("accurate1", "teacher0"),
    ("accurate3", "accurate1"),
)
_EARLY60_MEAN = ("early60, two seeds", "main, two seeds")
MEANS: Mapping[Pair, Sequence[Pair]] = {_EARLY60_MEAN: _EARLY60}
"""Differences of several seeds that are averaged."""
_OTHERS = ("main", "lite0")
"""What the study's cells of `benchmarks.teachers` begin with."""
_POOLS = {"val": ("val",), "test": ("test",), "both": ("val", "test")}
_SHOWN = ("balanced_accuracy", "auroc", "auroc.mel")
_MEAN = "mean"
_BARS = {40: -0.025, 60: -0.01}
"""What pruning to so many percent may cost, of the mean of balanced accuracy and AUROC."""

Document = dict[str, Any]


def main() -> None:
    """Judge the cells, write the result file and the forecast's table."""
    logits, about, split = studied("benchmarks.schedules")
    cells = {name: cell for name, cell in about["cells"].items() if name.partition("_")[0] not in _OTHERS}
    result = {
        **provenance("benchmarks.schedules"),
        "command": "python -m benchmarks.schedules CELLS... SPLIT",
        **{name: about[name] for name in ("card", "torch", "seconds", "images", "failed")},
        "train_images": len(split["train"]),
        **judged(logits, split, cells),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    FILE.write_text(json.dumps(rungs(result), indent=2) + "\n", encoding="utf-8")
    print(render(result))


def studied(module: str) -> tuple[Mapping[str, NDArray[Any]], Document, Document]:
    """What the command line names, outputs of the study and their split: all logits, what `cells.json` says, the split.

    Of several outputs, times and images are added up, and of a cell that several have the first one's is taken.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("cells", type=Path, nargs="+")
    parser.add_argument("split", type=Path)
    options = parser.parse_args()
    logits: dict[str, NDArray[Any]] = {}
    about: Document = {}
    cells: Document = {}
    seconds, images = 0.0, 0
    for folder in options.cells:
        about = json.loads((folder / "cells.json").read_text(encoding="utf-8"))
        with np.load(folder / "logits.npz") as arrays:
            for part in ("val", "test"):
                labels = logits.setdefault(f"labels_{part}", arrays[f"labels_{part}"])
                assert (labels == arrays[f"labels_{part}"]).all(), f"{folder}: another split"
            for name in about["cells"].keys() - cells.keys():
                logits |= {f"{name}_{part}": arrays[f"{name}_{part}"] for part in ("val", "test")}
        cells = {**about["cells"], **cells}
        seconds, images = seconds + about["seconds"], images + about["images"]
    about |= {"cells": cells, "seconds": seconds, "images": images}
    return logits, about, json.loads(options.split.read_text(encoding="utf-8"))


def judged(
    logits: Mapping[str, NDArray[Any]],
    split: Mapping[str, Any],
    cells: Mapping[str, Mapping[str, Any]],
    wanted: Sequence[Pair] = PAIRS,
    means: Mapping[Pair, Sequence[Pair]] = MEANS,
) -> Document:
    """Scores of each cell and paired differences, on validation, on test, and on both together.

    means: names of a difference that is the mean of several, whose cells are all there or it is left out.
    """
    classes = split["classes"]
    scores: dict[str, Document] = {
        name: {"epochs": cell["epochs"], "seed": cell["seed"]} for name, cell in cells.items()
    }
    questions = {pair: [pair] for pair in wanted} | {name: list(pairs) for name, pairs in means.items()}
    asked = {name: pairs for name, pairs in questions.items() if cells.keys() >= set(itertools.chain(*pairs))}
    pairs: list[Document] = [{"candidate": ours, "reference": theirs} for ours, theirs in asked]
    pools: Document = {}
    for pool, parts in _POOLS.items():
        rows = [row for part in parts for row in split[part]]
        labels, groups = np.array([label for _, label, _ in rows]), [group for _, _, group in rows]
        assert (labels == np.concatenate([logits[f"labels_{part}"] for part in parts])).all(), "another split"
        said = {name: softmax(np.concatenate([logits[f"{name}_{part}"] for part in parts])) for name in cells}
        for name in cells:
            found = with_intervals(said[name], labels, groups, classes)
            scores[name][pool] = {metric: found[metric].to_json() for metric in _SHOWN}
        drawn = {name: _drawn(said[name], labels, groups, classes) for name in cells}
        for pair, several in zip(pairs, asked.values(), strict=True):
            pair[pool] = _verdicts([_less(drawn[ours], drawn[theirs]) for ours, theirs in several], groups)
        pools[pool] = {"images": len(labels), "groups": len(set(groups))}
    return {"pools": pools, "cells": scores, "pairs": pairs}


def _drawn(
    said: NDArray[np.floating[Any]], labels: NDArray[np.int64], groups: Sequence[str], classes: Sequence[str]
) -> dict[str, Draws]:
    found = draws(said, labels, groups, classes)
    return {metric: found[metric] for metric in _SHOWN}


def differences(ours: Mapping[str, Draws], theirs: Mapping[str, Draws], groups: Sequence[str]) -> Document:
    """Candidate less reference on the same resamples; `mean` is that of balanced accuracy and AUROC."""
    return _verdicts([_less(ours, theirs)], groups)


def _less(ours: Mapping[str, Draws], theirs: Mapping[str, Draws]) -> dict[str, Draws]:
    found = {metric: ours[metric] - theirs[metric] for metric in _SHOWN}
    return {**found, _MEAN: (found["balanced_accuracy"] + found["auroc"]) / 2}


def _verdicts(found: Sequence[Mapping[str, Draws]], groups: Sequence[str]) -> Document:
    """Of the mean of several differences."""
    averaged = {
        metric: functools.reduce(operator.add, [each[metric] for each in found]) / len(found) for metric in found[0]
    }
    intervals = {metric: spread(drawn, groups) for metric, drawn in averaged.items()}
    return {metric: {**each.to_json(), "verdict": verdict(each)} for metric, each in intervals.items()}


def rungs(result: Mapping[str, Any], column: str = "mild") -> Document:
    """The forecast's table: what the shorter schedules of one column lose against its longest."""
    longest, *shorter = sorted(LENGTHS, reverse=True)

    def score(length: int, metric: str) -> float:
        return float(result["cells"][f"{column}_{length}"]["both"][metric]["value"])

    document = {
        "schema": 1,
        "note": "Written by `python -m benchmarks.schedules`: one training, a trunk at a constant rate whose cooldowns branch "
        "off, standard augmentation, on the pooled validation and test images, none of which chose anything. One seed.",
        "data": "HAM10000 at 128 px",
        "network": "mobilenetv3_large_100 (coordinate attention, random start, no teacher)",
        "epochs": longest,
        "commit": result["commit"][:10],
        "rows": [
            {
                "epochs": length,
                **{
                    metric: round(score(length, metric) - score(longest, metric), 6)
                    for metric in ("balanced_accuracy", "auroc")
                },
            }
            for length in shorter
        ],
    }
    Ladder.model_validate_json(json.dumps(document))
    return document


def render(result: Mapping[str, Any]) -> str:
    """The section of docs/results.md."""
    cells, pools, pairs = result["cells"], result["pools"], result["pairs"]
    both = pools["both"]
    rate = result["images"] / result["seconds"]
    return "\n".join(
        [
            "## Trained to the end\n",
            made_by(result),
            f"HAM10000 by lesion at 128 px, {result['train_images']:,} training images, batches of 128. {len(cells)} trainings "
            f"ended side by side on one {result['card']} in {result['seconds']:.0f} s ({rate:,.0f} images/s, with those that "
            f"did not end; PyTorch {result['torch']}). The loop is the benchmark's own, not edgetl's: bf16, and an "
            "augmentation on the device that is close to the recipe's but not the same. One seed a row: an interval is over "
            "lesions alone, "
            "and does not hold what another seed would change. The averaged weights after the last step are judged; no "
            "epoch or candidate was chosen, so validation and test are both unseen, and are pooled where it says so "
            f"({both['images']:,} images of {both['groups']:,} lesions).\n",
            "MobileNetV3-L with coordinate attention from random weights, by epochs. Each column is one trunk at a constant "
            "rate from which the lengths branch off with a cooldown (a fifth of the epochs, 1 - sqrt): not the cosine of the "
            "recipes. Validation and test pooled, balanced accuracy / AUROC:\n",
            _ladder(cells),
            "The other rows, with a cosine each:\n",
            _scores(cells),
            "Paired on the same images, candidate minus reference; the mean is that of balanced accuracy and AUROC:\n",
            pairs_table(pairs),
            _says(pairs),
            _unfinished(cells),
        ]
    )


_WANTED = {
    "distilled_100": "DIST on the trunk at 100 epochs",
    "early60_0": "pruning to 60 % early",
    "early60_1": "the same with another seed",
    "late60_0": "pruning after the whole training",
    "mixup0": "mixup in the student",
    "small1": "a second seed of small0",
    "early40_1": "a second seed of early40_0",
    "accurate3_1": "a second seed of accurate3",
}


def _unfinished(cells: Mapping[str, Any]) -> str:
    missing = [words for name, words in _WANTED.items() if name not in cells]
    return f"Not finished in the time: {', '.join(missing)}.\n" if missing else ""


def _ladder(cells: Mapping[str, Any]) -> str:
    def cell(name: str) -> str:
        if name not in cells:
            return "not finished"
        metrics = cells[name]["both"]
        return f"{interval(metrics['balanced_accuracy'])} / {interval(metrics['auroc'])}"

    rows = [[str(length), *(cell(f"{column}_{length}") for column in COLUMNS)] for length in LENGTHS]
    return table(["epochs", *COLUMNS.values()], rows)


def _scores(cells: Mapping[str, Any]) -> str:
    rows = []
    for name, words in CELLS.items():
        if name in cells:
            cell = cells[name]
            shown = [interval(cell["both"][metric]) for metric in _SHOWN]
            test = [f"{cell['test'][metric]['value']:.3f}" for metric in _SHOWN]
            rows.append([name, words, str(cell["epochs"]), str(cell["seed"]), *shown, " / ".join(test)])
    head = [
        "",
        "",
        "epochs",
        "seed",
        "balanced accuracy, pooled",
        "AUROC, pooled",
        "melanoma AUROC, pooled",
        "test alone",
    ]
    return table(head, rows)


def pairs_table(pairs: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for pair in pairs:
        for pool, words in (("both", "pooled"), ("test", "test")):
            found = pair[pool]
            shown = [f"{points(found[metric])}: {found[metric]['verdict']}" for metric in (*_SHOWN[:2], _MEAN)]
            names = [f"{pair['candidate']} - {pair['reference']}"] if pool == "both" else [""]
            rows.append([*names, words, *shown])
    return table(["", "images", "balanced accuracy, points", "AUROC, points", "mean, points"], rows)


_METRIC_WORDS = {"balanced_accuracy": "balanced accuracy", "auroc": "AUROC"}
_POOL_WORDS = {"both": "the pooled images", "test": "test alone"}
_QUESTIONS = {
    ("main1", "main0"): "Another seed of the same training, a measure for every other difference of single trainings",
    (
        "main0",
        "strong_100",
    ): "A teacher against none at 100 epochs (a cosine against a trunk's branch, so not the teacher alone)",
    ("distilled_60", "strong_60"): "A teacher against none at 60 epochs of the trunk",
    ("strong_15", "mild_15"): "Strong against standard augmentation at 15 epochs",
    ("strong_100", "mild_100"): "Strong against standard augmentation at 100 epochs",
    ("small0", "main0"): "The first half of the epochs at 96 px",
    ("main0", "teacher0"): "The taught student against its teacher",
    ("main1", "teacher0"): "The same with another seed",
    ("accurate1", "teacher0"): "Lite0 taught by one Lite0, with twice its epochs and mixup of .3 instead of .2",
    ("accurate3", "accurate1"): "Three teachers instead of one",
}


_PRUNED = ((40, ("early40_0", "main0")), *((60, pair) for pair in (*_EARLY60, _EARLY60_MEAN)))


def _says(pairs: Sequence[Mapping[str, Any]]) -> str:
    """What the pooled images say, in words."""
    found = {(pair["candidate"], pair["reference"]): pair for pair in pairs}
    lines = [_line(words, found[pair]["both"]) for pair, words in _QUESTIONS.items() if pair in found]
    for share, pair in _PRUNED:
        if pruned := found.get(pair):
            bar = _BARS[share]
            words = " and ".join(
                f"{_against_bar(pruned[pool][_MEAN], bar)} on {name}" for pool, name in _POOL_WORDS.items()
            )
            lines.append(
                f"- Pruned to {share} % of the MACs after ten epochs, then trained to the end ({pair[0]}): in the mean of "
                f"balanced accuracy and AUROC, where the bar is {100 * bar:+.1f} points, {words}."
            )
    return "On the pooled images:\n\n" + "\n".join(lines) + "\n"


def _line(words: str, pair: Mapping[str, Any]) -> str:
    said = " and ".join(
        f"{pair[metric]['verdict']} in {name} ({points(pair[metric])} points)" for metric, name in _METRIC_WORDS.items()
    )
    return f"- {words}: {said}."


def _against_bar(metric: Mapping[str, float], bar: float) -> str:
    met = "inside" if metric["value"] >= bar else "outside"
    reaches = ", its interval on both sides of it" if metric["low"] < bar <= metric["high"] else ""
    return f"{points(metric)} points ({met} the bar{reaches})"


if __name__ == "__main__":
    main()
