"""Whether commits build the same models, byte for byte: the check of a restructuring.

python -m benchmarks.same_models BASE COMMIT...    builds what was not built before; writes benchmarks/results/same_models.json
python -m benchmarks.same_models BASE BASE..main   every commit on the way that changes code
python -m benchmarks.same_models --quick ...       without the demo, which takes ten minutes a commit

Each commit's code builds two recipes in a store of its own, on one core with OMP_NUM_THREADS=1 (other counts add up in
another order): the demo on its stand-in, and a folder of pictures with two teachers, two candidates, mixup and pruning.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.markdown import made_by, table
from benchmarks.provenance import provenance

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "same_models.json"

_FOLDER = """\
name: folder
data: {{kind: folder, root: {root}, image_size: 64}}
teacher:
  - {{backbone: mobilenetv3_small_075, weights: none, epochs: 2, batch_size: 16}}
  - {{backbone: tf_efficientnet_lite0, weights: package, epochs: 1, batch_size: 16}}
student: {{backbone: mobilenetv3_small_050, attention: eca}}
distil: {{weights: [0.0, 1.0], epochs: 3, batch_size: 16, loss: kd, mixup: 0.2}}
prune: {{macs: 0.7, epochs: 2, batch_size: 16}}
quantize: {{images: 64, max_drop: 1.0}}
"""
_PICTURES, _SIDE, _SEED = 280, 80, 5


def main() -> None:
    """Build, compare, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("commits", nargs="+")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "edgetl-same-models")
    words = parser.parse_args()
    recipes = ("folder",) if words.quick else ("folder", "demo")
    commits = [_full(words.base), *(commit for named in words.commits for commit in _named(named))]
    models = {commit: {recipe: _models(commit, recipe, words.work) for recipe in recipes} for commit in commits}
    base, *others = commits
    rows = [
        {
            "commit": commit,
            "subject": _git("log", "-1", "--format=%s", commit),
            **_compared(models[commit], models[base]),
        }
        for commit in others
    ]
    files = {recipe: len(digests) for recipe, digests in models[base].items()}
    result = {**provenance("benchmarks.same_models"), "base": base, "files": files, "commits": rows}
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if any(not row[recipe] for row in rows for recipe in recipes):
        sys.exit("some models differ")


def _compared(models: dict[str, dict[str, str]], base: dict[str, dict[str, str]]) -> dict[str, bool]:
    return {recipe: digests == base[recipe] for recipe, digests in models.items()}


def _models(commit: str, recipe: str, work: Path) -> dict[str, str]:
    """sha256 of every file in bundle/models that this commit's code builds; kept, so that a commit is built once."""
    kept = work / commit / f"{recipe}.json"
    if not kept.is_file():
        digests = _built(commit, recipe, work)
        kept.write_text(json.dumps(digests, indent=1), encoding="utf-8")
    digests = json.loads(kept.read_text(encoding="utf-8"))
    return dict(digests)


def _built(commit: str, recipe: str, work: Path) -> dict[str, str]:
    folder = work / commit
    code = folder / "code"
    if not code.is_dir():
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(code)], check=True)
        subprocess.run(["git", "-C", str(code), "checkout", "--quiet", commit], check=True)
    if recipe == "demo":
        text = (code / "recipes" / "skin_mobile.yaml").read_text(encoding="utf-8")
    else:
        text = _FOLDER.format(root=_pictures(work))
    (folder / f"{recipe}.yaml").write_text(text, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EDGETL_")}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(code), "EDGETL_STORE": str(folder / "store")}
    command = [sys.executable, "-m", "edgetl", "build", str(folder / f"{recipe}.yaml"), "--out", str(folder / recipe)]
    subprocess.run(command, cwd=code, env=environment, check=True, preexec_fn=_on_one_core)
    models = sorted((folder / recipe / "bundle" / "models").iterdir())
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in models}
    shutil.rmtree(folder / "store")
    return digests


def _on_one_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _pictures(work: Path) -> Path:
    """A folder for each class of the phantom, rendered once for all commits."""
    from edgetl.data import phantom

    pictures = work / "pictures"
    if not pictures.is_dir():
        rendered = work / "rendered"
        phantom.render(rendered, _PICTURES, _SIDE, _SEED)
        with (rendered / "metadata.csv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                (pictures / row["label"]).mkdir(parents=True, exist_ok=True)
                shutil.copy(rendered / row["image"], pictures / row["label"])
    return pictures


def _named(text: str) -> list[str]:
    """A commit, or those of a range, oldest first, that change what a build runs."""
    if ".." not in text:
        return [_full(text)]
    return _git("rev-list", "--reverse", "--no-merges", text, "--", "edgetl", "recipes").split()


def _full(commit: str) -> str:
    return _git("rev-parse", "--verify", f"{commit}^{{commit}}")


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def render(result: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    recipes = list(result["files"])
    words = {True: "the same", False: "differ", None: "not built"}
    rows = [
        [row["commit"][:10], row["subject"], *(words[row.get(recipe)] for recipe in recipes)]
        for row in result["commits"]
    ]
    counts = " and ".join(f"{count} of the {recipe}" for recipe, count in result["files"].items())
    return (
        "## The same models after a restructuring\n\n"
        f"{made_by(result)}\n"
        f"Model files ({counts}) of each commit against those of {result['base'][:10]}, byte for byte, one thread:\n\n"
        + table(["commit", "", *recipes], rows)
    )


if __name__ == "__main__":
    main()
