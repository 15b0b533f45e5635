"""What a data set's pictures are is looked at where headers leave it open, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgetl.console.progress import Silent
from edgetl.data import pixel_types
from edgetl.data.pixel_types import PixelTypes, look


def _write(root: Path, **pictures: Image.Image) -> list[str]:
    for name, image in pictures.items():
        image.save(root / f"{name}.png")
    return [f"{name}.png" for name in pictures]


def _deep(*values: int) -> Image.Image:
    return Image.fromarray(np.array([values], np.uint16))


def _clear(*alphas: int) -> Image.Image:
    return Image.fromarray(np.array([[(200, alpha) for alpha in alphas]], np.uint8), "LA")


def test_sixteen_bit_grey_and_transparent_pictures_are_counted(tmp_path: Path) -> None:
    images = _write(
        tmp_path,
        a=_deep(0, 4080),
        b=_deep(9),
        c=_clear(255, 254),
        d=_clear(255),
        e=Image.new("RGB", (2, 2)),
        f=_deep(1),
    )
    (tmp_path / "f.png").write_bytes(b"none")
    types = look(tmp_path, [*images, "gone.png"], {}, Silent())
    assert types == PixelTypes(grey=2, largest=4080, bits=12, transparent=1)
    assert types.cautions() == [
        "2 pictures have 16-bit grey, of which 12 bits are used (largest value 4080): white is taken as 4095 "
        "(data.bits sets another)",
        "1 picture has transparent pixels, which become black",
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 65_535), min_size=1, max_size=4))
def test_the_fewest_bits_that_hold_the_largest_value(
    tmp_path_factory: pytest.TempPathFactory, values: list[int]
) -> None:
    root = tmp_path_factory.mktemp("bits")
    images = _write(root, **{f"p{number}": _deep(value) for number, value in enumerate(values)})
    types = look(root, images, {}, Silent())
    assert types.bits == next(bits for bits in range(8, 17) if max(values) <= 2**bits - 1)
    assert (types.grey, types.largest) == (len(values), max(values))


@pytest.mark.parametrize(("largest", "bits"), [(255, 8), (256, 9), (4095, 12), (4096, 13), (32_767, 15), (32_768, 16)])
def test_at_the_edges(tmp_path: Path, largest: int, bits: int) -> None:
    types = look(tmp_path, _write(tmp_path, a=_deep(largest)), {}, Silent())
    assert (types.bits, len(types.cautions())) == (bits, int(bits < 16))


def test_bits_that_the_recipe_says_are_taken_without_a_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = _write(tmp_path, a=_deep(4080))
    monkeypatch.setattr(pixel_types, "examine", None)
    assert look(tmp_path, images, {}, Silent(), 14) == PixelTypes(0, 0, 14, 0)
    assert look(tmp_path, images, {}, Silent(), 14).cautions() == []


def test_ordinary_pictures_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.effect_noise((9, 9), 50)
    images = _write(
        tmp_path, grey=image, colour=image.convert("RGB"), palette=image.convert("P"), two=image.convert("1")
    )
    for kind in ("jpg", "bmp", "gif", "tif", "webp", "ppm"):
        image.convert("RGB").save(tmp_path / f"x.{kind}")
        images.append(f"x.{kind}")
    monkeypatch.setattr(pixel_types, "examine", None)
    assert look(tmp_path, images, {}, Silent()) == PixelTypes(0, 0, 16, 0)
    assert look(tmp_path, [], {}, Silent()).cautions() == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_known_to_be_unreadable_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert look(tmp_path, ["pipe.png"], {"pipe.png": "is no file"}, Silent()).grey == 0
