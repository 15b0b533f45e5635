"""What a hint of the readers or of `init` says to write is written, and it comes further: the same error is not met again."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from malformed_data import picture

from edgetl.cli import main
from edgetl.stages.common import preflight


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGETL_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(preflight, "check", lambda loaded, say=None: None)


def _edgetl(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["edgetl", *words])
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0), capsys.readouterr().err


def _pictures(*paths: str) -> None:
    for number, path in enumerate(paths):
        file = Path("set", path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture(number + len(paths)))


def _table(rows: Iterable[Sequence[object]], name: str = "t.csv") -> None:
    Path("set", name).parent.mkdir(parents=True, exist_ok=True)
    Path("set", name).write_text("".join(",".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")


def _plain(*header: str, cells: Callable[[int], Sequence[object]]) -> None:
    """Twelve pictures by their ids, in a table with these columns."""
    _pictures(*(f"i/p{number:02}.png" for number in range(12)))
    _table([header, *((f"p{number:02}", *cells(number)) for number in range(12))])


def _several_paths() -> None:
    _pictures(*(f"i/{kind}{number}.png" for number in range(12) for kind in "cd"))
    _table([("clinic", "derm", "label"), *((f"c{n}", f"d{n}", "ab"[n % 2]) for n in range(12))])


def _two_labels() -> None:
    _plain("image", "diagnosis", "target", cells=lambda n: (("nv", "mel")[n % 2], n % 3))


def _no_label() -> None:
    _plain("image", "Befund (links)", "Alter", cells=lambda n: (("nein", "ja")[n % 2], 30 + n))


def _no_label_by_a_misspelling() -> None:
    _plain("image", "diagnosys", cells=lambda n: (("nein", "ja")[n % 2],))


def _without_a_header() -> None:
    _pictures(*(f"i/p{number:02}.png" for number in range(12)))
    _table([(f"p{number:02}.png", "ab"[number % 2]) for number in range(12)])


def _without_a_header_of_ids() -> None:
    _pictures(*(f"i/p{number:02}.png" for number in range(12)))
    _table([(number, f"p{number:02}", "ab"[number % 2]) for number in range(12)])


def _findings() -> None:
    _plain("image", "mass", "edema, left", cells=lambda n: (int(n % 2 == 0), int(n % 3 == 0)))
    text = Path("set/t.csv").read_text().replace("edema, left", '"edema, left"')
    Path("set/t.csv").write_text(text)


def _several_labels() -> None:
    _plain("image", "label", cells=lambda n: (("a", "a|b", "b", "c")[n % 4],))


def _several_labels_of_which_one_is_in_another() -> None:
    _plain("image", "label", cells=lambda n: (("normal", "normal|old", "abnormal", "normal")[n % 4],))


def _contradictions() -> None:
    _plain("image", "label", cells=lambda n: ("ab"[n % 2],))
    with Path("set/t.csv").open("a") as file:
        file.write("p00,b\n")


def _no_word() -> None:
    _plain("image", "label", cells=lambda n: (("a", "b", "")[n % 3],))


def _classes_with_gaps() -> None:
    _plain("image", "NV", "Mel, thin", cells=lambda n: (int(n % 2 == 0 and n > 0), n % 2))
    text = Path("set/t.csv").read_text().replace("Mel, thin", '"Mel, thin"')
    Path("set/t.csv").write_text(text)


def _two_folders() -> None:
    _pictures(*(f"{folder}/p{number:02}.png" for number in range(12) for folder in ("raw data", "small")))
    _table([("image", "label"), *((f"p{number:02}", "ab"[number % 2]) for number in range(12))])


def _two_endings() -> None:
    _pictures(*(f"i/p{number:02}.{ending}" for number in range(12) for ending in ("png", "tif")))
    _table([("image", "label"), *((f"p{number:02}", "ab"[number % 2]) for number in range(12))])


def _folders_of_somebody_else() -> None:
    _pictures(*(f"i/p{number:02}.png" for number in range(12)))
    _table([("path", "label"), *((f"../input/x/p{number:02}.png", "ab"[number % 2]) for number in range(12))])


def _from_above() -> None:
    _pictures(*(f"i/p{number:02}.png" for number in range(12)))
    _table([("path", "label"), *((f"../i/p{n:02}.png", "ab"[n % 2]) for n in range(12))], "tables/t.csv")
    _table([("nothing",)], "i/none.csv")


def _beside() -> None:
    _plain("image", "label", cells=lambda n: ("ab"[n % 2],))
    shutil.move("set/i", "elsewhere")


def _join() -> None:
    _plain("image", "eye", "label", cells=lambda n: ("left", "ab"[n % 2]))
    _table([("image_id", "eye", "image", "patient"), *((n, "left", f"p{n:02}", n // 2) for n in range(12))], "more.csv")
    _table([("eye", "sex", "patient"), ("left", "m", 1)], "other.csv")


def _two_tables() -> None:
    _plain("image", "label", cells=lambda n: ("ab"[n % 2],))
    _table([("image", "class"), *((f"p{number:02}", "xyz"[number % 3]) for number in range(12))], "an other.csv")


def _tables_of_splits() -> None:
    _pictures(*(f"i/p{number:02}.png" for number in range(18)))
    for at, name in enumerate(("train", "valid", "test")):
        rows = [(f"p{number:02}", "ab"[number % 2]) for number in range(6 * at, 6 * at + 6)]
        _table([("image", "label"), *rows], f"{name}.csv")


def _broken_beside_a_good_one() -> None:
    _plain("image", "label", cells=lambda n: ("ab"[n % 2],))
    Path("set/l.csv").write_bytes("image,label\np00,Größe\n".encode("cp1252"))


def _deeper() -> None:
    _pictures(*(f"{top}/{sub}/{top}{sub}{n}.png" for top in ("x y", "z") for sub in ("old", "new") for n in range(6)))


CASES: Sequence[tuple[Callable[[], None], str, tuple[str, ...]]] = (
    (_several_paths, "may each be the path", ()),
    (_two_labels, "may each be the label", ()),
    (_no_label, "no column is the label", ()),
    (_no_label_by_a_misspelling, "no column is the label", ()),
    (_without_a_header, "looks like a row", ()),
    (_without_a_header_of_ids, "looks like a row", ()),
    (_findings, "several labels per image", ()),
    (_several_labels, "have several labels", ()),
    (_several_labels_of_which_one_is_in_another, "have several labels", ()),
    (_contradictions, "a second time", ()),
    (_no_word, "got nothing, expected the picture's label", ()),
    (_classes_with_gaps, "in none of the columns", ()),
    (_two_folders, "say which folder", ()),
    (_two_endings, "say which folder or ending", ()),
    (_folders_of_somebody_else, "that name in", ()),
    (_from_above, "leaves the table's folder", ("tables/t.csv",)),
    (_two_tables, "got 2 tables", ()),
    (_tables_of_splits, "got 3", ()),
    (_broken_beside_a_good_one, "not UTF-8", ()),
    (_deeper, "the classes may be", ()),
    (_join, "expected one by which their rows go together", ("t.csv", "--set", "data.table.join=other.csv")),
)


def _commands(hint: str) -> list[list[str]]:
    """The `edgetl init` commands in a hint, words that stand for something left out."""
    found = re.findall(r"edgetl init ((?:(?!; | or |, or ).)+)", hint)
    return [shlex.split(words) for words in found if "COLUMN" not in words]


def _flags(hint: str) -> list[list[str]]:
    """What a hint says to write beside --data."""
    found = re.findall(r"beside --data: ((?:(?!; (?:or|to)\b).)+)", hint)
    return [shlex.split(words) for words in found if not re.search(r"=(COLUMN|FOLDER)\b", words)]


def _sections(hint: str) -> list[dict[str, Any]]:
    """What a hint says to write in a recipe."""
    found = re.findall(r"data: (\{.+?\})(?=; |$| or )", hint)
    return [yaml.safe_load(text) for text in found if "COLUMN" not in text and "FOLDER" not in text]


@pytest.mark.parametrize(("make", "says", "words"), CASES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_hint_of_init_leads_on(
    make: Callable[[], None], says: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    make()
    data, *further = words or ("",)
    code, said = _edgetl(capsys, "init", str(Path("set", data)), *further)
    if code == 0:  # of tables, what a recipe has to name is found out
        assert make in (_no_word, _tables_of_splits)
        return
    assert says in said
    hint = said.partition("hint: ")[2]
    tries = [(*command, "--force") for command in _commands(hint)]
    tries += [(str(Path("set", data)), *further, *flags, "--force") for flags in _flags(hint)]
    assert tries, said
    for one in tries:
        _, after = _edgetl(capsys, "init", *one)
        assert says not in after, f"edgetl init {shlex.join(one)}\n{after}"


@pytest.mark.parametrize(("make", "says", "words"), CASES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_hint_of_a_reader_leads_on_in_a_recipe_and_beside_data(
    make: Callable[[], None], says: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    if make in (_two_tables, _deeper, _broken_beside_a_good_one):  # only init chooses among those
        return
    make()
    data, *further = words or (("" if make is _tables_of_splits else "t.csv"),)
    root = Path("set", data)
    code, said = _edgetl(capsys, "check", "--data", f"csv:{root}", *further)
    assert code == 2
    assert says in said
    hint = said.partition("hint: ")[2]
    flags, sections = _flags(hint), _sections(hint)
    assert sections, said
    assert flags or make is _tables_of_splits
    for one in flags:
        _, after = _edgetl(capsys, "check", "--data", f"csv:{root}", *further, *one)
        assert says not in after, f"edgetl check --data csv:{root} {shlex.join(one)}\n{after}"
    for section in sections:
        asked = {"table": {"join": "other.csv"}} if make is _join else {}
        table = {**asked.get("table", {}), **section.get("table", {})}
        whole = {"kind": "csv", "root": str(root), "image_size": 40, **section, **({"table": table} if table else {})}
        Path("r.yaml").write_text(yaml.safe_dump({"name": "x", "data": whole}), encoding="utf-8")
        _, after = _edgetl(capsys, "check", "r.yaml")
        assert says not in after, f"{whole}\n{after}"


def test_the_folder_that_a_hint_leaves_open(capsys: pytest.CaptureFixture[str]) -> None:
    _beside()
    code, said = _edgetl(capsys, "init", "set/t.csv")
    assert code == 2
    assert "--set data.table.folder=FOLDER" in said
    assert _edgetl(capsys, "init", "set/t.csv", "--set", "data.table.folder=../elsewhere")[0] == 0
    assert _edgetl(capsys, "check", "recipe.yaml")[0] == 0


def test_the_columns_that_a_hint_leaves_open(capsys: pytest.CaptureFixture[str]) -> None:
    _pictures(*(f"i/p{number:02}.png" for number in range(12)))
    _table([("nr", "what"), *((f"p{number}", "ab"[number % 2]) for number in range(12))])
    code, said = _edgetl(capsys, "init", "set")
    assert code == 2
    assert "edgetl init set/t.csv --columns path=COLUMN,label=COLUMN" in said
    after = _edgetl(capsys, "init", "set/t.csv", "--columns", "path=nr,label=what")[1]
    assert "note: 10 of 12 pictures are not there, such as p0" in after


def test_blank_cells_that_are_the_other_class(capsys: pytest.CaptureFixture[str]) -> None:
    """CheXpert's column No Finding says 1 or nothing."""
    _plain("image", "No Finding", cells=lambda n: ("" if n % 2 else "1.0",))
    words = ("init", "set", "--columns", "label=No Finding")
    code, said = _edgetl(capsys, *words)
    assert code == 2
    assert "one class (1.0) left" in said
    assert """--set 'data.labels={"": other}'""" in said
    assert _edgetl(capsys, *words, "--set", 'data.labels={"": other}')[0] == 0
    assert yaml.safe_load(Path("recipe.yaml").read_text())["data"]["labels"] == {"": "other"}


