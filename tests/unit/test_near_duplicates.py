"""Near duplicates: changed copies are found among many other pictures, and nothing else is."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from malformed_data import picture
from PIL import Image

from edgetl.console.progress import Silent
from edgetl.data import leaks
from edgetl.data.near_duplicates import candidates, duplicates, finding, grouping, search, spectra, thumbnail
from edgetl.data.near_duplicates.registration import registered
from edgetl.data.near_duplicates.thumbnails import turned
from edgetl.data.records import Record, Split

Pixels = npt.NDArray[np.uint8]


def pixels(number: int, size: tuple[int, int] = (160, 120)) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(picture(number, size))))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


@pytest.fixture(scope="module")
def others() -> list[Pixels]:
    return [thumbnail(pixels(number)) for number in range(80)]


@pytest.mark.parametrize(
    "change",
    [
        lambda image: jpeg(image, 60),
        lambda image: image.resize((80, 60), Image.Resampling.BICUBIC),
        lambda image: image.resize((224, 224), Image.Resampling.BILINEAR),
        lambda image: image.crop((3, 2, 160, 120)),
        lambda image: image.crop((2, 1, 158, 119)),
        lambda image: jpeg(image.crop((3, 2, 160, 120)).resize((80, 60)), 75),
        lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        lambda image: image.transpose(Image.Transpose.ROTATE_90),
        lambda image: Image.fromarray(np.rint(255 * (np.asarray(image) / 255) ** 0.8).astype(np.uint8)),
    ],
    ids=["jpeg60", "half", "squeezed", "corner", "middle", "corner+half+jpeg", "mirrored", "turned", "gamma"],
)
def test_a_changed_copy_is_found_and_nothing_else(change, others: list[Pixels]) -> None:  # type: ignore[no-untyped-def]
    copy = thumbnail(np.asarray(change(Image.fromarray(pixels(33)))))
    found = search(81, [*others, copy].__getitem__)
    assert [(pair.first, pair.second) for pair in found] == [(33, 80)]


@given(st.integers(1, 200), st.integers(1, 200))
def test_a_thumbnail_is_the_mean_of_each_cell(height: int, width: int) -> None:
    def parts(size: int) -> npt.NDArray[np.float64]:
        """[64, size]: how much of each pixel lies in each cell."""
        edges = np.arange(65) * (size / 64)
        overlap = np.minimum(edges[1:, None], np.arange(size) + 1) - np.maximum(edges[:-1, None], np.arange(size))
        return np.asarray(np.maximum(overlap, 0.0) * (64 / size))

    picture = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    exact = parts(height) @ (picture @ [0.299, 0.587, 0.114]) @ parts(width).T
    assert np.abs(thumbnail(picture) - exact).max() < 0.501


@pytest.mark.parametrize(("height", "width"), [(2000, 3000), (65_535, 10), (10, 65_535)])
def test_a_thumbnail_takes_little_memory(height: int, width: int) -> None:
    picture = np.zeros((height, width, 3), np.uint8)
    tracemalloc.start()
    thumbnail(picture)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 80_000_000, "a float copy, or a matrix of cells x pixels, has more"


def test_lesions_in_one_round_field_of_view_are_told_apart_and_their_copies_found() -> None:
    """The field's edge is steeper than all that is in it: without the middle these would be one photograph."""
    y, x = np.mgrid[-1:1:160j, -1:1:160j]

    def lesion(size: float, ring: float) -> Pixels:
        skin = 200 - 60 * np.exp(-((x**2 + y**2 - ring) ** 2) / size)
        return np.repeat(np.where(np.hypot(x, y) < 1.02, skin, 25)[..., None], 3, axis=2).astype(np.uint8)

    shown = [lesion(0.02, 0.0), lesion(0.01, 0.1)]
    copy = np.asarray(jpeg(Image.fromarray(shown[0]).resize((80, 80)), 60))
    small = [thumbnail(one) for one in (*shown, copy)]
    assert [(pair.first, pair.second) for pair in search(3, small.__getitem__)] == [(0, 2)]


def test_pictures_without_structure_are_like_nothing() -> None:
    flat = [np.full((64, 64), value, np.uint8) for value in (0, 0, 128, 255)]
    assert search(4, flat.__getitem__) == []
    assert search(0, flat.__getitem__) == []


@given(st.integers(0, 2**32 - 1), st.integers(0, 7))
def test_a_turned_picture_has_the_turned_spectrum_and_the_bound_holds(seed: int, turn: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 256, (2, 64, 64), dtype=np.uint8)
    found = spectra.spectra(np.stack([first, second]))
    of_turned = spectra.spectra(turned(second, turn)[None])
    np.testing.assert_allclose(spectra.oriented(found[1:], turn), of_turned, atol=1e-4)
    bounds = spectra.bounding(found)
    assert (bounds[0] * bounds[1]).sum() >= (found[0] * of_turned[0]).sum() - 1e-4


def test_only_sets_that_no_group_holds_together_are_told_and_identical_files_once() -> None:
    shown = [pixels(1), pixels(1, (80, 60)), pixels(2), pixels(2, (80, 60)), pixels(3), pixels(3), pixels(4)]
    groups = ["A", "A", "B", "C", "D", "E", "F"]
    records = [Record(f"{index}.png", "x", group=group) for index, group in enumerate(groups)]
    digests = {record.image: record.image for record in records} | {"5.png": "4.png"}
    small = [thumbnail(one) for one in shown]
    assert duplicates(records, digests, small.__getitem__) == [[records[2], records[3]]]


