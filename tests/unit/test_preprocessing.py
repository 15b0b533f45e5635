"""Pictures become the same pixels everywhere, or an error that says why."""

from __future__ import annotations

import io
import itertools
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps

from edgetl.runtime import decoding, pixels, preprocessing
from edgetl.runtime.decoding import decode
from edgetl.runtime.errors import MissingRuntime, UnreadableImage
from edgetl.runtime.jpeg import _FILLER, lacks_data
from edgetl.runtime.png import _size
from edgetl.runtime.preprocessing import Preprocessing, Resize, preprocess, resize

Pixels = npt.NDArray[np.uint8]
Kernel = Literal["bilinear", "bicubic"]
KERNELS: dict[Kernel, Image.Resampling] = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
SIDES = st.integers(1, 120)
# In which pass each pixel of a square of 8 comes, as the PNG standard draws it.
ADAM7 = np.array(
    [
        [1, 6, 4, 6, 2, 6, 4, 6],
        [7, 7, 7, 7, 7, 7, 7, 7],
        [5, 6, 5, 6, 5, 6, 5, 6],
        [7, 7, 7, 7, 7, 7, 7, 7],
        [3, 6, 4, 6, 3, 6, 4, 6],
        [7, 7, 7, 7, 7, 7, 7, 7],
        [5, 6, 5, 6, 5, 6, 5, 6],
        [7, 7, 7, 7, 7, 7, 7, 7],
    ]
)
# Pillow warns of damaged metadata that it skips; the pixels are not touched by it.
SKIPPED_METADATA = pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")


def noise(height: int, width: int, seed: int = 0, levels: int = 256) -> Pixels:
    """Random pixels; two levels are the hardest case for clipping."""
    step = 255 // (levels - 1)
    return (np.random.default_rng(seed).integers(0, levels, (height, width, 3)) * step).astype(np.uint8)


def pillow_resize(image: Pixels, height: int, width: int, kernel: Kernel) -> Pixels:
    """Pillow, one axis at a time: from version 13 on it chooses the order of the axes itself."""
    rows = Image.fromarray(image).resize((width, image.shape[0]), KERNELS[kernel])
    return np.asarray(rows.resize((width, height), KERNELS[kernel]))


