"""Files that are no pictures are called what they are: real ones, as their own writers make them where we have those."""

from __future__ import annotations

import gzip
import io
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features
from scipy.io import savemat

from edgetl.runtime.containers import container
from edgetl.runtime.decoding import decode
from edgetl.runtime.errors import UnreadableImage


def _zip(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "something" * 999)
    return file.getvalue()


def _tar(mode: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        archive.addfile(tarfile.TarInfo("a.png"), io.BytesIO())
    return file.getvalue()


def _nifti(version: int, magic: bytes = b"n+1\0") -> bytes:
    header = bytearray(540)
    header[:4] = struct.pack("<i", 348 if version == 1 else 540)
    place = 344 if version == 1 else 4
    header[place : place + len(magic)] = magic
    return bytes(header) + bytes(100)


def _numpy(archive: bool) -> bytes:
    file = io.BytesIO()
    (np.savez if archive else np.save)(file, np.arange(9))
    return file.getvalue()


def _matlab() -> bytes:
    file = io.BytesIO()
    savemat(file, {"x": np.arange(9)})
    return file.getvalue()


def _media(brand: bytes, *others: bytes) -> bytes:
    body = b"ftyp" + brand + bytes(4) + b"".join(others)
    return struct.pack(">I", len(body) + 4) + body + bytes(99)


def _saved(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(file, kind)
    return file.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1\nsize 12345\n"
HDF5 = b"\x89HDF\r\n\x1a\n"
# What a file is -> its bytes, what the message says, and a word of the hint.
FILES: dict[str, tuple[bytes, str, str]] = {
    "dicom": (bytes(128) + b"DICM" + bytes(99), "is a DICOM file, which is not read yet", "window"),
    "nifti": (_nifti(1), "is a NIfTI volume, not a picture", "slices"),
    "nifti header": (_nifti(1, b"ni1\0"), "is a NIfTI volume", "slices"),
    "nifti 2": (_nifti(2, b"n+2\0"), "is a NIfTI volume", "slices"),
    "packed nifti": (gzip.compress(_nifti(1)), "is a NIfTI volume", "slices"),
    "gzip": (gzip.compress(b"x" * 999), "is a gzip archive, not a picture", "extract it"),
    "gzip of a page": (gzip.compress(b"<html>"), "is a gzip archive", "extract it"),
    "gzip that is cut": (gzip.compress(_nifti(1))[:9], "is a gzip archive", "extract it"),
    "gzip that is broken": (b"\x1f\x8b\x08" + b"\xff" * 99, "is a gzip archive", "extract it"),
    "tar": (_tar("w"), "is a tar archive", "extract it"),
    "packed tar": (_tar("w:gz"), "is a tar archive", "extract it"),
    "zip": (_zip("a.png", "b.png"), "is a zip archive", "extract it"),
    "empty zip": (_zip(), "is a zip archive", "extract it"),
    "word": (_zip("[Content_Types].xml", "word/document.xml"), "is an Office document", "picture that is in it"),
    "excel": (_zip("[Content_Types].xml", "xl/workbook.xml"), "is an Office document", "picture that is in it"),
    "powerpoint": (_zip("[Content_Types].xml", "ppt/presentation.xml"), "is an Office document", "that is in it"),
    "old office": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "is an old Office document", "save it"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(99), "is a 7z archive", "extract it"),
    "rar": (b"Rar!\x1a\x07\x01\x00", "is a RAR archive", "extract it"),
    "heic": (_media(b"heic", b"mif1", b"heic"), "is a HEIC picture, as phones save it", "PNG or JPEG"),
    "heic by its other brands": (_media(b"mif1", b"miaf", b"heic"), "is a HEIC picture", "PNG or JPEG"),
    "heif": (_media(b"mif1", b"miaf"), "is a HEIF picture", "PNG or JPEG"),
    "avif": (_media(b"avif", b"mif1"), "is an AVIF picture", "PNG or JPEG"),
    "mp4": (_media(b"isom", b"mp41"), "is an MP4 film", "frames"),
    "mov": (_media(b"qt  "), "is a QuickTime film", "frames"),
    "avi": (b"RIFF\x10\0\0\0AVI LIST", "is an AVI film", "frames"),
    "webm": (b"\x1a\x45\xdf\xa3" + bytes(99), "is a Matroska or WebM film", "frames"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3", "is a PDF", "picture that is in it"),
    "hdf5": (HDF5 + bytes(99), "is an HDF5 file", "export"),
    "hdf5 behind a block": (bytes(512) + HDF5, "is an HDF5 file", "export"),
    "matlab": (_matlab(), "is a MATLAB file", "export"),
    "matlab 7.3": (b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512) + HDF5, "is a MATLAB file", "export"),
    "npy": (_numpy(archive=False), "is a NumPy array", "PNG"),
    "npz": (_numpy(archive=True), "is a NumPy archive", "medmnist"),
    "nrrd": (b"NRRD0004\ntype: short\n\n" + bytes(99), "is an NRRD volume", "slices"),
    "metaimage": (b"ObjectType = Image\nNDims = 3\nElementDataFile = LOCAL\n\0\1\2\3", "is a MetaImage", "slices"),
    "metaimage header": (b"ObjectType = Image\nNDims = 3\n", "is a MetaImage volume", "slices"),
    "jpeg 2000 stream": (b"\xff\x4f\xff\x51" + bytes(99), "is a JPEG 2000 picture", "PNG or JPEG"),
    "jpeg xl": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99), "is a JPEG XL picture", "PNG or JPEG"),
    "jpeg xl stream": (b"\xff\x0a" + bytes(range(99)), "is a JPEG XL picture", "PNG or JPEG"),
    "photoshop": (b"8BPS\0\1" + bytes(99), "is a Photoshop file", "PNG or JPEG"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is an SVG drawing", "PNG or JPEG"),
    "svg of xml": (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x --><svg/>", "is an SVG drawing", "PNG or JPEG"),
    "xml": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "is an XML file", "why"),
    "html": (b"\n<!DOCTYPE HTML>\n<title>404 Not Found</title>", "is a web page (HTML), not a picture", "again"),
    "html after a remark": (b"<!-- x -->\n<html lang=de>\xc3\xa4", "is a web page", "again"),
    "lfs": (LFS, "is a Git LFS pointer", "git lfs pull"),
    "text": (b"Keine Bilddatei, sondern \xc3\x84rger\r\n", "is text, not a picture", "why"),
    "long text": ("\u00e4".encode() * 4096, "is text", "why"),
    "long text with an odd end": (b"x" + "\u00e4".encode() * 4096, "is text", "why"),
    "text in utf-16": ("kein Bild\n".encode("utf-16"), "is text", "why"),
}
UNKNOWN = {
    "noise": bytes(np.random.default_rng(0).integers(0, 256, 999, dtype=np.uint8)),
    "text in latin-1": "kein B\u00e4r\n".encode("latin-1"),
    "zeros": bytes(999),
    "a broken PNG": b"\x89PNG\r\n\x1a\n" + bytes(99),
    "a broken WebP": b"RIFF\x10\0\0\0WEBPxxxx",
    "a wave": b"RIFF\x10\0\0\0WAVEfmt \0\0",
    "DICM elsewhere": bytes(127) + b"DICM" + bytes(99),
}