def alike(number: int) -> Pixels:
    """One of many frames of one scene."""
    scene = thumbnail(pixels(0)).astype(np.float32)
    return np.clip(scene + np.random.default_rng(number).normal(0, 2, scene.shape), 0, 255).astype(np.uint8)


def test_many_frames_of_one_group_do_not_hide_a_copy_in_another() -> None:
    frames = [alike(number) for number in range(40)]
    groups = ["clip"] * 39 + ["other"]
    (pair,) = search(40, frames.__getitem__, groups)[:1]
    assert pair.second == 39


def test_pictures_that_are_all_alike_are_one_set_without_looking_at_every_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []

    def counted(fixed: Pixels, moving: Pixels) -> npt.NDArray[np.float32]:
        looked.append(len(fixed))
        return registered(fixed, moving)

    monkeypatch.setattr(finding, "registered", counted)
    monkeypatch.setattr(candidates, "_BLOCK", 64)
    monkeypatch.setattr(finding, "_PAIRS", 32)
    records = [Record(f"{index:03}.png", "x", group=str(index)) for index in range(300)]
    frames = [alike(number) for number in range(300)]
    (found,) = duplicates(records, {record.image: record.image for record in records}, frames.__getitem__)
    assert found == records
    assert sum(looked) < 4 * 300  # of 45,000 pairs


@pytest.mark.parametrize(("value", "near"), [(0.95, True), (float(np.nextafter(np.float32(0.95), 0)) - 1e-7, False)])
def test_pairs_that_agree_by_0_95_are_near(value: float, near: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [alike(number) for number in range(2)]
    monkeypatch.setattr(finding, "registered", lambda fixed, moving: np.full(len(fixed), value))
    told: list[tuple[int, int]] = []
    pairs = search(2, frames.__getitem__, advance=lambda done, total: told.append((done, total)))
    assert [(pair.first, pair.second, pair.correlation) for pair in pairs] == ([(0, 1, value)] if near else [])
    assert told == [(2, 2)]


def test_near_duplicates_of_a_cache_are_found_row_by_row(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.stack([pixels(number, (64, 64)) for number in (1, 2, 3, 2)]))
    told: list[tuple[str, int, int]] = []

    class Heard(Silent):
        def advance(self, label: str, done: int, total: int) -> None:
            told.append((label, done, total))

    records = _set(4)
    digests = {record.image: record.image for record in records}
    assert grouping.find(tmp_path / "images.npy", records, digests, Heard()) == [[records[1], records[3]]]
    assert told == [("near duplicates", 4, 4)]


def _set(size: int, split: Split | None = None, start: int = 0) -> list[Record]:
    return [Record(f"{start + index}.png", "x", group=f"{start + index:04}", split=split) for index in range(size)]


@pytest.mark.parametrize(
    ("images", "size", "merged"), [(100, 20, True), (100, 21, False), (1100, 22, True), (1100, 23, False)]
)
def test_a_set_of_a_fiftieth_or_of_twenty_pictures_is_one_photograph(images: int, size: int, merged: bool) -> None:
    records = _set(images)
    groups = {record.group for record in grouping.merge(records, [records[:size]])}
    assert len(groups) == images - (size - 1) * merged


def test_sets_that_the_source_parts_stay_parted() -> None:
    together, apart = _set(2, "train"), [*_set(1, "train", 10), *_set(1, "test", 11)]
    merged = grouping.merge([*together, *apart], [together, apart])
    assert [record.group for record in merged] == ["0000", "0000", "0010", "0011"]


def test_only_identical_files_that_are_pictures_are_identical(tmp_path: Path) -> None:
    good = picture(1, (20, 20))
    contents = {"a.png": b"", "b.png": b"", "c.png": good, "d.png": good, "e.png": b"broken, but alone"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    digests = {name: content.hex() for name, content in contents.items()}
    untied = grouping.untie_broken(digests, tmp_path)
    assert dict(untied) == digests | {"a.png": "a.png", "b.png": "b.png"}
    whole = {name: digests[name] for name in ("c.png", "d.png", "e.png")}
    assert grouping.untie_broken(whole, tmp_path) is whole


def test_the_caution_counts_sets_and_names_the_first_of_those_that_matter() -> None:
    def near(number: int, *splits: Split, images: str = "abcd") -> leaks.Near:
        return leaks.Near(tuple(f"{number}{letter}.png" for letter in images), ("x",), splits)

    what = "of pictures from different groups look like one photograph saved again (resized, cropped, mirrored)"
    assert grouping.cautions(leaks.Leaks((), (), ())) == []
    kept = leaks.Leaks((), (), (near(1, "train", images="ab"),))
    assert grouping.cautions(kept) == [f"1 set {what}; each was kept in one split: 1a.png = 1b.png"]
    parted = leaks.Leaks((), (), (near(0, "val"), *(near(number, "test", "train") for number in range(1, 6))))
    assert grouping.cautions(parted) == [
        f"6 sets {what}; 5 of them are in several splits: 1a.png = 1b.png = 1c.png = ... and 1 more; "
        "2a.png = 2b.png = 2c.png = ... and 1 more; 3a.png = 3b.png = 3c.png = ... and 1 more; ... and 2 more; "
        "metrics on them are optimistic"
    ]
