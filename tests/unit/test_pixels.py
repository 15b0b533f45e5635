"""How deep grey is and what is transparent: held against plain numpy, through real files."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgetl.runtime import pixels
from edgetl.runtime.decoding import decode, examine
from edgetl.runtime.errors import UnreadableImage
from edgetl.runtime.preprocessing import Preprocessing, Resize, preprocess

BITS = st.integers(8, 16)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def grey16(values: npt.ArrayLike, kind: str = "PNG") -> bytes:
    return encoded(Image.fromarray(np.atleast_2d(np.asarray(values, np.uint16))), kind)


def tiff(width: int, data: bytes, bits: tuple[int, ...], photometric: int = 1, **tags: int) -> bytes:
    """A little-endian TIFF of one strip and of one row or more; `tags` as t338=1."""
    height = len(data) * 8 // sum(bits) // width
    at = 8 + 2 + 12 * (10 + len(tags)) + 4
    fields = {256: width, 257: height, 259: 1, 262: photometric, 277: len(bits), 278: height, 279: len(data), 284: 1}
    fields |= {int(name[1:]): value for name, value in tags.items()}
    wide = len(bits) > 2
    entries = {tag: struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields.items()}
    samples = struct.pack(f"<{len(bits)}H", *bits)
    entries[258] = struct.pack("<HHI", 258, 3, len(bits)) + (struct.pack("<I", at) if wide else samples.ljust(4, b"\0"))
    entries[273] = struct.pack("<HHII", 273, 4, 1, at + (len(samples) if wide else 0))
    body = b"".join(entries[tag] for tag in sorted(entries))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(4) + (samples if wide else b"") + data


def png(rows: list[bytes], width: int, bits: int, colour: int, key: bytes) -> bytes:
    """A PNG with a key colour, which Pillow does not write for every depth."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(rows), bits, colour, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"tRNS", key) + data + chunk(b"IEND", b"")


