"""What the documentation shows works: its recipes load, its Python runs, its commands run on a small data set.

Commands run literally, in the order of the page, with two exceptions: a build and a rehearsal get SMALL too, so that a test
trains for seconds and not for an hour, and latency is measured with one thread alone, in a few runs. What cannot run here says
why in a comment above the block, and its commands and options are still looked up.
"""

from __future__ import annotations

import csv
import os
import re
import runpy
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image

from edgetl import cli
from edgetl.config import reference
from edgetl.config import target as targets
from edgetl.config.loading import load
from edgetl.data import phantom, readers
from examples import Example, examples

ROOT = Path(__file__).parents[2]
START = ROOT / "docs" / "getting-started.md"
PAGES = [START, *sorted(path for path in (ROOT / "docs").glob("*.md") if path != START), ROOT / "README.md"]
ELSEWHERE = ("extending.md",)
"""Run by tests/unit/test_extension.py."""
NEEDS_A_BUILD = ("how-a-build-works.md",)

SMALL = (
    *("data.image_size=32", "teacher.backbone=mobilenetv3_small_050", "teacher.weights=none", "teacher.epochs=1"),
    *("student.backbone=mobilenetv3_small_050", "distil.epochs=1", "distil.weights=[1.0]", "prune.epochs=1"),
    *("quantize.images=8", "quantize.max_drop=1.0", "export=[onnx]"),
)
"""A tenth of a network for a hundredth of the time; what a person sees is the same."""


