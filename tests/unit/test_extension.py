"""docs/extending.md is one program: what it adds, one file and one entry each, builds a bundle that predicts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgetl.commands.completion import complete_stage
from edgetl.config import reference, target
from edgetl.config.json_schema import by_kind, json_schema
from edgetl.config.loading import load
from edgetl.config.recipe import Recipe
from edgetl.data.readers import READERS
from edgetl.devices import DEVICES
from edgetl.doctor.probing import probes
from edgetl.errors import EdgetlError, RecipeError
from edgetl.models.attention import ATTENTION
from edgetl.report.recommending import recommended
from edgetl.results.report import Report
from edgetl.runtime.backends import BACKENDS
from edgetl.training.losses import DISTIL_LOSSES
from examples import examples

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
TABLES: tuple[dict[str, Any], ...] = (READERS, DISTIL_LOSSES, ATTENTION, BACKENDS, DEVICES)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the page's blocks ran, one after the other; what they added stays until the module's end."""
    folder = tmp_path_factory.mktemp("extension")
    before = [dict(table) for table in TABLES]
    modules = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        names: dict[str, Any] = {"__name__": "extending"}
        for example in examples(PAGE):
            if "file" in example.marks:
                (folder / example.marks["file"]).write_text(example.text, encoding="utf-8")
            else:
                exec(compile(example.text, str(example), "exec"), names)
        yield folder
    for table, entries in zip(TABLES, before, strict=True):
        table.clear()
        table.update(entries)
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
            del sys.modules[name]


def test_what_a_page_adds_goes_from_pictures_to_predictions(project: Path) -> None:
    """The asserts are the page's."""
    assert (project / "runs" / "extended" / "bundle" / "models" / "pt2-int8.pt2").is_file()


def test_pytorch_is_not_measured_on_another_device(project: Path) -> None:
    report = json.loads((project / "runs" / "extended" / "report.json").read_text())
    assert [model["latency"] for model in report["models"]] == [[] for _ in report["models"]]


def test_the_bundle_recommends_what_the_report_leads_with(project: Path) -> None:
    run = project / "runs" / "extended"
    manifest = json.loads((run / "bundle" / "bundle.json").read_text())
    chosen = recommended(Report.read(run))
    assert chosen is not None
    assert manifest["recommended"] == chosen.name


def test_everything_else_follows_the_tables(project: Path) -> None:
    assert {f"{stage}.pt2" for stage in ("export", "quantize", "calibrate", "verify")} <= set(complete_stage(""))
    assert "torch" in {probe.distribution for probe in probes()}
    page = reference.page()
    for words in ("`sidecar`", "`squared`", "`simam`", "`pt2`", "### `kind: this_process`", "the logits themselves"):
        assert words in page
    data = json_schema(Recipe, "edgetl recipe")["$defs"]["Data"]["properties"]
    assert "sidecar" in data["kind"]["enum"]
    assert len(by_kind(target.types(), "edgetl target")["anyOf"]) == len(DEVICES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data: {kind: sidecart, root: pictures}", 'data.kind: got "sidecart", expected one of folder, csv,'),
        ("data: {kind: sidecart, root: pictures}", "did you mean 'sidecar'?"),
        ("data: {kind: sidecar}", "kind sidecar needs a root: a folder with pictures and their labels"),
        ("data: {kind: sidecar, root: a, columns: {}}", "columns is only for kind csv, not sidecar"),
        ("data: {kind: sidecar, root: a, images: 70}", "images is only for kind skin_phantom"),
        ("data: {kind: sidecar, root: nowhere}", "does not exist, expected a folder with pictures and their labels"),
        (
            "data: {kind: skin_phantom}\nexport: [pt]",
            "expected one of onnx, openvino, tflite, pt2, onnx-fp32, onnx-int8,",
        ),
        ("data: {kind: skin_phantom}\nexport: [pt]", "pt2-fp32, pt2-int8; did you mean 'pt2'?"),
        ("data: {kind: skin_phantom}\ndistil: {loss: square}", "did you mean 'squared'?"),
        ("data: {kind: skin_phantom}\nstudent: {attention: sima}", "did you mean 'simam'?"),
    ],
)
def test_a_wrong_recipe_is_explained_with_the_new_names(project: Path, text: str, said: str) -> None:
    (project / "wrong.yaml").write_text(f"name: wrong\n{text}\n")
    with pytest.raises(EdgetlError) as caught:
        load(project / "wrong.yaml")
    assert said in str(caught.value)


def test_a_target_of_the_new_kind_has_fields_of_its_own(project: Path) -> None:
    (project / "targets" / "wrong.yaml").write_text("name: wrong\nkind: this_process\nthreads: [all]\n")
    with pytest.raises(RecipeError, match=r"threads.0: got \"all\", expected a whole number"):
        target.load("wrong", project)
