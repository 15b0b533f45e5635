"""Documents between stages: what is written is read back, and nothing else is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import jsonschema
import numpy as np
import pytest
from annotated_types import Ge, Gt, Le
from example_report import make_extras, make_report

from edgetl.errors import Bug, IntegrityError
from edgetl.evidence.intervals import Interval
from edgetl.lint.graph import Kind, graph_of
from edgetl.results import schema
from edgetl.results.artifacts import (
    CalibratedArtifact,
    Calibration,
    LeftOut,
    Missing,
    Verification,
    VerifiedArtifact,
)
from edgetl.results.document import Document
from edgetl.results.evaluation import Evaluation, Model
from edgetl.results.foreseen import Foreseen
from edgetl.results.latency import Latency, LatencyTable, Unmeasured
from edgetl.results.rehearsal import Rehearsal, RehearsedFile, RehearsedPruning
from edgetl.results.report import Report, Untrained
from edgetl.results.training import (
    Choice,
    DistilResult,
    KeptEpoch,
    PrunedTraining,
    PruneResult,
    Run,
    StudentTraining,
    TeacherTraining,
    TeachResult,
    TrialResult,
)
from edgetl.results.unlabelled import Unlabelled
from edgetl.runtime.manifest import Artifact
from edgetl.runtime.surroundings import Surroundings

ROOT = Path(__file__).parents[2]


def _small_report() -> Report:
    """With all kinds of things in it, but few of each."""
    report = make_report(classes={"mel": 20, "nv": 20})
    kept = ("accuracy", "balanced_accuracy")

    def small(entry: Any) -> Any:
        metrics = {name: entry.metrics[name] for name in kept}
        return replace(entry, metrics=metrics, reliability=entry.reliability[:1], latency=entry.latency[:1])

    return replace(
        report,
        models=tuple(map(small, report.models)),
        artifacts=tuple(map(small, report.artifacts[:2])),
        gates=report.gates[:1],
        stages=report.stages[:1],
        missing=(MISSING,),
        unlabelled=Unlabelled(5, ("a.png",)),
        unmeasured=(Unmeasured("tflite-fp32", "local_cpu", 1, "died", disagrees=False),),
        foreseen=(FORESEEN,),
    )


FORESEEN = Foreseen(
    *("tflite-int8", "local_cpu", "xnnpack", 34, 0, 0, 41, 41, 41, 52, 52, "no", "slower", "slower"),
    ratio=Interval(3.9, 3.7, 4.1),
    agreement="agrees",
)
MISSING = Missing("tflite-int8", "quantize", "does not run")


@cache
def documents() -> dict[str, Document]:
    """One of each kind, by what wrote it."""
    report = _small_report()
    teacher, student, pruned = (model.training for model in report.models)
    assert isinstance(teacher, TeacherTraining)
    assert isinstance(student, StudentTraining)
    assert isinstance(pruned, PrunedTraining)
    run = Run(make_extras().histories["teacher"][:1], KeptEpoch(1, 1, 1, 1, 1, 0.0, 0.0), 60.0, 0)
    models = tuple(
        Model(**{name: value for name, value in vars(model).items() if name not in ("training", "latency")})
        for model in report.models
    )
    artifact = report.artifacts[1]
    manifest = Artifact("onnx-int8", "pruned", "onnx", "int8", "models/a.onnx", "3f" * 32, 5, ("models/a.bin",))
    measures = {
        name: getattr(artifact, name) for name in ("metrics", "thresholds", "confusion", "reliability", "parity")
    }
    verified = VerifiedArtifact(**measures, name="onnx-int8", gates=report.gates[:1])
    return {
        "data": report.data,
        "unlabelled": Unlabelled(5, ("a.png",)),
        "teach": TeachResult(teacher, run),
        "trial": TrialResult(report.trial, (run, run)),
        "distil": DistilResult(student, run),
        "choice": Choice(1.0),
        "prune": PruneResult(pruned, run),
        "evaluate": Evaluation(models, report.comparisons, report.gates),
        "calibrate": Calibration((CalibratedArtifact(manifest, "onnx-fp32", {"mel": 0.5}),), (MISSING,)),
        "verify": Verification((verified,), (MISSING,)),
        "export": LeftOut((MISSING,)),
        "benchmark": LatencyTable(report.environment.targets, {"student": report.models[0].latency}),
        "rehearsal": Rehearsal((), RehearsedPruning(0.6, 0.59, 3.0), (REHEARSED,), 60.0, 900.0),
        "extras": make_extras({"mel": 1, "nv": 1}),
        "report": report,
    }


REHEARSED = RehearsedFile(
    *("onnx-int8", 4.0, 9, None, None),
    operators=graph_of(
        [(Kind("Conv", "int8", "int8", True, ""), [], 64, 1728), (Kind("Gelu", "int8", "int8", False, ""), [0], 64, 0)]
    ),
)

Path_ = tuple[str | int, ...]
LATER = {("missing",), ("unlabelled",), ("unmeasured",), ("foreseen",)}
"""Fields of report.json that came later within its version: reports from before lack them."""
EACH = pytest.mark.parametrize("name", list(documents()))


def _fields(kind: Any, content: Any, path: Path_ = ()) -> Iterator[tuple[type, str, Any, Path_]]:
    """Each field of each dataclass in a document: (class, field, its type, its path)."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        yield from _fields(arguments[0], content, path)
    elif origin in (Union, UnionType):
        yield from _fields(_alternative(arguments, content), content, path)
    elif origin is tuple:
        for index, item in enumerate(content):
            yield from _fields(arguments[0], item, (*path, index))
    elif origin is Mapping or (isinstance(origin, type) and issubclass(origin, Mapping)):
        for key, item in content.items():
            yield from _fields(arguments[1], item, (*path, key))
    elif is_dataclass(kind):
        hints = get_type_hints(kind, include_extras=True)
        for name in (field.name for field in fields(kind)):
            yield kind, name, hints[name], (*path, name)  # type: ignore[misc]
            yield from _fields(hints[name], content[name], (*path, name))