class Project:
    """A folder as the pages assume it, and what ran in it."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self._patch = folder, patch
        self._done: set[Path] = set()
        self._names: dict[Path, dict[str, Any]] = {}  # of each page: its blocks are one program

    def run_page(self, page: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Every block of a page that can run, once."""
        if page in self._done:
            return
        if page.name in NEEDS_A_BUILD:
            self.run_page(START, capsys)
        self._done.add(page)
        self._patch.chdir(self.folder)
        for example in examples(page):
            if "not run" in example.marks:
                _look_up(example)
            elif example.language in ("bash", "console"):
                self._run_commands(example, capsys)
            elif example.language == "python":
                self._run_python(example)
            elif example.language == "yaml":
                self._load_recipe(example)
            else:
                assert example.language in ("text", ""), f"{example}: {example.language} is nothing that a test knows"

    def _run_commands(self, example: Example, capsys: pytest.CaptureFixture[str]) -> None:
        found = list(example.commands())
        for number, (words, printed) in enumerate(found):
            last = number == len(found) - 1
            code, said = self._run_command(example, words, capsys)
            assert code == int(example.marks.get("exit code", "0") if last else "0"), f"{example}: {words}\n{said}"
            _compare(example, printed, said)

    def _run_command(self, example: Example, words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
        assignments = [word.split("=", 1) for word in words if re.match(r"[A-Z_]+=", word)]
        words = words[len(assignments) :]
        assert words[0] == "edgetl", f"{example}: only edgetl's commands run here: {words}"
        if _computes(words):  # in front of the page's own --set, which goes before
            small = [word for override in _small(words[1], Path(words[2])) for word in ("--set", override)]
            words = [*words[:3], *small, *words[3:]]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", words)
            for name, value in assignments:
                patch.setenv(name, value)
            capsys.readouterr()
            try:
                cli.main()
                code: Any = 0
            except SystemExit as exc:
                code = exc.code or 0
        shown = capsys.readouterr()
        return code, shown.out + shown.err

    def _run_python(self, example: Example) -> None:
        names = self._names.setdefault(example.page, {"__name__": example.page.stem})
        exec(compile(example.text, str(example), "exec"), names)

    def _load_recipe(self, example: Example) -> None:
        """A whole recipe is kept under its file's name; a part of one is loaded in a recipe that is fine otherwise; a target is
        what says a kind."""
        text = example.text
        fields = re.findall(r"^([a-z_]+):", text, re.MULTILINE)
        if "kind" in fields:
            (self.folder / "target.yaml").write_text(text, encoding="utf-8")
            targets.load("target.yaml", self.folder)
            return
        if "name" not in fields:
            text += "name: example\n"
        if "data" not in fields:
            text += "data: {kind: skin_phantom}\n"
        path = self.folder / example.marks.get("file", "example.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        load(path)


def _computes(words: list[str]) -> bool:
    """Whether a command builds or rehearses."""
    return words[1] == "build" or (words[1] == "check" and not {"--rehearse", "--target"}.isdisjoint(words))


def _small(command: str, recipe: Path) -> list[str]:
    """SMALL without what the recipe has not; a rehearsal makes every format, as targets make something of each."""
    left_out = [] if load(recipe).recipe.prune else ["prune."]
    left_out += ["export="] if command == "check" else []
    return [override for override in SMALL if not override.startswith(tuple(left_out))]


def _compare(example: Example, printed: list[str], said: str) -> None:
    """Each line that the page shows was said, in this order; ... stands for anything."""
    left = iter(said.splitlines())
    for line in (line for line in printed if line.strip() not in ("", "...")):
        pattern = ".*".join(re.escape(part) for part in " ".join(line.split()).split("..."))
        found = any(re.fullmatch(pattern, " ".join(one.split())) for one in left)
        assert found, f"{example}: was not said (in this place): {line}\n---\n{said}"


def _look_up(example: Example) -> None:
    """Commands and options of a block that does not run exist."""
    assert example.marks["not run"].strip()
    if example.language not in ("bash", "console"):
        return
    for words, _ in example.commands():
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), f"{example}: {words}"
        if "edgetl" not in words:
            continue
        command: Any = typer.main.get_command(cli.app)
        options = {"--help"}
        for word in words[words.index("edgetl") + 1 :]:
            if (commands := getattr(command, "commands", None)) and not word.startswith("-"):
                assert word in commands, f"{example}: edgetl has no command {word}"
                command = commands[word]
            options |= {option for parameter in command.params for option in parameter.opts}
            assert not word.startswith("--") or word.partition("=")[0] in options, f"{example}: no option {word}"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, few_timed_runs: None) -> Iterator[Project]:
    """Pictures as folders of classes, the same as a table, and as a MedMNIST file."""
    folder = tmp_path_factory.mktemp("project")
    rendered = tmp_path_factory.mktemp("phantom")
    phantom.render(rendered, 210, 48, seed=0)
    records = readers.read("skin_phantom", rendered).records
    (folder / "scans").mkdir()
    with (folder / "scans" / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "finding", "patient_id"])
        for record in records:
            name = Path(record.image).name
            for copy in (folder / "images" / record.label / name, folder / "scans" / "pictures" / name):
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(rendered / record.image, copy)
            table.writerow([f"pictures/{name}", record.label, record.group])
    (folder / "targets").mkdir()
    (folder / "targets" / "local_cpu.yaml").write_text("name: local_cpu\nthreads: [1]\n", encoding="utf-8")
    _write_medmnist(folder / "bloodmnist.npz", [rendered / record.image for record in records])
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("EDGETL_")]:
            patch.delenv(name)
        patch.setenv("EDGETL_REHEARSAL", "off")  # the document that tells of it runs one
        yield Project(folder, patch)


def _write_medmnist(path: Path, pictures: list[Path]) -> None:
    arrays: dict[str, Any] = {}
    for split, chosen in (("train", pictures[:30]), ("val", pictures[30:40]), ("test", pictures[40:50])):
        arrays[f"{split}_images"] = np.stack([np.asarray(Image.open(one).resize((28, 28))) for one in chosen])
        arrays[f"{split}_labels"] = np.arange(len(chosen), dtype=np.uint8)[:, None] % 4
    np.savez(path, **arrays)


def test_the_reference_is_what_the_types_say_and_explains_every_field() -> None:
    page = (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8")
    assert page == reference.page(), "run `python -m edgetl.config.reference --write docs/recipe.md`"
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 60
    assert all(re.fullmatch(r"\| `\w+` \| .+ \| .+ \| .+[.] \|", row) for row in rows), "each with a meaning"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in ELSEWHERE], ids=lambda page: page.name)
def test_the_examples_of_a_page_run(page: Path, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.run_page(page, capsys)


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_an_example_runs(path: Path, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the project of the pages, whose builds it shares."""
    monkeypatch.chdir(project.folder)
    runpy.run_path(str(path))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", prose):
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            heads = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^a-z0-9 _-]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in anchors, f"{page.name}: {target}"