def test_a_misspelt_column_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    _no_label()
    code, said = _edgetl(capsys, "init", "set", "--columns", "label=Befund links")
    assert code == 2
    assert "did you mean 'Befund (links)'?" in said
    assert _edgetl(capsys, "init", "set", "--columns", "label=Befund (links)")[0] == 0


@pytest.mark.parametrize(("there", "root"), [(False, "set"), (True, "set/wrong")])
def test_a_root_beside_data_is_corrected_there(there: bool, root: str, capsys: pytest.CaptureFixture[str]) -> None:
    if there:
        _pictures("a/1.png")
    code, said = _edgetl(capsys, "check", "--data", f"folder:{root}")
    assert code == 2
    assert "ROOT of --data KIND:ROOT" in said


def test_class_folders_further_down_are_named_beside_data(capsys: pytest.CaptureFixture[str]) -> None:
    _pictures(*(f"all in/{label}/{number}.png" for label in "ab" for number in range(12)))
    code, said = _edgetl(capsys, "check", "--data", "folder:set")
    assert code == 2
    written = re.search(r"beside --data: (--data .*)", said)
    assert written, said
    assert _edgetl(capsys, "check", *shlex.split(written[1]))[0] == 0


@pytest.mark.parametrize(("field", "says"), [("folder", "there is no folder"), ("join", "does not exist")])
@pytest.mark.parametrize(
    "command", [("check", "--data", "csv:set/t.csv"), ("init", "set/t.csv")], ids=["check", "init"]
)
def test_a_name_too_long_for_the_disk_is_not_there(
    command: Sequence[str], field: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _plain("image", "label", cells=lambda n: ("ab"[n % 2],))
    code, said = _edgetl(capsys, *command, "--set", f"data.table.{field}={'x' * 300}")
    assert code == 2
    assert says in said


@pytest.mark.parametrize(
    "command", [("check", "--data", "csv:set/t.csv"), ("init", "set/t.csv")], ids=["check", "init"]
)
def test_line_ends_in_names_of_columns_are_spaces_in_messages(
    command: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("set").mkdir()
    Path("set/t.csv").write_bytes(b'"a\nb","c\rd"\n1,2\n3,4\n')
    code, said = _edgetl(capsys, *command)
    assert code == 2
    assert "the columns are a b, c d\n" in said