def _alternative(kinds: tuple[Any, ...], content: Any) -> Any:
    """The one of a union that the content is."""
    for kind in kinds:
        plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
        if content is None:
            fits = plain is NoneType
        elif is_dataclass(plain):
            fits = isinstance(content, dict) and {field.name for field in fields(plain)} == set(content)
        else:
            fits = plain is not NoneType
        if fits:
            return kind
    raise AssertionError(f"{content!r} is none of {kinds}")


def _wrong(kind: Any, value: Any) -> Iterator[Any]:
    """What a field of this type must not hold: other JSON types, and numbers just out of its range."""
    bounds: list[Any] = []
    nullable = False
    while get_origin(kind) in (Annotated, Union, UnionType):
        if get_origin(kind) is Annotated:
            bounds += [bound for note in get_args(kind)[1:] for bound in getattr(note, "metadata", [])]
            kind = get_args(kind)[0]
        else:
            nullable = nullable or NoneType in get_args(kind)
            kind = next(part for part in get_args(kind) if part is not NoneType)
    if kind is Any:
        return
    yield from ([] if nullable else [None])
    step = 1 if kind is int else 1e-9
    for bound in bounds:
        if isinstance(bound, Ge):
            yield bound.ge - step  # type: ignore[operator]
        elif isinstance(bound, Gt):
            yield bound.gt
        elif isinstance(bound, Le):
            yield bound.le + step  # type: ignore[operator]
        else:  # a pattern
            yield "no such text"
    if get_origin(kind) is Literal:
        yield "no such word"
    others: list[Any] = ["1", 1.5, 1, True, [["a"]], {"a": {"b": 1}}]
    fitting = {str: (str,), float: (float, int), int: (int,), bool: (bool,)}.get(kind, (type(value),))
    yield from (other for other in others if type(other) not in fitting and not (other is True and kind is bool))


def _content(document: Document) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(document.to_json())
    return content


def _damaged(content: Mapping[str, Any], path: Path_, change: str, value: Any = None) -> Any:
    damaged = deepcopy(content)
    inner: Any = damaged
    for step in path[:-1]:
        inner = inner[step]
    if change == "remove":
        del inner[path[-1]]
    elif change == "add":
        inner["unheard_of"] = value
    else:
        inner[path[-1]] = value
    return damaged