def over_black(colour: npt.ArrayLike, alpha: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return np.round(np.asarray(colour, np.float64) * np.asarray(alpha, np.float64)[..., None] / 255)


class TestBits:
    @settings(max_examples=100, deadline=None)
    @given(BITS, st.data(), st.sampled_from(["PNG", "TIFF", "PPM"]))
    def test_white_is_the_largest_value_of_so_many_bits(self, bits: int, data: st.DataObject, kind: str) -> None:
        most = 2**bits - 1
        values = [*data.draw(st.lists(st.integers(0, most), min_size=1, max_size=20)), most]
        got = decode(grey16(values, kind), bits)
        expected = np.floor(np.array(values) * 255 / most + 0.5)
        np.testing.assert_array_equal(got, np.repeat(expected[None, :, None], 3, axis=2))
        assert (got[0, -1] == 255).all()

    @settings(max_examples=60, deadline=None)
    @given(st.integers(8, 15), st.data(), st.sampled_from(["PNG", "TIFF", "PPM"]))
    def test_a_larger_value_is_refused_and_never_clipped(self, bits: int, data: st.DataObject, kind: str) -> None:
        largest = data.draw(st.integers(2**bits, 65_535))
        with pytest.raises(
            UnreadableImage, match=f"values up to {largest}, expected at most {2**bits - 1}: "
        ) as caught:
            decode(grey16([0, largest, 3], kind), bits)
        assert f"grey of {bits} bits" in caught.value.message
        assert f"data.bits: {largest.bit_length()}" in str(caught.value.hint)
        assert decode(grey16([0, largest, 3], kind), largest.bit_length()).shape == (1, 3, 3)

    def test_it_is_found_in_any_band(self, monkeypatch: pytest.MonkeyPatch) -> None:
        values = np.zeros((50, 30), np.uint16)
        values[49, 29] = 4096
        monkeypatch.setattr(pixels, "_BAND", 100)
        with pytest.raises(UnreadableImage, match="up to 4096"):
            decode(grey16(values), 12)
        assert examine(grey16(values)).largest == 4096

    @pytest.mark.parametrize("bits", [8, 12, 16])
    def test_what_says_its_white_itself_is_left_alone(self, bits: int) -> None:
        twelve = tiff(2, bytes.fromhex("000fff"), (12,))
        eight = encoded(Image.fromarray(np.array([[0, 255]], np.uint8)))
        graymap = b"P5 2 1 4095\n" + struct.pack(">HH", 0, 4095)
        plain = b"P2 2 1 4095\n0 4095\n"
        for content in (twelve, eight, graymap, plain):
            assert decode(content, bits)[0, :, 0].tolist() == [0, 255]
            assert examine(content).largest is None

    @pytest.mark.parametrize("content", [b"P5 2 1 65535\n\x00\x00\x0f\xff", b"P2 2 1 65535\n0 4095\n"])
    def test_a_graymap_of_the_whole_range_does_not(self, content: bytes) -> None:
        assert decode(content, 12)[0, :, 0].tolist() == [0, 255]
        assert examine(content).largest == 4095

    def test_zero_is_white_where_the_file_says_so(self) -> None:
        values = struct.pack("<3H", 0, 2048, 4095)
        assert decode(tiff(3, values, (16,), photometric=0), 12)[0, :, 0].tolist() == [255, 127, 0]
        assert decode(tiff(3, values, (16,)), 12)[0, :, 0].tolist() == [0, 128, 255]

    def test_preprocessing_hands_its_bits_on(self) -> None:
        how = Resize("stretch", "bilinear", 1, 2)
        assert preprocess(grey16([0, 1023]), Preprocessing(how, bits=10))[0, :, 0].tolist() == [0, 255]
        assert preprocess(grey16([0, 1023]), Preprocessing(how))[0, :, 0].tolist() == [0, 4]
        with pytest.raises(UnreadableImage, match="up to 1024"):
            preprocess(grey16([0, 1024]), Preprocessing(how, bits=10))


class TestTransparency:
    @settings(max_examples=100, deadline=None)
    @given(
        st.sampled_from(["RGBA", "LA"]),
        st.sampled_from(["PNG", "TIFF", "WEBP"]),
        st.integers(1, 30),
        st.integers(1, 30),
        st.integers(0, 99),
        st.sampled_from([1, 30, 2**20]),
    )
    def test_pictures_are_seen_on_black(
        self, mode: str, kind: str, height: int, width: int, seed: int, band: int
    ) -> None:
        generator = np.random.default_rng(seed)
        values = generator.integers(0, 256, (height, width, len(mode)), dtype=np.uint8)
        options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
        content = encoded(Image.fromarray(values, mode), kind, **options)
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr(pixels, "_BAND", band)
            got = decode(content)
        np.testing.assert_array_equal(got, np.broadcast_to(over_black(values[..., :-1], values[..., -1]), got.shape))

    def test_every_colour_under_every_alpha(self) -> None:
        colour, alpha = np.meshgrid(np.arange(256), np.arange(256))
        content = encoded(Image.fromarray(np.stack([colour, alpha], axis=2).astype(np.uint8), "LA"))
        np.testing.assert_array_equal(decode(content)[..., 1], np.round(colour * alpha / 255))

    @pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "RGBa", "La"])
    def test_alpha_that_is_opaque_changes_nothing(self, mode: str) -> None:
        image = Image.effect_noise((20, 30), 90).convert("RGB")
        whole = image.convert("LA").convert("La") if mode == "La" else image.convert("RGBA").convert(mode)
        got = pixels.to_rgb(whole, pixels.Storage(deep=False, sample_bits=8), 16, "x")
        np.testing.assert_array_equal(got, np.asarray(image.convert("L").convert("RGB") if "L" in mode else image))
        assert not pixels.facts(whole, pixels.Storage(deep=False, sample_bits=8)).transparent

    def test_noise_behind_transparent_pixels_is_gone(self) -> None:
        values = np.random.default_rng(0).integers(0, 256, (8, 8, 4), dtype=np.uint8)
        values[..., 3] = 0
        assert not decode(encoded(Image.fromarray(values))).any()

    @pytest.mark.parametrize(
        ("transparency", "expected"), [(1, [10, 0, 30]), (bytes([255, 51, 0]), [10, 4, 0]), (bytes([0]), [0, 20, 30])]
    )
    def test_entries_of_a_palette(self, transparency: int | bytes, expected: list[int]) -> None:
        image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
        image.putpalette([10, 10, 10, 20, 20, 20, 30, 30, 30])
        content = encoded(image, transparency=transparency)
        assert decode(content)[0, :, 2].tolist() == expected
        assert examine(content).transparent

    def test_a_palette_with_alpha_for_each_pixel(self) -> None:
        image = Image.new("P", (2, 1))
        image.putpalette([200, 100, 50])
        image = image.convert("PA")
        image.putalpha(Image.fromarray(np.array([[255, 51]], np.uint8)))
        got = pixels.to_rgb(image, pixels.Storage(deep=False, sample_bits=8), 16, "x")
        assert got[0].tolist() == [[200, 100, 50], [40, 20, 10]]

    def test_the_transparent_colour_of_a_gif(self) -> None:
        image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
        image.putpalette([10, 0, 0, 20, 0, 0, 30, 0, 0])
        assert decode(encoded(image, "GIF", transparency=2))[0, :, 0].tolist() == [10, 20, 0]

    @pytest.mark.parametrize(
        ("bits", "row", "width", "key", "expected"),
        [
            (1, b"\x40", 2, 1, [0, 0]),
            (1, b"\x40", 2, 0, [0, 255]),
            (2, b"\x1b", 4, 2, [0, 85, 0, 255]),
            (4, b"\x5a", 2, 10, [85, 0]),
            (4, b"\x5a", 2, 0xF5, [0, 170]),  # only the low bits count
            (8, b"\x05\x07", 2, 7, [5, 0]),
            (16, b"\x80\x00\x80\x01", 2, 0x8001, [128, 0]),
        ],
    )
    def test_the_key_of_a_grey_png_is_counted_in_its_own_bits(
        self, bits: int, row: bytes, width: int, key: int, expected: list[int]
    ) -> None:
        content = png([row], width, bits, 0, struct.pack(">H", key))
        assert decode(content)[0, :, 0].tolist() == expected
        assert examine(content).transparent
        absent = png([row[:1] * len(row)], width, bits, 0, struct.pack(">H", 1))
        assert bits < 8 or not examine(absent).transparent

    def test_the_key_of_a_colour_png_is_all_three(self) -> None:
        content = png([bytes([1, 2, 3, 1, 2, 4])], 2, 8, 2, struct.pack(">HHH", 1, 2, 3))
        assert decode(content)[0].tolist() == [[0, 0, 0], [1, 2, 4]]
        assert not examine(png([bytes([1, 2, 4])], 1, 8, 2, struct.pack(">HHH", 1, 2, 3))).transparent

    def test_sixteen_bit_colour_has_no_key(self) -> None:
        """Its low bytes are lost: 0x0102 would be taken for 0x0103, and 0x0001 for 0x0100."""
        content = png([bytes([1, 3, 1, 3, 1, 3])], 1, 16, 2, struct.pack(">HHH", 1, 1, 1))
        assert decode(content)[0].tolist() == [[1, 1, 1]]
        assert not examine(content).transparent

    def test_colour_that_is_multiplied_already_is_used_as_it_is(self) -> None:
        content = tiff(3, bytes([9, 0, 77, 100, 255, 255]), (8, 8), t338=1)
        with Image.open(io.BytesIO(content)) as image:
            assert image.mode == "La"
        assert decode(content)[0, :, 0].tolist() == [9, 77, 255]
        assert examine(content).transparent
        unmultiplied = tiff(3, bytes([9, 0, 77, 100, 255, 255]), (8, 8), t338=2)
        assert decode(unmultiplied)[0, :, 0].tolist() == [0, 30, 255]

    def test_multiplied_colour_that_pillow_divides_is_back_within_a_level(self) -> None:
        alpha = np.random.default_rng(0).integers(1, 256, (1, 500))
        stored = (np.random.default_rng(1).random((1, 500, 3)) * (alpha[..., None] + 1)).astype(np.uint8)
        content = tiff(500, np.dstack([stored, alpha]).astype(np.uint8).tobytes(), (8,) * 4, 2, t338=1)
        assert np.abs(decode(content).astype(int) - stored).max() <= 1

    def test_what_needs_no_word(self, tmp_path: Path) -> None:
        image = Image.effect_noise((9, 9), 50)
        for mode in ("L", "RGB", "P", "RGBA", "LA", "1"):
            content = encoded(image.convert("RGB").convert(mode))
            assert examine(content) == (None, False), mode
        (tmp_path / "x.jpg").write_bytes(encoded(image, "JPEG"))
        assert examine(tmp_path / "x.jpg") == (None, False)
