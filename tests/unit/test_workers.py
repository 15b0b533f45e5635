"""What a worker says is believed only when it is what was asked for. Real processes, with Python and nothing else."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edgetl.runtime import serving, workers
from edgetl.runtime.errors import WorkerError
from edgetl.runtime.manifest import Artifact
from edgetl.runtime.workers import Command, Process, local_worker

READY = 'print(\'{"ready": true, "load_ms": 1.5, "first_ms": 2}\', flush=True)'
ANSWERS = "import sys\nfor line in sys.stdin: print({answer!r} if line != 'quit\\n' else {last!r}, flush=True)"


def start(*lines: str) -> Process:
    return Process(Command("tiny", (sys.executable, "-S", "-c", "\n".join(lines))))


def answering(answer: str, last: str = "null") -> Process:
    return start(READY, ANSWERS.format(answer=answer, last=last))


def test_a_banner_before_it_is_ready_is_skipped() -> None:
    banner = ("Welcome", "{not for us}", "")
    with start(
        *(f"print({line!r})" for line in (banner[0], banner[2], '{"ready": false}', '{"other": 1}')), READY
    ) as one:
        assert one.ready() == {"ready": True, "load_ms": 1.5, "first_ms": 2}


@pytest.mark.parametrize("key", ["load_ms", "first_ms"])
@pytest.mark.parametrize("value", ["null", '"1"'])
def test_ready_without_its_times_is_refused(key: str, value: str) -> None:
    with (
        start(READY.replace(f'"{key}": ', f'"{key}": {value}, "x": ')) as one,
        pytest.raises(WorkerError, match=f"expected a number as {key}"),
    ):
        one.ready()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("[1.0]", r"expected 2 times, got '\[1.0\]'"),
        ("[1.0, 2.0, 3.0]", "expected 2 times"),
        ("[1.0, null]", "expected 2 times"),
        ('{"a": 1.0, "b": 2.0}', "expected 2 times"),
        ("Segmentation fault", "expected JSON, got 'Segmentation fault'"),
    ],
)
def test_other_times_than_asked_for_are_refused(answer: str, message: str) -> None:
    with answering(answer) as one:
        one.ready()
        with pytest.raises(WorkerError, match=f"^tiny: {message}"):
            one.run(2)


def test_the_times_are_what_it_says() -> None:
    with answering("[1.0, 2.5]") as one:
        one.ready()
        assert one.run(2) == [1.0, 2.5]


@pytest.mark.parametrize(
    ("last", "peak"),
    [('{"peak_rss_mb": 12}', 12.0), ('{"peak_rss_mb": 1.5}', 1.5), ('{"peak_rss_mb": null}', None), ("[]", None)],
)
def test_its_memory_is_none_where_its_system_does_not_tell(last: str, peak: float | None) -> None:
    with answering("[]", last) as one:
        one.ready()
        assert one.quit() == peak


def test_one_that_is_gone_is_named_with_its_exit_code_and_its_last_words() -> None:
    words = "import sys; print('first', file=sys.stderr); print('the reason\\n  hint: none\\n', file=sys.stderr)"
    with (
        start(words, "sys.exit(7)") as one,
        pytest.raises(WorkerError, match=r"^tiny: died with exit code 7; its last line: the reason$"),
    ):
        one.ready()


def test_it_is_gone_once_the_block_ends() -> None:
    with answering("[]") as one:
        one.ready()
    assert one._process.returncode is not None
    assert not one._reader.is_alive()
    assert one._stdout.closed


def test_a_command_that_does_not_exist_is_named() -> None:
    with pytest.raises(WorkerError, match=r"^tiny: cannot start no-such-program: No such file"):
        Process(Command("tiny", ("no-such-program",)))


@pytest.mark.parametrize("moment", ["START_TIMEOUT_S", "ANSWER_TIMEOUT_S"])
def test_each_wait_has_a_limit(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["import time; time.sleep(60)"] if moment == "START_TIMEOUT_S" else [READY, "import time; time.sleep(60)"]
    with start(*lines) as one:
        if moment == "ANSWER_TIMEOUT_S":
            one.ready()
        monkeypatch.setattr(workers, moment, 0.1)
        with pytest.raises(WorkerError, match="did not answer for 0 s"):
            one.ready() if moment == "START_TIMEOUT_S" else one.run(1)


def test_the_environment_of_a_worker_is_added_to_this_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGETL_OF_PARENT", "1")
    code = 'import os; print(os.environ["EDGETL_OF_PARENT"] + os.environ["EDGETL_OF_WORKER"], file=__import__("sys").stderr)'
    with (
        Process(Command("tiny", (sys.executable, "-S", "-c", code), env={"EDGETL_OF_WORKER": "2"})) as one,
        pytest.raises(WorkerError, match="its last line: 12"),
    ):
        one.ready()


def test_a_local_worker_opens_the_file_with_its_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    artifact = Artifact("x", "student", "openvino", "fp32", "models/x.xml", "0" * 64, 1, (), 1.0, {"HINT": "f32"})
    worker = local_worker(tmp_path, artifact, threads=3)
    assert worker.argv[:4] == (sys.executable, "-m", "edgetl.runtime", "worker")
    assert worker.argv[4] == f"--path={tmp_path / 'models/x.xml'}", "one word, or a folder -b would be an option"
    options = dict(zip(worker.argv[5::2], worker.argv[6::2], strict=True))
    assert options == {
        "--backend": "openvino",
        "--threads": "3",
        "--options": '{"HINT": "f32"}',
    }
    assert (worker.name, worker.threads, worker.batch) == ("x", 3, 1)
    assert local_worker(tmp_path, artifact) == replace(
        worker, argv=(*worker.argv[:8], "1", *worker.argv[9:]), threads=1
    )
    assert (Command("x", ()).threads, Command("x", ()).batch) == (1, 1)
    root, before = worker.env["PYTHONPATH"].split(":")
    assert (Path(root) / "edgetl/runtime/workers.py").is_file()
    assert before == "/elsewhere"


def test_runs_are_timed_one_by_one_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0, 1_500_000, 2_000_000, 2_250_000])
    monkeypatch.setattr("edgetl.runtime.serving.time.perf_counter_ns", lambda: next(clock))
    calls: list[int] = []
    assert serving.time_runs(lambda: calls.append(1), 2) == [1.5, 0.25]
    assert len(calls) == 2
