"""Whatever is wrong with a data set: one message with its place, the right exit code, and nothing half-written."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import malformed_data
import pytest
from malformed_data import Case

from edgetl.cli import main
from edgetl.stages.common import preflight

CASES = malformed_data.cases()


@pytest.fixture
def _no_preflight(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Networks have nothing to do with it and take seconds."""
    monkeypatch.setattr(preflight, "check", lambda loaded, say=None: None)
    monkeypatch.setenv("EDGETL_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)


def _edgetl(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    monkeypatch.setattr(sys, "argv", ["edgetl", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capfd.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.usefixtures("_no_preflight")
def test_a_build_and_a_check_say_the_same_of_it(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    root = case.make(tmp_path / "data")
    data = {"kind": case.kind, "root": str(root), "image_size": 32, **case.data}
    recipe = tmp_path / "r.yaml"
    recipe.write_text(json.dumps({"name": "r", "data": data}))
    for words in (("build", str(recipe), "--until", "data"), ("check", str(recipe))):
        code, out, err = _edgetl(monkeypatch, capfd, *words)
        said = out + err
        assert "Traceback" not in said, said
        assert code == (2 if case.refused else 0), said
        assert case.says in said
        assert said.count("error: ") == int(case.refused), said
        if case.refused:
            assert str(tmp_path) in err
            assert case.place in said
            assert "errno" not in said.lower()
    entries = [path for path in (tmp_path / "store" / "entries").glob("*/*") if path.name != "entry.json"]
    assert bool(entries) != case.refused, entries
    assert not list((tmp_path / "store").rglob("*.part*"))
    assert not list((tmp_path / "store" / "aside").glob("*"))


def test_there_are_many_and_their_names_differ() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 60
