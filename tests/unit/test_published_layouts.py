"""Data sets as they are published: `init`, `check` and a build's data stage make the same of each, or say why not."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from further_layouts import FURTHER
from in_process import edgetl
from published_layouts import LAYOUTS, Ask, Expected

from edgetl.config.loading import load
from edgetl.console.progress import Silent
from edgetl.data.records import group_of
from edgetl.data.source import Source
from edgetl.stages.common import preflight, sources
from edgetl.store import Store


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGETL_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(preflight, "check", lambda loaded, say=None: None)


@pytest.mark.parametrize("make", [*LAYOUTS, *FURTHER], ids=lambda make: make.__name__)
def test_it_is_read_or_refused_with_the_right_words(
    make: Callable[[Path], Expected], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / make.__name__
    root.mkdir()
    expected = make(root)
    _hold(expected, root, (), capsys)
    for ask in expected.asks:
        _hold(ask.expected, root, ask.words, capsys)


def test_the_lines_of_the_documentation_do_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is what another test asks for, and writes what the page says."""
    known = {make.__name__: make for make in LAYOUTS}
    made: dict[str, Expected] = {}
    for (data, *words), recipe in _documented():
        name = data.partition("/")[0]
        if name not in made:
            (tmp_path / name).mkdir()
            made[name] = known[name](tmp_path / name)
        asks = [Ask((), made[name]), *made[name].asks]
        meant = [
            ask.expected for ask in asks if list(ask.words) == words and Path(name, ask.expected.data) == Path(data)
        ]
        assert [bool(one.refused) for one in meant] == [False], (data, words)
        assert edgetl(capsys, "init", data, *words, "--force")[0] == 0
        section = load(Path("recipe.yaml")).recipe.data.model_dump(mode="json")
        for field, value in recipe.items():
            assert _holds(section[field], value), (words, field, section[field])
    unread = {"rsna_pneumonia", "vindr_cxr", "cbis_ddsm"}
    assert made.keys() == known.keys() - unread, "each data set has a line, or a sentence below the table"


def _documented() -> list[tuple[list[str], Any]]:
    """The words after `edgetl init` and the fields of the recipe, of each row of the page."""
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| .+? \| `edgetl init (.+?)` \|(?: `(.+)`)? \|$", page, re.MULTILINE)
    return [(shlex.split(words.replace(r"\|", "|")), yaml.safe_load(recipe) or {}) for words, recipe in rows]


def _holds(section: Any, value: Any) -> bool:
    """Whether a section says what the page shows of it."""
    if isinstance(value, dict):
        return all(name in section and _holds(section[name], inner) for name, inner in value.items())
    return bool(section == value)


def _hold(expected: Expected, root: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    data = str(Path(root.name, expected.data))
    said = shlex.join(["edgetl", "init", data, *words])
    code, out, err = edgetl(capsys, "init", data, *words, "--force", "--json")
    if expected.refused:
        assert code == 2, f"{said}: {out}"
        assert err.count("error: ") == 1
        for part in expected.refused:
            assert part in err, f"{said}\n{err}"
        return
    assert code == 0, f"{said}\n{err}"
    decided = json.loads(out)
    notes = "\n".join(decided["notes"])
    for part in expected.said:
        assert part in notes, f"{said}\n{notes}"
    for name, value in expected.section.items():
        assert _at(decided["section"], name) == value, f"{said}\n{decided['section']}"
    checked, _, err = edgetl(capsys, "check", "recipe.yaml")
    assert checked == 0, f"{said}\n{err}"
    _hold_records(expected, _source(), said)
    built, _, err = edgetl(capsys, "build", "recipe.yaml", "--until", "data")
    assert built == 0, f"{said}\n{err}"


def _hold_records(expected: Expected, source: Source, said: str) -> None:
    records = source.records
    assert Counter(record.label for record in records) == expected.classes, said
    assert all((source.root / record.image).is_file() for record in records)
    groups = {group_of(record) for record in records} if any(record.group for record in records) else None
    assert (None if groups is None else len(groups)) == expected.groups, said
    assert Counter(record.split for record in records if record.split) == expected.splits, said
    assert sum(record.mask is not None for record in records) == expected.masks, said


def _source() -> Source:
    loaded = load(Path("recipe.yaml"))
    root = sources.root(loaded, Store(Path("store")), Silent())
    return sources.records(loaded.recipe.data, root, loaded.project)


def _at(section: Any, name: str) -> Any:
    for step in name.split("."):
        section = section[step]
    return section