def _damages(document: Document) -> Iterator[tuple[str, Path_, Any]]:
    """(what was done, the field, the damaged content): every field of every class once."""
    content, seen = _content(document), set()
    for kind, name, hint, path in _fields(type(document), content):
        if (kind, name) in seen:
            continue
        seen.add((kind, name))
        # Of the bundle's artifact some fields may be left out; its own tests are those of the manifest.
        later = path in LATER or (
            kind in (Latency, RehearsedFile, Surroundings, Unmeasured) and hasattr(kind, name)
        )  # a default
        if kind is not Artifact and not later:
            yield "remove", path, _damaged(content, path, "remove")
        yield "add", (*path[:-1], "unheard_of"), _damaged(content, path, "add", 1)
        inner: Any = content
        for step in path:
            inner = inner[step]
        for value in _wrong(hint, inner):
            yield f"set to {value!r}", path, _damaged(content, path, "set", value)


@EACH
def test_what_is_written_is_read_back(name: str, tmp_path: Path) -> None:
    document = documents()[name]
    document.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [document.FILE]
    assert type(document).read(tmp_path) == document
    assert next(iter(_content(document).items())) == ("schema", document.SCHEMA)


@EACH
def test_a_field_that_is_missing_unknown_mistyped_or_out_of_range_is_refused_by_its_name(name: str) -> None:
    document, accepted, unnamed = documents()[name], [], []
    for done, path, content in _damages(document):
        try:
            type(document).from_json(json.dumps(content), place="file.json")
            accepted.append((done, path))
        except IntegrityError as exc:
            if not exc.message.startswith(".".join(map(str, path))) or not exc.hint or exc.place != "file.json":
                unnamed.append((done, path, exc.message))
    assert accepted == []
    # The alternatives of a training are told apart by their fields: what lacks one is taken for another alternative.
    assert [entry for entry in unnamed if "training" not in entry[1]] == []


@EACH
@pytest.mark.parametrize(
    "other", [lambda own: None, lambda own: own - 1, lambda own: own + 1, str, lambda own: True, float]
)
def test_another_version_is_refused(name: str, other: Callable[[int], object]) -> None:
    document = documents()[name]
    version = other(document.SCHEMA)
    content = _content(document) | {"schema": version}
    with pytest.raises(IntegrityError, match=re.escape(f"schema: got {version!r}, expected {document.SCHEMA}")):
        type(document).from_json(json.dumps(content))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "1", '{"schema": 1, "weight": NaN}', "[" * 100_000])
def test_what_is_no_document_is_one_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "choice.json").write_text(text)
    with pytest.raises(IntegrityError) as caught:
        Choice.read(tmp_path)
    assert caught.value.place == str(tmp_path / "choice.json")
    assert len(caught.value.message) < 200