def smooth(height: int, width: int) -> Pixels:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([y * 255 // height, x * 255 // width, (x + y) % 256], axis=2).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, bits: int, colour: int, rows: list[bytes], interlaced: bool = False) -> bytes:
    """A PNG in order whose data holds these rows, in two chunks."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced))
    palette = chunk(b"PLTE", bytes(3 * 2**bits)) if colour == 3 else b""
    split = len(data) // 2
    body = chunk(b"IDAT", data[:split]) + chunk(b"IDAT", data[split:])
    return b"\x89PNG\r\n\x1a\n" + head + palette + body + chunk(b"IEND", b"")


def tiff(width: int, data: bytes, bits: int, photometric: int = 1, sample_format: int = 1) -> bytes:
    """A little-endian grey TIFF of one strip."""
    height = len(data) * 8 // bits // width
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 134, 277: 1, 278: height, 279: len(data)}
    tags[339] = sample_format
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + data


class TestResize:
    @settings(max_examples=150, deadline=None)
    @given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(sorted(KERNELS)), st.sampled_from([2, 256]), st.integers(0, 99))
    def test_is_pillows(
        self, height: int, width: int, to_height: int, to_width: int, kernel: Kernel, levels: int, seed: int
    ) -> None:
        image = noise(height, width, seed, levels)
        got = resize(image, Resize("stretch", kernel, to_height, to_width))
        np.testing.assert_array_equal(got, pillow_resize(image, to_height, to_width, kernel))

    @pytest.mark.parametrize("kernel", sorted(KERNELS))
    def test_is_pillows_for_a_large_picture(self, kernel: Kernel) -> None:
        image = noise(1200, 900)
        got = resize(image, Resize("stretch", kernel, 224, 160))
        np.testing.assert_array_equal(got, pillow_resize(image, 224, 160, kernel))

    def test_is_pillows_in_one_call_when_the_picture_is_wide(self) -> None:
        image = noise(450, 600)
        got = resize(image, Resize("stretch", "bilinear", 128, 128))
        np.testing.assert_array_equal(got, np.asarray(Image.fromarray(image).resize((128, 128), KERNELS["bilinear"])))

    @settings(max_examples=60, deadline=None)
    @given(SIDES, SIDES, st.integers(1, 64), st.integers(1, 64), st.sampled_from(sorted(KERNELS)))
    def test_crop_is_the_middle_of_the_scaled_picture(
        self, height: int, width: int, to_height: int, to_width: int, kernel: Kernel
    ) -> None:
        image = noise(height, width)
        if width * to_height >= to_width * height:
            scaled = (to_height, max(1, int(np.floor(width * to_height / height + 0.5))))
        else:
            scaled = (max(1, int(np.floor(height * to_width / width + 0.5))), to_width)
        top, left = (scaled[0] - to_height) // 2, (scaled[1] - to_width) // 2
        whole = pillow_resize(image, *scaled, kernel)
        got = resize(image, Resize("crop", kernel, to_height, to_width))
        np.testing.assert_array_equal(got, whole[top : top + to_height, left : left + to_width])

    @settings(max_examples=60, deadline=None)
    @given(SIDES, SIDES, st.integers(1, 64), st.integers(1, 64), st.sampled_from(sorted(KERNELS)))
    def test_pad_is_the_scaled_picture_in_the_middle_of_black(
        self, height: int, width: int, to_height: int, to_width: int, kernel: Kernel
    ) -> None:
        image = noise(height, width)
        if width * to_height >= to_width * height:
            scaled = (max(1, int(np.floor(height * to_width / width + 0.5))), to_width)
        else:
            scaled = (to_height, max(1, int(np.floor(width * to_height / height + 0.5))))
        top, left = (to_height - scaled[0]) // 2, (to_width - scaled[1]) // 2
        expected = np.zeros((to_height, to_width, 3), np.uint8)
        expected[top : top + scaled[0], left : left + scaled[1]] = pillow_resize(image, *scaled, kernel)
        np.testing.assert_array_equal(resize(image, Resize("pad", kernel, to_height, to_width)), expected)

    def test_crop_of_a_square_target_keeps_the_shorter_side(self) -> None:
        image = smooth(60, 90)
        got = resize(image, Resize("crop", "bilinear", 60, 60))
        np.testing.assert_array_equal(got, image[:, 15:75])

    def test_pad_keeps_everything_and_surrounds_it_with_black(self) -> None:
        image = np.full((30, 60, 3), 200, np.uint8)
        got = resize(image, Resize("pad", "bicubic", 41, 40))
        assert got.shape == (41, 40, 3)
        assert (got[10:30] == 200).all()
        assert not got[:10].any()
        assert not got[30:].any()

    @pytest.mark.parametrize("mode", ["crop", "pad", "stretch"])
    @pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5000), (5000, 1)])
    def test_extreme_aspects_neither_fail_nor_explode(
        self, mode: Literal["crop", "pad", "stretch"], height: int, width: int
    ) -> None:
        got = resize(np.full((height, width, 3), 7, np.uint8), Resize(mode, "bicubic", 16, 24))
        assert got.shape == (16, 24, 3)
        assert set(np.unique(got)) <= {0, 7}

    @pytest.mark.parametrize("mode", ["crop", "pad", "stretch"])
    @pytest.mark.parametrize(("height", "width"), [(1, 65_535), (65_535, 1)])
    def test_the_longest_sides_take_little_memory(
        self, mode: Literal["crop", "pad", "stretch"], height: int, width: int
    ) -> None:
        image = noise(height, width)
        tracemalloc.start()
        resize(image, Resize(mode, "bicubic", 128, 128))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 200_000_000

    def test_a_size_that_fits_is_left_alone(self) -> None:
        image = noise(20, 30)
        np.testing.assert_array_equal(resize(image, Resize("crop", "bilinear", 20, 30)), image)

    def test_other_tensors_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"float32 \[4, 4, 3\].*expected uint8"):
            resize(np.zeros((4, 4, 3), np.float32), Resize("crop", "bilinear", 2, 2))


class TestDecode:
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_turns_the_picture_upright(self, orientation: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        content = encoded(Image.fromarray(smooth(24, 40)), "JPEG", exif=exif.tobytes())
        expected = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
        np.testing.assert_array_equal(decode(content), np.asarray(expected))

    @pytest.mark.parametrize("orientation", [6, 7])
    def test_tiff_is_turned_once(self, orientation: int) -> None:
        content = encoded(Image.fromarray(noise(8, 12)), "TIFF", tiffinfo={0x0112: orientation})
        expected = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
        np.testing.assert_array_equal(decode(content), np.asarray(expected))

    @SKIPPED_METADATA
    @pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"])
    def test_a_damaged_exif_block_counts_as_upright(self, exif: bytes) -> None:
        plain = encoded(Image.fromarray(smooth(16, 16)), "JPEG")
        content = plain[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + plain[2:]
        np.testing.assert_array_equal(decode(content), decode(plain))

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
    def test_every_common_pixel_type_becomes_rgb(self, mode: str) -> None:
        image = Image.fromarray(smooth(16, 20)).convert(mode)
        np.testing.assert_array_equal(decode(encoded(image, "PNG")), np.asarray(image.convert("RGB")))

    def test_cmyk(self) -> None:
        image = Image.fromarray(smooth(16, 16)).convert("CMYK")
        content = encoded(image, "JPEG", quality=95)
        np.testing.assert_array_equal(decode(content), np.asarray(Image.open(io.BytesIO(content)).convert("RGB")))

    @pytest.mark.parametrize("kind", ["PNG", "TIFF"])
    def test_sixteen_bit_grey_is_scaled_not_clipped(self, kind: str) -> None:
        values = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
        got = decode(encoded(Image.fromarray(values), kind))
        np.testing.assert_array_equal(got[0, :, 0], [0, 0, 1, 1, 128, 255])
        assert (got == got[:, :, :1]).all()

    @pytest.mark.parametrize("kind", ["PNG", "PPM", "TIFF"])
    def test_sixteen_bit_grey_in_bands(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        values = np.random.default_rng(0).integers(0, 65536, (50, 30)).astype(np.uint16)
        content = encoded(Image.fromarray(values), kind)
        whole = decode(content)
        np.testing.assert_array_equal(whole[:, :, 1], np.floor(values * (255 / 65535) + 0.5))
        monkeypatch.setattr(pixels, "_BAND", 100)
        np.testing.assert_array_equal(decode(content), whole)

    def test_twelve_bit_grey_is_scaled_by_its_own_range(self) -> None:
        packed = bytes.fromhex("0000017ff800fff100")
        assert decode(tiff(6, packed, 12))[0, :, 0].tolist() == [0, 0, 127, 128, 255, 16]

    @pytest.mark.parametrize("bits", [8, 16])
    def test_a_tiff_whose_white_is_zero_is_inverted(self, bits: int) -> None:
        values = np.array([0, 1, 2**bits - 1], f"<u{bits // 8}").tobytes()
        black, white = decode(tiff(3, values, bits)), decode(tiff(3, values, bits, photometric=0))
        np.testing.assert_array_equal(white, 255 - black)
        assert black[0, :, 0].tolist() == [0, 1 if bits == 8 else 0, 255]

    @pytest.mark.parametrize("kind", ["f4", "u4", "i4", "i2", "i1"])
    def test_pixels_without_a_range(self, kind: str) -> None:
        values = np.arange(16).astype(f"<{kind}")
        content = tiff(4, values.tobytes(), 8 * values.itemsize, sample_format="uif".index(kind[0]) + 1)
        with pytest.raises(UnreadableImage, match="no fixed range"):
            decode(content)

    @pytest.mark.parametrize(
        ("kind", "share"), [("JPEG", 0.5), ("JPEG", 0.97), ("PNG", 0.6), ("WEBP", 0.6), ("BMP", 0.6)]
    )
    def test_a_truncated_file_is_never_half_a_picture(self, kind: str, share: float, tmp_path: Path) -> None:
        content = encoded(Image.fromarray(noise(64, 64)), kind)
        path = tmp_path / "cut"
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(UnreadableImage, match="cut"):
            decode(path)

    @pytest.mark.parametrize("interlaced", [False, True])
    @pytest.mark.parametrize(
        ("bits", "colour", "channels"), [(1, 0, 1), (16, 0, 1), (8, 2, 3), (2, 3, 1), (8, 4, 2), (16, 6, 4)]
    )
    def test_a_png_that_ends_in_order_after_too_few_rows(
        self, bits: int, colour: int, channels: int, interlaced: bool
    ) -> None:
        """Black pictures, so that only their length tells which of them are whole."""
        width, height = 5, 11
        adam7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
        rows = [
            bytes((len(range(left, width, across)) * bits * channels + 7) // 8)
            for left, top, across, down in (adam7 if interlaced else ((0, 0, 1, 1),))
            for _ in range(top, height, down)
        ]
        assert not decode(png(width, height, bits, colour, rows, interlaced)).any()
        for kept in range(len(rows)):
            with pytest.raises(UnreadableImage, match="truncated"):
                decode(png(width, height, bits, colour, rows[:kept], interlaced))

    @pytest.mark.parametrize("interlaced", [False, True])
    @pytest.mark.parametrize(("bits", "colour", "channels"), [(1, 0, 1), (2, 3, 1), (8, 4, 2), (8, 2, 3), (16, 6, 4)])
    def test_the_rows_of_a_png_of_any_size_are_counted(
        self, bits: int, colour: int, channels: int, interlaced: bool
    ) -> None:
        """Against a picture that is cut into the passes of the standard: https://www.w3.org/TR/png-3/#8Interlace"""
        for width, height in [*itertools.product(range(1, 19), repeat=2), (300, 2), (2, 70_000)]:
            header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
            row, column = np.mgrid[:height, :width]
            parts = ADAM7[row % 8, column % 8] if interlaced else np.ones((height, width), int)
            size = 0
            for part in np.unique(parts):
                rows, columns = (len(np.unique(place[parts == part])) for place in (row, column))
                size += rows * (1 + (columns * bits * channels + 7) // 8)
            assert _size(header) == size, (width, height)

    def test_a_png_that_lacks_only_its_last_row(self) -> None:
        rows = [row.tobytes() for row in noise(12, 30)]
        with pytest.raises(UnreadableImage, match="truncated"):
            decode(png(30, 12, 8, 2, rows[:-1]))

    @pytest.mark.parametrize(("height", "width"), [(1, 1), (9, 17), (40, 30)])
    def test_only_a_jpeg_whose_very_last_pixel_is_grey_gets_a_closer_look(
        self, height: int, width: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[bytes] = []

        def lacks(content: bytes, last: bytes, *rest: object) -> bool:
            seen.append(last)
            return False

        monkeypatch.setattr(decoding, "lacks_data", lacks)
        pixels = decode(encoded(Image.fromarray(noise(height, width)), "JPEG"))
        assert seen == [pixels[-1, -1].tobytes()]

    def test_a_png_with_a_black_end_is_whole_and_one_with_more_data_too(self) -> None:
        pixels = noise(40, 30)
        pixels[20:] = 0
        rows = [row.tobytes() for row in pixels]
        np.testing.assert_array_equal(decode(png(30, 40, 8, 2, rows)), pixels)
        np.testing.assert_array_equal(decode(png(30, 40, 8, 2, [*rows, b"more"])), pixels)

    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"subsampling": 0}])
    @pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
    def test_a_jpeg_that_was_cut_and_closed_again_is_seen(self, mode: str, options: dict[str, Any]) -> None:
        content = encoded(Image.fromarray(noise(64, 64)).convert(mode), "JPEG", **options)
        half = content[: len(content) // 2]
        for damaged in (half + b"\xff\xd9", half + bytes(len(content) - len(half)), half + b"\xff\xd9trailer"):
            with pytest.raises(UnreadableImage, match="truncated"):
                decode(damaged)

    @settings(max_examples=60, deadline=None)
    @given(
        SIDES, SIDES, st.booleans(), st.booleans(), st.sampled_from([0, 1, 2]), st.sampled_from(["RGB", "L", "CMYK"])
    )
    def test_a_complete_jpeg_is_never_refused(
        self, height: int, width: int, progressive: bool, restarts: bool, subsampling: int, mode: str
    ) -> None:
        """With grey at the end, the case that needs the closer look."""
        pixels = noise(height, width, levels=2)
        pixels[height // 2 :] = 128
        image = Image.fromarray(pixels).convert(mode)
        content = encoded(
            image,
            "JPEG",
            progressive=progressive,
            subsampling=subsampling,
            restart_marker_rows=int(restarts),
        )
        expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        np.testing.assert_array_equal(decode(content), expected)
        np.testing.assert_array_equal(decode(content + b"\0trailer"), expected)

    def test_even_when_something_switched_pillow_to_grey_filling(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
        content = encoded(Image.fromarray(noise(64, 64)), "JPEG")
        with pytest.raises(UnreadableImage, match="LOAD_TRUNCATED_IMAGES"):
            decode(content[: len(content) // 2])

    def test_an_empty_file(self, tmp_path: Path) -> None:
        (tmp_path / "empty.jpg").touch()
        with pytest.raises(UnreadableImage, match=r"empty\.jpg.*0 bytes"):
            decode(tmp_path / "empty.jpg")

    def test_a_missing_file_and_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(UnreadableImage, match="No such file"):
            decode(tmp_path / "none.jpg")
        with pytest.raises(UnreadableImage, match="directory"):
            decode(tmp_path)

    @pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
    def test_an_animation_is_not_one_picture(self, kind: str) -> None:
        frames = [Image.fromarray(noise(16, 16, seed)) for seed in range(3)]
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        with pytest.raises(UnreadableImage, match="3 frames"):
            decode(content)

    def test_a_photograph_with_a_preview_behind_it_is_read(self) -> None:
        first, second = Image.fromarray(smooth(16, 16)), Image.fromarray(smooth(8, 8))
        content = encoded(first, "MPO", save_all=True, append_images=[second])
        assert decode(content).shape == (16, 16, 3)

    @pytest.mark.parametrize("side", [10_050, 30_000])
    def test_a_bomb_is_refused_before_it_is_decompressed(self, side: int) -> None:
        header = side.to_bytes(4, "big") * 2 + b"\x01\x00\x00\x00\x00"
        chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
        content = b"\x89PNG\r\n\x1a\n" + b"".join(
            len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")
            for name, data in chunks
        )
        with pytest.raises(UnreadableImage, match="100 million pixels"):
            decode(content)

    def test_no_side_is_longer_than_a_jpegs(self) -> None:
        assert decode(png(65_535, 1, 1, 0, [bytes(8192)])).shape == (1, 65_535, 3)
        for width, height in ((65_536, 1), (1, 65_536)):
            with pytest.raises(UnreadableImage, match=f"{width}x{height} has a side of more than 65,535 pixels"):
                decode(png(width, height, 1, 0, []))

    def test_a_file_larger_than_any_picture_is_not_even_read(self, tmp_path: Path) -> None:
        with (tmp_path / "slide.tif").open("wb") as file:
            file.write(b"II*\0")
            file.truncate(6 * 2**30)  # sparse
        with pytest.raises(UnreadableImage, match=r"slide\.tif: has 6\.4 GB"):
            decode(tmp_path / "slide.tif")

    def test_pillows_warnings_stay_away_from_the_console(self, tmp_path: Path) -> None:
        """In a process of its own: pytest makes errors of warnings."""
        exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\xff\xff\xff\xff\0\0\0\0"
        plain = encoded(Image.fromarray(smooth(16, 16)), "JPEG")
        (tmp_path / "exif.jpg").write_bytes(
            plain[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + plain[2:]
        )
        (tmp_path / "large.png").write_bytes(png(9_500, 9_500, 1, 0, [bytes(1188)] * 9_500))
        program = "import sys; from edgetl.runtime.decoding import decode; [decode(path) for path in sys.argv[1:]]"
        files = [str(tmp_path / name) for name in ("exif.jpg", "large.png")]
        ended = subprocess.run([sys.executable, "-c", program, *files], capture_output=True, text=True, check=True)
        assert ended.stderr == ""

    def test_text_is_not_a_picture(self) -> None:
        with pytest.raises(UnreadableImage, match="not a picture") as caught:
            decode(b"<svg/>")
        assert caught.value.hint is not None

    @SKIPPED_METADATA
    @settings(max_examples=150, deadline=None)
    @given(st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"]), st.integers(0, 10_000), st.integers(0, 255))
    def test_a_changed_byte_gives_pixels_or_the_right_error(self, kind: str, place: int, value: int) -> None:
        content = bytearray(encoded(Image.fromarray(smooth(12, 12)), kind))
        content[place % len(content)] = value
        try:
            pixels = decode(bytes(content))
        except UnreadableImage:
            return
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3

    def test_without_pillow_the_hint_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "PIL", None)
        with pytest.raises(MissingRuntime, match="pip install pillow"):
            decode(b"anything")


@pytest.mark.parametrize("trailer", [b"", b"\xff\xda\x00\x02more\xff\xd9"])
def test_a_jpeg_is_asked_about_right_before_the_end_of_each_scan(trailer: bytes) -> None:
    """Its first segment is a preview with markers of its own, which are not the picture's."""
    preview = b"\xff\xd9\xff\xda\xff\xd9"
    start = b"\xff\xd8\xff\xe1\x00\x08" + preview + b"\xff\xda\x00\x04xx" + b"data\xff\x00\xff\xd0more"
    seen: list[bytes] = []

    def unchanged(content: bytes) -> bool:
        seen.append(content)
        return True

    for scans, ends in ((b"", 1), (b"\xff\xda\x00\x04yyscan", 2)):
        seen.clear()
        content = start + scans + b"\xff\xd9" + trailer
        assert not lacks_data(content, [127, 128], False, unchanged)
        pieces = seen[0].split(_FILLER)
        assert len(pieces) == ends + 1
        assert pieces[0] == start
        assert b"".join(pieces) == content
    assert lacks_data(content, [128], True, lambda changed: False)
    assert not lacks_data(content, [1, 128], False, lambda changed: False)
    assert lacks_data(content, [1, 128], True, lambda changed: False)


def test_preprocess_turns_first_and_resizes_then() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(Image.fromarray(smooth(24, 40)), "JPEG", exif=exif.tobytes())
    got = preprocess(content, Preprocessing(Resize("stretch", "bilinear", 20, 12)))
    np.testing.assert_array_equal(got, pillow_resize(decode(content), 20, 12, "bilinear"))
    assert got.flags.c_contiguous


def test_decoded_pixels_are_resized_only() -> None:
    pixels = noise(24, 40)
    how = Preprocessing(Resize("crop", "bilinear", 12, 12))
    np.testing.assert_array_equal(preprocess(pixels, how), resize(pixels, how.resize))
    wrongs: list[Any] = [
        pixels.astype(np.float32),
        pixels[:, :, 0],
        pixels[None],
        pixels[:, :, :2],
        np.dstack([pixels, pixels[:, :, 0]]),
        pixels[:0],
        pixels[:, :0],
    ]
    for wrong in wrongs:
        with pytest.raises(UnreadableImage, match=r"expected uint8 \[height, width, 3\]"):
            preprocess(wrong, how)


def test_the_bytes_of_a_picture_are_the_tensor_of_int8() -> None:
    assert (preprocessing.OFFSET, preprocessing.DIVISOR) == (128, 128)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_no_picture_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UnreadableImage, match="is a pipe"):
        decode(tmp_path / "pipe.png")
