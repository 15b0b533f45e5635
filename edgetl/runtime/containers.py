"""What a file is that is no picture of a kind that is read: told by its first bytes, whatever its name says."""

from __future__ import annotations

import zlib
from typing import NamedTuple

_EXTRACT = "extract it, and name the pictures that were in it"
_SAVE = "save it as PNG or JPEG"
_SLICES = "export its slices as PNG, with the window of the examination applied"
_FRAMES = "export the frames that are meant as PNG or JPEG"
_TEXT_BYTES = bytes(set(range(0x20, 0x7F)) | set(b"\t\n\r\f") | set(range(0x80, 0x100)))
_HEAD = 4096
"""Bytes that are looked at, at most, where there is no fixed place to look."""


class Container(NamedTuple):
    """what: the message about the file, such as "is a NIfTI volume, not a picture". hint: what to do about it."""

    what: str
    hint: str


_NIFTI = Container("is a NIfTI volume, not a picture", _SLICES)
_TAR = Container("is a tar archive, not a picture", _EXTRACT)
_HDF5 = Container("is an HDF5 file, not a picture", "export its pictures as PNG")
_MATLAB = Container("is a MATLAB file, not a picture", "export its pictures as PNG")
_TEXT = Container("is text, not a picture", "look into it: it may say why the picture is not there")

# Where, what is there, and what that is. The first that fits counts.
_MAGIC = (
    (128, b"DICM", Container("is a DICOM file, which is not read yet", "export it as PNG, with its window applied")),
    (344, b"n+1\0", _NIFTI),
    (344, b"ni1\0", _NIFTI),
    (4, b"n+2\0", _NIFTI),
    (4, b"ni2\0", _NIFTI),
    (257, b"ustar", _TAR),
    (0, b"7z\xbc\xaf\x27\x1c", Container("is a 7z archive, not a picture", _EXTRACT)),
    (0, b"Rar!\x1a\x07", Container("is a RAR archive, not a picture", _EXTRACT)),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Container("is an old Office document, not a picture", _SAVE)),
    (0, b"%PDF", Container("is a PDF, not a picture", "export the picture that is in it as PNG")),
    (0, b"MATLAB ", _MATLAB),
    (0, b"\x89HDF\r\n\x1a\n", _HDF5),
    (512, b"\x89HDF\r\n\x1a\n", _HDF5),
    (0, b"\x93NUMPY", Container("is a NumPy array, not a picture", "save it as 8-bit or 16-bit PNG")),
    (0, b"NRRD000", Container("is an NRRD volume, not a picture", _SLICES)),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", Container("is a JPEG 2000 picture, which is not read", _SAVE)),
    (0, b"\xff\x4f\xff\x51", Container("is a JPEG 2000 picture, which is not read", _SAVE)),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", Container("is a JPEG XL picture, which is not read", _SAVE)),
    (0, b"\xff\x0a", Container("is a JPEG XL picture, which is not read", _SAVE)),
    (0, b"8BPS", Container("is a Photoshop file, which is not read", _SAVE)),
    (8, b"AVI ", Container("is an AVI film, not a picture", _FRAMES)),
    (0, b"\x1a\x45\xdf\xa3", Container("is a Matroska or WebM film, not a picture", _FRAMES)),
    (
        0,
        b"version https://git-lfs",
        Container("is a Git LFS pointer, and the picture is elsewhere", "fetch it with git lfs pull"),
    ),
)


def container(content: bytes) -> Container | None:
    """What a file is that no decoder knows; None where its bytes do not tell."""
    for place, magic, known in _MAGIC:
        if content.startswith(magic, place):
            return known
    if content.startswith(b"PK\x03\x04") or content.startswith(b"PK\x05\x06"):
        return _zip(content)
    if content.startswith(b"\x1f\x8b"):
        return _gzip(content)
    if content.startswith(b"ftyp", 4):
        return _iso_media(content)
    return _text(content[:_HEAD])


def _zip(content: bytes) -> Container:
    """The names of its files stand in it as they are."""
    if b"word/document" in content or b"xl/workbook" in content or b"ppt/presentation" in content:
        return Container("is an Office document, not a picture", "save the picture that is in it as PNG or JPEG")
    if b".npy" in content[:_HEAD]:
        return Container("is a NumPy archive (.npz), not a picture", "data.kind medmnist reads those of MedMNIST")
    return Container("is a zip archive, not a picture", _EXTRACT)


def _gzip(content: bytes) -> Container:
    try:
        inside = container(zlib.decompressobj(wbits=31).decompress(content[: 16 * _HEAD], _HEAD))
    except zlib.error:
        inside = None
    if inside in (_NIFTI, _TAR):
        return inside
    return Container("is a gzip archive, not a picture", _EXTRACT)


def _iso_media(content: bytes) -> Container:
    """ISO 14496-12: after the length and "ftyp" the brand, a version, and the brands it agrees with."""
    end = min(int.from_bytes(content[:4], "big"), 256)
    brands = {content[8:12], *(content[place : place + 4] for place in range(16, end, 4))}
    if brands & {b"avif", b"avis"}:
        return Container("is an AVIF picture, which is not read", _SAVE)
    if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}:
        return Container("is a HEIC picture, as phones save it, which is not read", _SAVE)
    if brands & {b"mif1", b"msf1"}:
        return Container("is a HEIF picture, which is not read", _SAVE)
    if content[8:12] == b"qt  ":
        return Container("is a QuickTime film (MOV), not a picture", _FRAMES)
    return Container("is an MP4 film, not a picture", _FRAMES)


def _text(head: bytes) -> Container | None:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16, and half a letter at the end is none
        head = head[: len(head) // 2 * 2].decode("utf-16", "ignore").encode()
    if head.translate(None, _TEXT_BYTES) or not _is_utf8(head):
        # MetaImage has its pixels behind its text, often in the same file.
        return _volume_header(head)
    words = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if words.startswith((b"<!doctype html", b"<html")) or (words.startswith(b"<") and b"<html" in words):
        hint = "download the picture again: this may say why that failed"
        return Container("is a web page (HTML), not a picture", hint)
    if words.startswith(b"<") and b"<svg" in words:
        return Container("is an SVG drawing, not a picture", _SAVE)
    if words.startswith(b"<?xml"):
        return Container("is an XML file, not a picture", _TEXT.hint)
    return _volume_header(head) or _TEXT


def _volume_header(head: bytes) -> Container | None:
    first = head.lstrip()
    if first.startswith((b"ObjectType", b"NDims")) and b"=" in first[:64]:
        return Container("is a MetaImage volume, not a picture", _SLICES)
    return None


def _is_utf8(head: bytes) -> bool:
    """Also where it was cut inside a letter."""
    try:
        head.decode()
    except UnicodeDecodeError as exc:
        return exc.reason == "unexpected end of data" and exc.start >= len(head) - 3
    return True
