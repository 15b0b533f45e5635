"""What a data set holds, counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from malformed_data import picture
from PIL import Image

from edgetl.console.progress import Silent
from edgetl.data.records import Record
from edgetl.data.source import Source
from edgetl.data.survey import Class, Unreadable, survey


def _source(root: Path, records: list[Record], cautions: tuple[str, ...] = ()) -> Source:
    for number, record in enumerate(records):
        (root / record.image).write_bytes(picture(number, (40, 40)))
    return Source(root, records, cautions, str(root))


def test_classes_groups_and_splits_are_counted(tmp_path: Path) -> None:
    records = [
        Record("0.png", "nv", group="A", split="test"),
        Record("1.png", "nv", group="A", split="test"),
        Record("2.png", "mel", group="A", split="train"),
        Record("3.png", "nv", group="B"),
    ]
    found = survey(_source(tmp_path, records, ("odd",)), tmp_path / "index.sqlite", Silent())
    assert found.classes == {"mel": Class(1, 1), "nv": Class(3, 2)}
    assert list(found.classes) == ["mel", "nv"]
    assert (found.images, found.groups, found.has_groups) == (4, 2, True)
    assert found.splits == {"train": 1, "test": 2}
    assert [(shared.group, shared.splits) for shared in found.leaks.groups] == [("A", ("test", "train"))]
    assert (found.unreadable, found.cautions) == ((), ("odd",))
    assert found.to_json() == {
        "classes": {"mel": 1, "nv": 3},
        "images": 4,
        "groups": 2,
        "unreadable": [],
        "leaks": found.leaks.to_json(),
        "has_groups": True,
        "lone": 0,
        "splits": {"train": 1, "test": 2},
        "warnings": ["odd"],
    }


def test_one_picture_without_a_group_is_none_for_all(tmp_path: Path) -> None:
    records = [Record("0.png", "nv", group="A"), Record("1.png", "mel")]
    found = survey(_source(tmp_path, records), tmp_path / "index.sqlite", Silent())
    assert (found.groups, found.has_groups, found.splits) == (2, False, {})


def test_what_cannot_be_read_is_named_and_is_like_nothing(tmp_path: Path) -> None:
    """Nor does it move the thumbnails of those that can: 1 and 4 are one photograph."""
    records = [Record(f"{number}.png", "nv", mask="mask.png" if number == 4 else None) for number in range(5)]
    source = _source(tmp_path, records)
    for name in ("0.png", "2.png"):
        (tmp_path / name).write_bytes(b"<html>")
    (tmp_path / "4.png").write_bytes(picture(1, (80, 80)))
    found = survey(source, tmp_path / "index.sqlite", Silent())
    assert [unreadable.image for unreadable in found.unreadable] == ["0.png", "2.png", "mask.png"]
    assert all(isinstance(unreadable, Unreadable) and unreadable.reason for unreadable in found.unreadable)
    assert found.leaks.identical == ()
    assert [near.images for near in found.leaks.near] == [("1.png", "4.png")]


def _deep(root: Path, largest: tuple[int, ...]) -> Source:
    for number, value in enumerate(largest):
        values = np.random.default_rng(number).integers(0, value, (40, 40), dtype=np.uint16)
        values[-1, -1] = value
        Image.fromarray(values).save(root / f"{number}.png")
    return Source(root, [Record(f"{number}.png", "nv") for number in range(len(largest))], (), str(root))


def test_bits_of_deep_grey_are_measured_and_thumbnails_see_them(tmp_path: Path) -> None:
    """In 16 bits each of them would be black, and like all others."""
    found = survey(_deep(tmp_path, (255, 250, 254)), tmp_path / "index.sqlite", Silent())
    assert len(found.cautions) == 1
    assert "3 pictures have 16-bit grey, of which 8 bits are used (largest value 255)" in found.cautions[0]
    assert (found.unreadable, found.leaks.near) == ((), ())


@pytest.mark.parametrize(("bits", "unreadable"), [(16, []), (13, []), (12, ["1.png"]), (8, ["0.png", "1.png"])])
def test_pictures_beyond_the_bits_of_a_recipe_are_unreadable(tmp_path: Path, bits: int, unreadable: list[str]) -> None:
    found = survey(_deep(tmp_path, (4095, 5000)), tmp_path / "index.sqlite", Silent(), bits)
    assert [one.image for one in found.unreadable] == unreadable
    assert not unreadable or "values up to" in found.unreadable[0].reason
    assert found.cautions == ()
