"""A run folder is complete, or the old one, or says that it is unfinished."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetl.errors import IntegrityError
from edgetl.stages import data
from edgetl.stages.common.stage import Step
from edgetl.stages.report.atomic_swap import aside, swap
from edgetl.stages.report.report import _require_copied
from edgetl.store import Dependencies, Entry

NAMES = ("bundle", "report.html", "report.json")


def _write(run: Path, text: str, *, with_bundle: bool = True) -> None:
    with aside(run) as new:
        if with_bundle:
            (new / "bundle").mkdir()
            (new / "bundle" / "model").write_text(text)
        for name in NAMES[1:]:
            (new / name).write_text(text)
        swap(new, run, NAMES)


def _content(run: Path) -> dict[str, str]:
    return {path.relative_to(run).as_posix(): path.read_text() for path in run.rglob("*") if path.is_file()}


def test_new_files_take_the_place_of_all_old_ones(tmp_path: Path) -> None:
    _write(tmp_path, "old")
    (tmp_path / "log.jsonl").write_text("log")
    _write(tmp_path, "new")
    assert _content(tmp_path) == {**dict.fromkeys(("bundle/model", *NAMES[1:]), "new"), "log.jsonl": "log"}
    _write(tmp_path, "failed", with_bundle=False)
    assert not (tmp_path / "bundle").exists(), "it was of another build"


def test_an_error_while_writing_leaves_the_old_run(tmp_path: Path) -> None:
    _write(tmp_path, "old")
    with pytest.raises(FileNotFoundError), aside(tmp_path) as new:
        (new / "missing" / "report.json").write_text("new")
    assert set(_content(tmp_path).values()) == {"old"}


def test_a_kill_between_two_moves_leaves_a_run_that_is_unfinished_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path, "old")
    move, moves = Path.rename, list[Path]()

    def killed(path: Path, target: Path) -> Path:
        moves.append(path)
        if len(moves) == 2:
            raise KeyboardInterrupt
        return move(path, target)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        _write(tmp_path, "new")
    assert not (tmp_path / "report.json").exists()


def test_what_a_killed_build_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".new-99999" / "bundle").mkdir(parents=True)
    _write(tmp_path, "new")
    assert not list(tmp_path.glob(".new-*"))


def test_a_copy_that_is_not_what_the_stage_wrote_is_refused(tmp_path: Path) -> None:
    parts = Dependencies.of("data", 1, {}, {}, ())
    entry = Entry("k", "data", tmp_path, {"models/a": ("1234", 1), "artifacts.json": ("5", 1)}, 1.0)
    step = Step(data.STAGE, parts, entry, cached=True)
    for sha256 in ("1234", "9999"):
        files = {"models/a": sha256, "artifacts.json": "other"}
        if sha256 == "1234":
            _require_copied(files, [step])
        else:
            with pytest.raises(IntegrityError, match="models/a: is not what data wrote"):
                _require_copied(files, [step])
