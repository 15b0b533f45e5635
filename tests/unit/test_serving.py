"""The lines between a worker and whoever measures: what is asked, what is answered, and what is believed of it."""

from __future__ import annotations

import io
import json
import os
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_bundle
from fakes.sessions import SIZE, FakeSession

from edgetl.runtime import serving, surroundings, yardstick
from edgetl.runtime.errors import IntegrityError, WorkerError
from edgetl.runtime.golden import Known, difference, known
from edgetl.runtime.manifest import Manifest
from edgetl.runtime.workers import Command, Process

ROOT = str(Path(serving.__file__).parents[2])
ODD = 'a "b" \\ c\td\n$(e) ü \udcff.npy'


def session(bundle: Path, name: str = "red") -> FakeSession:
    return FakeSession(bundle / f"models/{name}.json", 1, {})


@pytest.mark.parametrize(
    ("line", "word", "values"),
    [
        ("run 5\n", "run", [5]),
        ("quit\n", "quit", []),
        ('outputs "/a b.npy" 0 16\n', "outputs", ["/a b.npy", 0, 16]),
        ('whole  "x"   "y" 2', "whole", ["x", "y", 2]),
        (f"outputs {json.dumps(ODD)} 1 2", "outputs", [ODD, 1, 2]),
    ],
)
def test_a_line_is_a_word_and_json(line: str, word: str, values: list[Any]) -> None:
    assert serving.spoken(line) == (word, values)


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        serving.spoken("run five")


def test_the_yardstick_is_known_by_its_work_and_small_beside_a_model() -> None:
    """What is done, and to how much, is in its kind: an edit of the one asks for another of the other."""
    work = (yardstick._SIDE, yardstick._PRODUCTS, yardstick._ELEMENTS, yardstick._PASSES)
    assert (*work, yardstick._COPIED, yardstick._COPIES) == (64, 55, 1 << 16, 7, 1 << 17, 18)
    assert yardstick.kind().startswith(f"1, numpy {np.__version__}, ")
    tracemalloc.start()
    times = yardstick.times(5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(times) == 5
    assert min(times) > 0.05, "long enough for the clock"
    assert peak < 2e6, "peak_rss_mb is the model's"


def test_outputs_are_those_of_the_asked_tensors(tmp_path: Path) -> None:
    bundle = tiny_bundle.write(tmp_path / "bundle")
    tensors = np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE, 3), np.uint8)
    np.save(tmp_path / "tensors.npy", tensors)
    opened = session(bundle)
    rows = serving.outputs(opened, str(tmp_path / "tensors.npy"), 1, 3)
    assert np.array_equal(
        np.array(rows, np.float32), np.concatenate([opened.run(tensor[None]) for tensor in tensors[1:4]])
    )
    np.save(tmp_path / "floats.npy", tensors.astype(np.float32))
    with pytest.raises(IntegrityError, match="does not hold uint8"):
        serving.outputs(opened, str(tmp_path / "floats.npy"), 0, 1)


def test_a_whole_call_is_more_than_its_parts_besides_the_model(tmp_path: Path) -> None:
    bundle = tiny_bundle.write(tmp_path / "bundle")
    said = serving.whole(session(bundle), str(bundle), "red", 3)
    assert said is not None
    assert said["picture"] == "png, 9 x 6"
    for parts in zip(said["preprocess_ms"], said["postprocess_ms"], said["whole_ms"], strict=True):
        before, after, whole = parts
        assert 0 < before < whole
        assert 0 < after < whole - before
    assert len(said["whole_ms"]) == 3


def test_without_a_bundle_or_a_decoder_there_is_no_whole_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tiny_bundle.write(tmp_path / "bundle")
    assert serving.whole(session(bundle), str(tmp_path), "red", 1) is None
    for name in ("PIL", "PIL.Image"):
        monkeypatch.setitem(sys.modules, name, None)
    assert serving.whole(session(bundle), str(bundle), "red", 1) is None


