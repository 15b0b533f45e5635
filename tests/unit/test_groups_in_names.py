"""Groups out of the names of files: what a recipe says, and what `edgetl check` proposes and never assumes."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from malformed_data import picture

from edgetl.cli import main
from edgetl.data.groups_in_names import grouped, propose
from edgetl.data.layout import GroupPattern
from edgetl.data.records import Record, Split
from edgetl.errors import DataError


def _records(*names: str, split: Split | None = None) -> list[Record]:
    return [Record(name, "ab"[at % 2], split=split) for at, name in enumerate(names)]


class TestGrouped:
    def test_what_is_in_parentheses_is_the_group(self) -> None:
        records, cautions = grouped(
            _records("x/person12_virus_1.jpg", "y/person12_virus_2.jpg", "x/person1_bacteria_3.jpg"),
            GroupPattern("name", r"^(person\d+)_"),
            "set",
        )
        assert [record.group for record in records] == ["person12", "person12", "person1"]
        assert cautions == ()

    def test_several_parentheses_are_one_group_and_none_the_whole_match(self) -> None:
        (two,), _ = grouped(_records("p1_s2_3.png"), GroupPattern("name", r"p(\d)_s(\d)"), "set")
        (whole,), _ = grouped(_records("p1_s2_3.png"), GroupPattern("name", r"p\d_s\d"), "set")
        assert (two.group, whole.group) == ("1/2", "p1_s2")

    def test_a_path_counts_only_where_the_recipe_says_so(self) -> None:
        rule = GroupPattern("path", r"(patient\d+)/")
        (record,), _ = grouped(_records("train/patient7/study1/view.jpg"), rule, "set")
        assert record.group == "patient7"
        with pytest.raises(DataError, match=r"data\.group: .* is found in the name of none of 1 images"):
            grouped(_records("train/patient7/study1/view.jpg"), GroupPattern("name", r"(patient\d+)"), "set")

    def test_a_name_without_it_is_a_group_of_its_own_and_said(self) -> None:
        records, (caution,) = grouped(_records("p1_1.png", "x.png", "y.png"), GroupPattern("name", r"^p(\d+)_"), "set")
        assert [record.group for record in records] == ["1", "x.png", "y.png"]
        assert caution == "'^p(\\\\d+)_' is not in the name of 2 images, such as x.png: each is a group of its own"

    @given(
        st.lists(st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1), min_size=1, unique=True)
    )
    def test_every_image_keeps_its_label_and_gets_one_group(self, names: list[str]) -> None:
        before = _records(*names)
        records, _ = (
            grouped(before, GroupPattern("name", "(.)"), "set")
            if any(re.search("(.)", name) for name in names)
            else (before, ())
        )
        assert [(record.image, record.label) for record in records] == [
            (name, "ab"[at % 2]) for at, name in enumerate(names)
        ]


class TestPropose:
    @pytest.mark.parametrize(
        ("names", "groups"),
        [
            ([f"NORMAL/person{n}_bacteria_{k}.jpeg" for n in range(10) for k in range(2)], 10),
            ([f"train/{n}_{eye}.jpeg" for n in range(10) for eye in ("left", "right")], 10),
            ([f"images/{n:08}_{k:03}.png" for n in range(10) for k in range(2)], 10),
            ([f"train/patient{n:05}/study{k}/view1_frontal.jpg" for n in range(10) for k in range(2)], 10),
            ([f"a/{n} OD.png" for n in range(10)] + [f"a/{n} OS.png" for n in range(10)], 10),
            ([f"x/Patient-{n}-slice-{k}.png" for n in range(10) for k in range(3)], 10),
        ],
        ids=["chest X-ray", "eyes", "NIH", "CheXpert", "OD and OS", "a word and a number"],
    )
    def test_names_with_a_patient(self, names: list[str], groups: int) -> None:
        proposal = propose(_records(*names))
        assert proposal is not None
        assert (proposal.images, proposal.groups, proposal.torn) == (len(names), groups, 0)
        assert len(proposal.example[1]) > 1

    @pytest.mark.parametrize(
        "names",
        [
            [f"ISIC_{n:07}.jpg" for n in range(20)],
            [f"benign/benign ({n}).png" for n in range(20)],
            [f"{n:012x}.png" for n in range(0, 2_000_000_000, 100_000_000)],
            [f"CHNCXR_{n:04}_0.png" for n in range(20)],
            [f"yes/Y{n}.jpg" for n in range(20)],
            [f"set1_{n}.png" for n in range(20)],
            ["1.png", "2.png"],
        ],
        ids=["ISIC", "BUSI", "APTOS", "Shenzhen", "brain MRI", "one word for all", "numbers"],
    )
    def test_names_without_one(self, names: list[str]) -> None:
        assert propose(_records(*names)) is None

    def test_a_source_that_knows_its_groups_is_left_alone(self) -> None:
        records = [Record(f"{n}_left.png", "a", group=str(n)) for n in range(9)]
        assert propose(records) is None

    def test_groups_in_several_splits_are_counted(self) -> None:
        names = [f"person{n}_{k}.png" for n in range(10) for k in range(2)]
        records = [Record(name, "a", split="train" if at % 2 else "test") for at, name in enumerate(names[:6])]
        records += _records(*names[6:], split="train")
        proposal = propose(records)
        assert proposal is not None
        assert proposal.torn == 3


def _check(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["edgetl", "check", *words])
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0), *capsys.readouterr()


def test_the_proposal_works_when_it_is_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(12):
        for eye in range(2):
            path = tmp_path / "ab"[number % 2] / f"{number}_{('left', 'right')[eye]}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(picture(2 * number + eye))
    code, out, _ = _check(capsys, "--data", f"folder:{tmp_path}")
    assert code == 0
    (line,) = (line for line in out.splitlines() if "names look as if they did" in line)
    assert "24 images of 12 groups" in line
    followed = shlex.split(line.rpartition("beside --data: ")[2])
    code, out, _ = _check(capsys, "--data", f"folder:{tmp_path}", "--json", *followed)
    found: dict[str, Any] = json.loads(out)
    assert (code, found["groups"], found["has_groups"], found["proposal"]) == (0, 12, True, None)
