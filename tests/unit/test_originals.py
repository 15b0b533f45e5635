"""What the files of a split were is written whole, split by split, and read back together."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from edgetl.data import originals
from edgetl.data.fingerprint import Fingerprints
from edgetl.data.records import SPLITS, Record, Split
from edgetl.data.table import DataTable
from edgetl.errors import IntegrityError


@pytest.mark.parametrize("at_once", [1, 2, 3, 1024])
@pytest.mark.parametrize("counts", [(5, 2, 3), (1, 0, 4), (0, 0, 1)])
def test_every_split_has_the_digests_of_its_files(
    tmp_path: Path, at_once: int, counts: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(originals, "_AT_ONCE", at_once)
    expected: dict[Split, dict[str, str]] = {}
    records = []
    for split, count in zip(SPLITS, counts, strict=True):
        names = [f'{split} "{number}" ä.png' for number in range(count)]
        for name in names:
            (tmp_path / name).write_bytes(name.encode())
        records += [Record(name, "x", split=split) for name in names]
        expected[split] = {name: hashlib.sha256(name.encode()).hexdigest() for name in names}
    table = DataTable(("x",), tuple(records), "folder", has_groups=False)
    originals.write(tmp_path / "out" / "deep", tmp_path, table, Fingerprints(tmp_path / "index.sqlite"))
    for split in SPLITS:
        path = tmp_path / "out" / "deep" / split / "originals.json"
        assert json.loads(path.read_text(encoding="utf-8")) == expected[split]
        assert originals.read(tmp_path / "out" / "deep", split) == expected[split]
    assert originals.read(tmp_path / "out" / "deep", "val", "test") == expected["val"] | expected["test"]
    assert originals.read(tmp_path / "out" / "deep") == {}


@pytest.mark.parametrize("content", [None, "", "{"])
def test_what_is_no_list_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "val" / "originals.json"
    path.parent.mkdir()
    if content is not None:
        path.write_text(content)
    with pytest.raises(IntegrityError, match="is no list of files") as caught:
        originals.read(tmp_path, "val")
    assert caught.value.place == str(path)