@pytest.fixture
def conversation(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have `serve` answer lines that are known beforehand; what it says, line by line."""

    def talk(*lines: str, **knows: Any) -> list[Any]:
        said = io.StringIO()
        monkeypatch.setattr(serving, "_own_stdout", lambda: said)
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        serving.serve(lambda: None, {"load_ms": 1, "first_ms": 2}, knows)
        return [json.loads(line) for line in said.getvalue().splitlines()]

    return talk


def test_a_conversation(conversation: Any) -> None:
    ready, times, twice, unknown, last = conversation(
        "run 3", "twice 21", "dance", "quit", "run 1", twice=lambda x: 2 * x
    )
    assert (ready["ready"], ready["load_ms"], ready["first_ms"]) == (True, 1, 2)
    assert len(times) == 3
    assert all(isinstance(time, float) for time in times)
    assert (twice, unknown) == (42, None)
    assert set(last) == {"peak_rss_mb"}


def test_state_counts_what_was_used(conversation: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([{"p": (0, 0)}, {"p": (10, 0)}, {"p": (40, 0)}, {"p": (100, 0)}, {"p": (500, 0)}])
    cores = iter([3, 1, 3])
    monkeypatch.setattr(surroundings, "energy_uj", lambda: next(readings))
    monkeypatch.setattr(surroundings, "core_of_this_thread", lambda: next(cores))
    _, _, _, state = conversation("run 3", "run 4", "state")
    assert (state["runs"], state["energy_uj"], state["ran_on"]) == (7, 30 + 400, [1, 3])
    assert state["surroundings"]["cores"] >= 1
    assert state["used_s"] > 0


def test_a_machine_without_counters_says_no_energy(conversation: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "energy_uj", dict)
    monkeypatch.setattr(surroundings, "core_of_this_thread", lambda: None)
    assert conversation("run 1", "state")[2]["energy_uj"] is None


SERVER = """
import sys
sys.path.insert(0, sys.argv[1])
from functools import partial
from pathlib import Path
from fakes.sessions import FakeSession
from edgetl.runtime import serving
session = FakeSession(Path(sys.argv[2]), 1, {})
knows = {"outputs": partial(serving.outputs, session), "whole": partial(serving.whole, session)}
serving.serve(lambda: None, {"load_ms": 1.0, "first_ms": 1.0}, knows)
"""


def test_a_process_is_asked_for_outputs_of_a_file_with_any_name(tmp_path: Path) -> None:
    bundle = tiny_bundle.write(tmp_path / "bundle")
    tensors = np.load(bundle / "golden/tensors.npy")
    odd = os.fsdecode(os.fsencode(str(tmp_path / ODD)))
    with Path(odd).open("wb") as file:
        np.save(file, tensors)
    arguments = (sys.executable, "-c", SERVER, str(Path(__file__).parents[1]), str(bundle / "models/red.json"))
    with Process(Command("red", arguments, env={"PYTHONPATH": ROOT})) as running:
        ready = running.ready()
        assert running.outputs(odd, 0, 2) == np.load(bundle / "golden/red.npy").tolist()
        assert difference(running, known(bundle, Manifest.load(bundle), Manifest.load(bundle).artifact("red"))) == 0
        assert running.ask("dance") == {}
        assert len(running.ask("whole", str(bundle), "red", 2)["whole_ms"]) == 2
        assert running.ask("state")["runs"] == 0
        if sys.platform == "linux":
            assert 20 < ready["cold_ms"] < 60_000
        with pytest.raises(WorkerError, match=r"^red: died with exit code 1; its last line: .*no-such"):
            running.outputs(str(tmp_path / "no-such.npy"), 0, 1)


READY = 'print(\'{"ready": true, "load_ms": 1.5, "first_ms": 2}\', flush=True)'


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("[[0.5, 0.5]]", "expected 2 rows of probabilities"),
        ("[[0.5], 0.5]", "expected 2 rows of probabilities"),
        ("[[0.5], [true]]", "expected 2 rows of probabilities"),
        ("{}", "expected 2 rows of probabilities"),
        ("oh no", "expected JSON"),
    ],
)
def test_other_rows_than_asked_for_are_refused(answer: str, message: str) -> None:
    code = f"{READY}\nimport sys\nfor line in sys.stdin: print({answer!r}, flush=True)"
    with Process(Command("tiny", (sys.executable, "-S", "-c", code))) as running:
        running.ready()
        with pytest.raises(WorkerError, match=message):
            running.outputs("x.npy", 0, 2)


@pytest.mark.parametrize(("answer", "said"), [("null", {}), ('{"a": 1}', {"a": 1}), ("[1]", None), ("3", None)])
def test_an_answer_is_an_object_or_nothing(answer: str, said: dict[str, Any] | None) -> None:
    code = f"{READY}\nimport sys\nfor line in sys.stdin: print({answer!r}, flush=True)"
    with Process(Command("tiny", (sys.executable, "-S", "-c", code))) as running:
        running.ready()
        if said is not None:
            assert running.ask("state") == said
            return
        with pytest.raises(WorkerError, match="expected an object"):
            running.ask("state")


def test_a_signal_is_named() -> None:
    code = f"{READY}\nimport os\ninput()\nos.kill(os.getpid(), 11)"
    with Process(Command("tiny", (sys.executable, "-S", "-c", code))) as running:
        running.ready()
        with pytest.raises(WorkerError, match=r"died with exit code -11 \(SIGSEGV\)"):
            running.run(1)


class Saying:
    """A worker that has these outputs."""

    def __init__(self, rows: list[list[float]] | None) -> None:
        self.rows, self.asked = rows, list[tuple[str, int, int]]()

    def outputs(self, path: str, start: int, count: int) -> list[list[float]] | None:
        self.asked.append((path, start, count))
        return None if self.rows is None else self.rows[start : start + count]


def expecting(rows: list[list[float]], tolerance: float = 0.1) -> Known:
    return Known("/there", "red", "/there/tensors.npy", np.array(rows, np.float32), tolerance)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[0.5, 0.5], [0.0, 1.0]], 0.0),
        ([[0.5, 0.5], [0.0625, 0.9375]], 0.0625),
        ([[0.5, 0.5], [0.25, 0.75]], "differ by 0.25, allowed 0.1"),
        ([[0.5, 0.5], [0.0, float("nan")]], "differ by nan"),
        ([[0.5], [0.0]], r"gives outputs \[2, 1\], expected \[2, 2\]"),
    ],
)
def test_golden_outputs_may_differ_by_the_tolerance(rows: list[list[float]], said: float | str) -> None:
    worker: Any = Saying(rows)
    if isinstance(said, float):
        assert difference(worker, expecting([[0.5, 0.5], [0.0, 1.0]])) == said
        return
    with pytest.raises(IntegrityError, match=said):
        difference(worker, expecting([[0.5, 0.5], [0.0, 1.0]]))


def test_golden_outputs_are_asked_for_in_pieces() -> None:
    rows = [[float(number)] for number in range(35)]
    worker: Any = Saying(rows)
    assert difference(worker, expecting(rows)) == 0
    assert worker.asked == [("/there/tensors.npy", start, count) for start, count in ((0, 16), (16, 16), (32, 3))]
    silent: Any = Saying(None)
    assert difference(silent, expecting(rows)) is None


def test_what_is_known_of_an_artefact_on_a_device(tmp_path: Path) -> None:
    bundle = tiny_bundle.write(tmp_path / "bundle")
    manifest = Manifest.load(bundle)
    found = known(bundle, manifest, manifest.artifact("blue"), Path("/on/device"))
    assert (found.bundle, found.artifact, found.tensors) == ("/on/device", "blue", "/on/device/golden/tensors.npy")
    assert (found.tolerance, found.expected.shape) == (1e-4, (2, 3))
    assert known(bundle, manifest, manifest.artifact("red")).tensors == str(bundle / "golden/tensors.npy")
    np.save(bundle / "golden/red.npy", np.zeros((1, 3), np.float32))
    with pytest.raises(IntegrityError, match=r"red\.npy: its sha256 is not the manifest's"):
        known(bundle, manifest, manifest.artifact("red"))
    manifest = Manifest.load(tiny_bundle.rehash(bundle, "golden/red.npy"))
    with pytest.raises(IntegrityError, match=r"have shape \[1, 3\], expected \[2, 3\]"):
        known(bundle, manifest, manifest.artifact("red"))


def test_golden_pictures_that_changed_are_noticed(tmp_path: Path) -> None:
    bundle = tiny_bundle.write(tmp_path / "bundle")
    manifest = Manifest.load(bundle)
    tensors = np.load(bundle / "golden/tensors.npy")
    np.save(bundle / "golden/tensors.npy", 255 - tensors)
    with pytest.raises(IntegrityError, match=r"tensors\.npy: its sha256 is not the manifest's"):
        known(bundle, manifest, manifest.artifact("blue"))
