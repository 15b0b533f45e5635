"""Pictures out of their original files: in order, some at a time, and what is wrong with any of them in one error."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgetl.data.decode import batches
from edgetl.data.records import Record
from edgetl.errors import DataError
from edgetl.runtime.preprocessing import Preprocessing, Resize, preprocess

_SMALL = Preprocessing(Resize("crop", "bilinear", height=4, width=6))


def _records(root: Path, count: int) -> list[Record]:
    generator = np.random.default_rng(0)
    for number in range(count):
        Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(root / f"{number:03}.png")
    return [Record(f"{number:03}.png", "x") for number in range(count)]


def _digests(root: Path, records: list[Record]) -> dict[str, str]:
    return {record.image: hashlib.sha256((root / record.image).read_bytes()).hexdigest() for record in records}


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (64, [64]), (65, [64, 1]), (130, [64, 64, 2])])
def test_sixty_four_come_at_a_time_in_order(tmp_path: Path, count: int, sizes: list[int]) -> None:
    records = _records(tmp_path, count)
    parts = list(batches(tmp_path, records, _SMALL, _digests(tmp_path, records)))
    assert [start for start, _ in parts] == [64 * number for number in range(len(sizes))]
    assert [len(images) for _, images in parts] == sizes
    for start, images in parts:
        for place, image in enumerate(images):
            np.testing.assert_array_equal(image, preprocess(tmp_path / records[start + place].image, _SMALL))


def test_all_that_cannot_be_read_are_named_sorted_and_nothing_comes_after_them(tmp_path: Path) -> None:
    records = _records(tmp_path, 140)
    for number in (139, 130, 131):
        (tmp_path / f"{number:03}.png").write_bytes(b"")
    came: list[int] = []
    with pytest.raises(DataError, match=r"3 images cannot be read:(.|\n)*130\.png(.|\n)*131\.png(.|\n)*139\.png"):
        came.extend(start for start, _ in batches(tmp_path, records, _SMALL))
    assert came in ([0], [0, 64]), "the part before may be on its way when the first one is found"


@pytest.mark.parametrize("listed", [True, False])
def test_files_that_changed_are_named_where_their_content_is_known(tmp_path: Path, listed: bool) -> None:
    records = _records(tmp_path, 3)
    digests = _digests(tmp_path, records) if listed else None
    for number in (2, 1):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number:03}.png")
    if not listed:
        assert len(list(batches(tmp_path, records, _SMALL))) == 1
        return
    with pytest.raises(DataError, match=r"2 images changed while the build ran:\n +001\.png\n +002\.png\n") as caught:
        list(batches(tmp_path, records, _SMALL, digests))
    assert caught.value.place == str(tmp_path)