def test_a_file_that_cannot_be_read_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="cannot be read"):
        Choice.read(tmp_path)
    (tmp_path / "choice.json").write_bytes(b'{"schema": 1, "weight": 1.0, "\xff": 1}')
    with pytest.raises(IntegrityError, match="cannot be read"):
        Choice.read(tmp_path)
    (tmp_path / "choice.json").unlink()
    (tmp_path / "choice.json").mkdir()
    with pytest.raises(IntegrityError, match="cannot be read"):
        Choice.read(tmp_path)


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), -1.0, np.float32(1), "1", None])
def test_what_could_not_be_read_is_not_written(weight: Any, tmp_path: Path) -> None:
    with pytest.raises(Bug, match=r"choice\.json would not be readable"):
        Choice(weight).write(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_neither_written_nor_read(number: float) -> None:
    evaluation = documents()["evaluate"]
    assert isinstance(evaluation, Evaluation)
    comparison = replace(evaluation.comparisons[0], difference=Interval(0.0, number, 1.0))
    with pytest.raises(Bug, match=r"comparisons\.0\.difference\.low: got .*, expected a finite number"):
        replace(evaluation, comparisons=(comparison,)).to_json()
    content = _damaged(_content(evaluation), ("comparisons", 0, "difference", "low"), "set", number)
    with pytest.raises(IntegrityError, match="expected a finite number"):
        Evaluation.from_json(json.dumps(content))


@pytest.mark.parametrize("runs", [1, 3])
def test_each_candidate_has_its_run(runs: int) -> None:
    content = _content(documents()["trial"])
    content["runs"] = runs * content["runs"][:1]
    with pytest.raises(IntegrityError, match=f"runs: got {runs}, expected 2, one a candidate"):
        TrialResult.from_json(json.dumps(content))


class TestReport:
    """What the types of single fields cannot say."""

    def refused(self, report: Report, message: str) -> None:
        with pytest.raises(IntegrityError, match=message):
            Report.from_json(json.dumps(_content(report)))

    def changed(self, message: str, path: Path_, value: Any) -> None:
        content = _damaged(_content(documents()["report"]), path, "set", value)
        with pytest.raises(IntegrityError, match=message):
            Report.from_json(json.dumps(content))

    def test_the_headline_metrics_are_always_there(self) -> None:
        interval = {"value": 0.5, "low": 0.4, "high": 0.6}
        self.changed(r"artifacts\.0: metrics\.accuracy: is missing", ("artifacts", 0, "metrics"), {"ece": interval})
        only = {"accuracy": interval}
        self.changed(r"models\.0: metrics\.balanced_accuracy: is missing", ("models", 0, "metrics"), only)

    def test_confusion_counts_have_a_row_and_a_column_for_each_class(self) -> None:
        place = ("models", 0, "confusion")
        self.changed("confusion: got rows of .1, 1., expected a square", place, [[1], [1]])
        self.changed("confusion of teacher: got 1 rows, expected 2", place, [[1]])

    def test_the_splits_have_the_classes(self) -> None:
        place = ("data", "splits", "test", "classes")
        self.changed("splits.test.classes: got .'nv', 'mel'., expected .'mel', 'nv'.", place, {"nv": 3, "mel": 3})

    def test_the_part_of_the_recipe_that_people_read_is_checked(self) -> None:
        self.changed(r"recipe\.data\.image_size: got 0", ("recipe", "data", "image_size"), 0)
        self.changed(r"recipe\.teacher\.backbone: got 5", ("recipe", "teacher", "backbone"), 5)
        self.changed(r"recipe\.student: got \[\]", ("recipe", "student"), [])
        content = _damaged(_content(documents()["report"]), ("recipe", "some_field_of_tomorrow"), "set", 5)
        assert Report.from_json(json.dumps(content)).recipe["some_field_of_tomorrow"] == 5

    def test_the_average_of_teachers_has_no_training(self) -> None:
        report = documents()["report"]
        assert isinstance(report, Report)
        average = replace(report.models[0], name="teachers", training=Untrained())
        content = _content(replace(report, models=(average,)))
        assert content["models"][0]["training"] == {}
        assert Report.from_json(json.dumps(content)).models == (average,)

    def test_gates_that_did_not_pass_are_found_by_their_severity(self) -> None:
        report = documents()["report"]
        assert isinstance(report, Report)
        gate = report.gates[0]
        passed, failed = replace(gate, passed=True, severity="fail"), replace(gate, passed=False, severity="fail")
        warned = replace(gate, passed=False, severity="warn")
        judged = replace(report, gates=(passed, failed, warned))
        assert judged.not_passed("fail") == (failed,)
        assert judged.not_passed("warn") == (warned,)


def test_a_report_from_before_a_file_could_be_missing_lacks_none() -> None:
    content = _content(documents()["report"])
    del content["missing"], content["unlabelled"], content["unmeasured"], content["foreseen"]
    read = Report.from_json(json.dumps(content))
    assert (read.missing, read.unlabelled, read.unmeasured, read.foreseen) == ((), None, (), ())
    TestSchema.validator.validate(content)


class TestSchema:
    """docs/report.schema.json says what the reader does."""

    validator = jsonschema.Draft202012Validator(json.loads((ROOT / "docs" / "report.schema.json").read_text()))

    def test_it_is_what_the_types_say(self) -> None:
        written = (ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8")
        assert written == schema.text(), "run `python -m edgetl.results.schema --write docs/report.schema.json`"

    def test_it_takes_a_report(self) -> None:
        self.validator.validate(_content(documents()["report"]))

    def test_it_refuses_what_the_reader_refuses(self) -> None:
        content = _content(documents()["report"])
        assert not self.validator.is_valid(content | {"schema": Report.SCHEMA + 1})
        damages = list(_damages(documents()["report"]))[::5]  # 20 ms each
        assert len(damages) > 100
        assert [(done, path) for done, path, damaged in damages if self.validator.is_valid(damaged)] == []


def test_a_difference_is_an_interval_that_keeps_its_sign() -> None:
    report = documents()["report"]
    assert isinstance(report, Report)
    assert report.comparisons[0].difference == Interval(-0.012, -0.03, 0.006)
    assert _content(report)["comparisons"][0]["difference"] == {"value": -0.012, "low": -0.03, "high": 0.006}
