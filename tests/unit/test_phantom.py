"""skin_phantom: pictures depend on (seed, index) alone, files are complete or absent, classes differ and overlap."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from edgetl.data import phantom
from edgetl.data.phantom.cases import case
from edgetl.data.phantom.sampling import label, place
from edgetl.data.readers import READERS
from edgetl.errors import DataError, UsageError

COLUMNS = {"image", "label", "lesion", "mask", "device", "skin_tone", "age", "sex", "localization"}


def shrunk(image: NDArray[np.uint8], size: int) -> NDArray[np.float64]:
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BOX)).astype(float)


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**63), index=st.integers(0, 10**6), size=st.integers(32, 90))
def test_any_image_of_any_set(seed: int, index: int, size: int) -> None:
    shot = phantom.render_image(seed, index, size)
    assert shot.image.shape == (size, size, 3)
    assert shot.image.dtype == np.uint8
    assert shot.mask.shape == (size, size)
    assert shot.mask.dtype == np.bool_
    assert 0.01 < shot.mask.mean() < 0.95
    assert shot.image.std() > 2
    assert shot.label in phantom.CLASSES
    assert shot.name == f"phantom_{index:06d}.png"


def test_an_image_depends_on_nothing_before_it() -> None:
    np.random.seed(0)
    expected = np.random.rand()
    np.random.seed(0)
    alone = phantom.render_image(3, 17, 64)
    for index in (16, 4, 18):
        phantom.render_image(3, index, 80)
    again = phantom.render_image(3, 17, 64)
    np.testing.assert_array_equal(alone.image, again.image)
    np.testing.assert_array_equal(alone.mask, again.mask)
    assert np.random.rand() == expected, "the global generator was touched"
    assert not np.array_equal(alone.image, phantom.render_image(4, 17, 64).image)


@pytest.mark.parametrize(
    ("index", "name", "colour", "share"),
    [
        (0, "bcc", (246.1, 186.4, 169.9), 0.166),
        (5, "mel", (173.7, 126.8, 99.5), 0.441),
        (11, "df", (199.9, 141.7, 115.7), 0.117),
        (40, "df", (201.2, 159.2, 144.7), 0.193),
    ],
)
def test_version_one_draws_these_pictures(index: int, name: str, colour: tuple[float, ...], share: float) -> None:
    """Other pictures from the same seed need another VERSION, because results are kept under it."""
    shot = phantom.render_image(2024, index, 64)
    assert (phantom.VERSION, shot.label) == (1, name)
    assert shot.image.mean((0, 1)) == pytest.approx(colour, abs=0.5)
    assert shot.mask.mean() == pytest.approx(share, abs=0.005)


@pytest.mark.parametrize("index", [3, 12])
def test_size_changes_the_resolution_and_not_the_picture(index: int) -> None:
    large, small = phantom.render_image(3, index, 1280), phantom.render_image(3, index, 160)
    assert np.abs(shrunk(large.image, 160) - small.image).mean() < 4
    coarse = shrunk(large.mask.astype(np.uint8) * 255, 160) > 127
    assert (coarse & small.mask).sum() / (coarse | small.mask).sum() > 0.95


def test_views_share_the_lesion_and_differ_as_pictures() -> None:
    shots = defaultdict(list)
    for index in range(40):
        shot = phantom.render_image(5, index, 48)
        shots[shot.lesion].append(shot)
    assert {len(views) for views in shots.values()} == {1, 2, 3, 4}
    for views in shots.values():
        assert len({(view.label, view.age, view.sex, view.localization, view.skin_tone) for view in views}) == 1
        assert len({view.image.tobytes() for view in views}) == len(views)


def test_every_class_appears_early_and_imbalance_is_soft() -> None:
    lesions = {place(1, index).lesion for index in range(220)}
    assert lesions == set(range(121))
    counts = Counter(label(1, lesion) for lesion in lesions)
    assert set(counts) == set(phantom.CLASSES)
    assert counts["nv"] == max(counts.values())
    assert min(counts.values()) >= 10


def test_people_fit_their_lesions() -> None:
    cases = [case(2, lesion) for lesion in range(600)]
    ages = {name: np.mean([one.years for one in cases if one.label == name]) for name in phantom.CLASSES}
    assert ages["nv"] + 10 < min(ages["mel"], ages["bcc"], ages["akiec"])
    assert {one.skin_tone for one in cases} == {"I", "II", "III", "IV", "V", "VI"}
    assert {one.sex for one in cases} == {"female", "male", "unknown"}
    assert all(one.age in ("", str(one.years)) for one in cases)
    assert 0 < sum(one.age == "" for one in cases) < 40


def test_darker_tones_are_darker_and_lesions_stand_out() -> None:
    skin, contrast = defaultdict(list), []
    for index in range(150):
        shot = phantom.render_image(6, index, 48)
        around = np.median(shot.image[~shot.mask], axis=0)
        skin[shot.skin_tone].append(around.mean())
        contrast.append(np.abs(shot.image[shot.mask].mean(axis=0) - around).mean())
    assert np.mean(skin["I"] + skin["II"]) > np.mean(skin["IV"]) + 10 > np.mean(skin["V"] + skin["VI"]) + 20
    assert np.median(contrast) > 20


def test_classes_differ_and_overlap() -> None:
    """Mean colours inside and around the lesion tell a lot about the class, and far from everything."""
    features, labels = [], []
    for index in range(500):
        shot = phantom.render_image(8, index, 40)
        inside, around = shot.image[shot.mask], shot.image[~shot.mask]
        features.append([*inside.mean(0) - np.median(around, 0), *inside.std(0), 100 * np.sqrt(shot.mask.mean())])
        labels.append(phantom.CLASSES.index(shot.label))
    x, y = np.asarray(features), np.asarray(labels)
    x = (x - x.mean(0)) / x.std(0)
    centres = np.stack([x[:300][y[:300] == index].mean(0) for index in range(len(phantom.CLASSES))])
    found = np.square(x[300:, None] - centres).sum(-1).argmin(1)
    recall = np.mean([(found[y[300:] == index] == index).mean() for index in range(len(phantom.CLASSES))])
    assert 0.35 < recall < 0.75


def test_folder_holds_what_the_table_says(tmp_path: Path) -> None:
    phantom.render(tmp_path / "set", 12, 48, 9)
    rows = table(tmp_path / "set")
    assert len(rows) == 12
    assert set(rows[0]) >= COLUMNS
    for index, row in enumerate(rows):
        shot = phantom.render_image(9, index, 48)
        assert row["image"] == f"images/{shot.name}"
        assert (row["label"], row["lesion"], row["device"]) == (shot.label, shot.lesion, shot.device)
        with Image.open(tmp_path / "set" / row["image"]) as image, Image.open(tmp_path / "set" / row["mask"]) as mask:
            np.testing.assert_array_equal(np.asarray(image), shot.image)
            np.testing.assert_array_equal(np.asarray(mask) > 0, shot.mask)


def test_every_file_says_that_it_is_synthetic(tmp_path: Path) -> None:
    phantom.render(tmp_path, 2, 32, 1)
    for file in tmp_path.rglob("*.png"):
        with Image.open(file) as image:
            assert image.info["Source"] == "edgetl skin_phantom (synthetic)"
        assert file.name.startswith("phantom_")


def test_a_killed_rendering_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        phantom.render(folder, 10, 40, 2)
    (broken / "metadata.csv").unlink()
    (broken / "images" / "phantom_000004.png").unlink()
    leftover = broken / "images" / ".phantom_000007.png.123.partial"
    leftover.write_bytes(b"half a fi")
    kept = (broken / "images" / "phantom_000000.png").stat().st_mtime_ns
    phantom.render(broken, 10, 40, 2)
    assert (broken / "images" / "phantom_000000.png").stat().st_mtime_ns == kept
    assert not leftover.exists()
    for file in [file for file in whole.rglob("*") if file.is_file()]:
        assert (broken / file.relative_to(whole)).read_bytes() == file.read_bytes()


def test_a_larger_set_begins_with_the_smaller_one(tmp_path: Path) -> None:
    phantom.render(tmp_path, 5, 32, 2)
    before = table(tmp_path)
    phantom.render(tmp_path, 9, 32, 2)
    assert table(tmp_path)[:5] == before
    assert len(list((tmp_path / "images").glob("*.png"))) == 9


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="other files"):
        phantom.render(tmp_path, 2, 32, 1)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]
    phantom.render(tmp_path / "set", 2, 32, 1)
    with pytest.raises(DataError, match="expected seed 1, size 40"):
        phantom.render(tmp_path / "set", 2, 40, 1)


@pytest.mark.parametrize(("seed", "index", "size"), [(-1, 0, 64), (0, -1, 64), (0, 0, 31)])
def test_arguments_out_of_range(seed: int, index: int, size: int) -> None:
    with pytest.raises(UsageError, match="expected"):
        phantom.render_image(seed, index, size)


def test_the_key_of_a_build_knows_the_version_of_the_generator() -> None:
    assert READERS["skin_phantom"].version == phantom.VERSION
