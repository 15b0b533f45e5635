"""`edgetl predict` over folders, and its table: what stands where, what is refused before the first prediction."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_bundle
from fakes.sessions import FakeSession

import edgetl
from edgetl import cli
from edgetl.api import predict as api
from edgetl.console.progress import Console
from edgetl.errors import EnvironmentFault, UsageError

Run = Callable[..., tuple[int, str, str]]
NAMES = ('d/a, "b".png', "d/deep/é\n.png", "d/z.png")


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[FakeSession]:
    opened: list[FakeSession] = []
    tiny_bundle.install(monkeypatch, opened)
    return opened


@pytest.fixture
def run(
    tmp_path: Path, sessions: list[FakeSession], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    """`edgetl predict bundle ...` beside a folder `d` of three pictures, of which the second is broken, and a text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGETL_QUIET", "")
    golden = tiny_bundle.write(Path("bundle")) / "golden"
    Path("d/deep").mkdir(parents=True)
    for number, name in enumerate(NAMES):
        shutil.copy(golden / f"{number % 2}.png", name)
    Path(NAMES[1]).write_bytes(b"\x89PNG")
    Path("d/notes.txt").touch()

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["edgetl", "predict", "bundle", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capfd.readouterr()
        return int(str(ended.value.code)), said.out, said.err

    return run


def _rows(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))


def test_a_folder_is_a_line_for_each_picture(run: Run) -> None:
    code, out, err = run("d")
    assert code == 2
    assert [line.split("\t")[0] for line in out.splitlines()] == [NAMES[0], NAMES[2]]
    assert err.splitlines()[0] == "warning: 1 file left out, which by their ending are no pictures: 1 .txt"
    assert err.splitlines()[-1] == "error: 1 of 3 pictures could not be read"
    assert err.count("error: ") == 2


def test_a_table_has_each_picture_and_the_error_of_a_broken_one(run: Run) -> None:
    said = {one.file: one for one in edgetl.predict("bundle", "d", artifact="red").predictions}
    code, out, _ = run("d", "--csv", "out.csv", "--artifact", "red")
    assert (code, len(out.splitlines())) == (2, 2)
    head, *rows = _rows(Path("out.csv"))
    assert head == ["file", "label", "p_mel", "p_nv", "p_bkl", "mel@0.90", "error"]
    assert [row[0] for row in rows] == list(NAMES)
    assert rows[1][1:6] == [""] * 5
    assert "is damaged" in rows[1][6] or "is not a picture" in rows[1][6]
    for row in (rows[0], rows[2]):
        one = said[row[0]]
        assert (row[1], row[6]) == (one.label, "")
        assert [float(cell) for cell in row[2:5]] == list(one.probabilities.values())
        assert row[5] == str(int(one.flags["mel@0.90"]))
    assert sorted(path.name for path in Path().iterdir()) == ["bundle", "d", "out.csv"]