@pytest.mark.parametrize("name", FILES)
def test_it_is_called_what_it_is_with_what_to_do(name: str, tmp_path: Path) -> None:
    content, says, hint = FILES[name]
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(UnreadableImage) as caught:
        decode(path)
    assert says in caught.value.message
    assert hint in str(caught.value.hint)
    assert caught.value.place == str(path)


@pytest.mark.parametrize("name", UNKNOWN)
def test_nothing_is_guessed(name: str) -> None:
    assert container(UNKNOWN[name]) is None
    with pytest.raises(UnreadableImage, match="is not a picture that can be read, or its header is damaged") as caught:
        decode(UNKNOWN[name])
    assert "readable kinds" in str(caught.value.hint)


@pytest.mark.parametrize(("kind", "says"), [("JPEG2000", "a JPEG 2000 picture"), ("AVIF", "an AVIF picture")])
def test_what_pillow_itself_writes_and_we_do_not_read(kind: str, says: str) -> None:
    if not features.check({"JPEG2000": "jpg_2000", "AVIF": "avif"}[kind]):
        pytest.skip(f"this Pillow writes no {kind}")
    with pytest.raises(UnreadableImage, match=f"is {says}, which is not read"):
        decode(_saved(kind))


@given(st.binary(max_size=600), st.sampled_from([content for content, _, _ in FILES.values()]), st.integers(0, 700))
def test_any_bytes_are_something_or_nothing(noise: bytes, content: bytes, cut: int) -> None:
    for damaged in (noise, content[:cut], content[:cut] + noise, b"\x1f\x8b" + noise, noise[:4] + b"ftyp" + noise):
        known = container(damaged)
        assert known is None or (known.what.startswith("is a") or known.what == "is text, not a picture")


def test_an_archive_that_would_fill_the_memory_is_only_begun() -> None:
    bomb = gzip.compress(bytes(200_000_000), compresslevel=9)
    program = (
        "import resource, sys\nfrom edgetl.runtime.containers import container\n"
        "content = sys.stdin.buffer.read()\nbefore = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(container(content).what)\n"
        "assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000"
    )
    ended = subprocess.run([sys.executable, "-c", program], input=bomb, capture_output=True, check=True)
    assert ended.stdout.startswith(b"is a gzip archive")