def test_json_and_a_table_together(run: Run) -> None:
    code, out, _ = run(NAMES[2], NAMES[2], "--json", "--csv", "out.csv")
    assert code == 0
    (one,) = json.loads(out)
    assert [row[:2] for row in _rows(Path("out.csv"))[1:]] == [[NAMES[2], one["label"]]]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--csv", "there.csv"), 2, "there.csv: is there already"),
        (("--csv", "nowhere/out.csv"), 2, "nowhere: is no folder"),
        (("--csv", "bundle", "--force"), 2, "bundle: is no file"),
        (("--csv", NAMES[2], "--force"), 2, "a table with the name of a picture"),
        (("--csv", "/proc/out.csv"), 3, "/proc/out.csv: cannot be written"),
        (("bundle/models",), 2, "bundle/models: got no picture, only 2 .json, 1 .bin"),
        (("x*.png",), 2, "x*.png: nothing matches the pattern"),
        (("@list",), 2, "@list: the list cannot be read"),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_prediction(
    run: Run, words: tuple[str, ...], code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def predictions(*_: object) -> None:
        pytest.fail("predicted")

    monkeypatch.setattr(api, "predictions", predictions)
    Path("there.csv").write_text("old")
    before = Path(NAMES[2]).read_bytes()
    result, out, err = run("d", *words)
    assert (result, out) == (code, "")
    assert err.splitlines()[0].startswith("error: ")
    assert said in err
    assert "  hint: " in err
    assert (Path("there.csv").read_text(), Path(NAMES[2]).read_bytes()) == ("old", before)


def test_force_overwrites_a_table(run: Run) -> None:
    Path("out.csv").write_text("old")
    assert run(NAMES[2], "--csv", "out.csv", "--force")[0] == 0
    assert len(_rows(Path("out.csv"))) == 2


def test_ctrl_c_leaves_the_old_table_and_no_half_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("out.csv").write_text("old")
    real, seen = FakeSession.run, []

    def pressed(self: FakeSession, image: object) -> object:
        seen.append(image)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return real(self, image)  # type: ignore[arg-type]

    monkeypatch.setattr(FakeSession, "run", pressed)
    code, out, err = run("d", "--csv", "out.csv", "--force")
    assert (code, len(out.splitlines()), err.splitlines()[-1]) == (130, 1, "error: interrupted")
    assert Path("out.csv").read_text() == "old"
    assert sorted(path.name for path in Path().iterdir()) == ["bundle", "d", "out.csv"]


def test_a_name_that_is_no_text_is_written_as_its_bytes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    name = os.fsdecode(b"d/\xff.png")
    shutil.copy(NAMES[2], name)
    monkeypatch.setattr(sys, "stdout", os.fdopen(os.dup(1), "w", encoding="utf-8"))
    with sys.stdout:
        code, _, err = run(name, "--csv", "out.csv")
    assert code == 0, err
    assert b"\r\nd/\xff.png," in Path("out.csv").read_bytes()


def test_progress_is_on_a_terminal_alone_and_never_on_stdout(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for number in range(30):
        shutil.copy(NAMES[2], f"d/{number}.png")
    with monkeypatch.context() as patch:
        patch.setattr(Console, "__enter__", lambda _: pytest.fail("a display, and nobody to look at it"))
        assert run("d")[0] == 2
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        _, out, _ = run("d")
    shown = os.read(leader, 65536).decode()
    os.close(leader)
    assert "\x1b[" in shown
    assert "error: " in shown
    assert [len(line.split("\t")) for line in out.splitlines()] == [4] * 32


def test_python_takes_the_same_and_gives_the_table(run: Run) -> None:
    told: list[edgetl.Event] = []
    result = edgetl.predict("bundle", Path("d"), progress=told.append)
    assert [isinstance(one, edgetl.Prediction) for one in result.results] == [True, False, True]
    assert told[-1] == edgetl.Advanced("predict", 3, 3)
    assert result.left_out == {".txt": 1}
    assert edgetl.predict("bundle", (Path(name) for name in NAMES)).to_csv() == result.to_csv()
    assert edgetl.predict("bundle", "d/**/*.png").to_csv() == result.to_csv()
    assert result.write_csv("out.csv") == Path("out.csv")
    assert Path("out.csv").read_bytes() == result.to_csv().encode()
    again = edgetl.predict("bundle", Path("d"), csv="again.csv")
    assert (again.to_csv(), Path("again.csv").read_bytes()) == (result.to_csv(), Path("out.csv").read_bytes())
    with pytest.raises(UsageError, match="is there already"):
        edgetl.predict("nowhere", "d", csv="out.csv")
    with pytest.raises(UsageError, match="is there already"):
        result.write_csv("out.csv")
    with pytest.raises(EnvironmentFault, match="cannot be written"):
        result.write_csv("/proc/out.csv")


def test_that_a_bundle_learned_from_synthetic_pictures_is_said_each_time(run: Run) -> None:
    assert "STAND-IN" not in run("d")[2]
    tiny_bundle.edit(Path("bundle"), lambda content: content.update(stand_in="skin_phantom"))
    _, out, err = run("d", "--json")
    assert "STAND-IN DATA: tiny was trained on skin_phantom, synthetic pictures" in err
    assert "STAND-IN" not in out


def test_the_folder_of_a_run_is_not_its_bundle(run: Run) -> None:
    Path("kept").mkdir()
    Path("bundle").rename("kept/bundle")
    Path("kept").rename("bundle")
    code, out, err = run("d")
    assert (code, out) == (2, "")
    assert "bundle: is the folder of a run, expected its bundle" in err
    assert f"hint: name {Path('bundle/bundle')}" in err
