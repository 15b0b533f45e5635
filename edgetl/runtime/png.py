"""Does a PNG hold all of its rows? Its decoder does not tell: data that ends early leaves the rest of the picture black.

Pillow notices a file that just stops. It does not notice one whose compressed data ends by itself, with a right checksum,
after too few rows (a writer that was interrupted and still closed its file in order).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

_PIECE = 2**16  # bytes that are decompressed at once
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the header's colour type
_WHOLE = ((0, 0, 1, 1),)
# Adam7: the first column and row of each pass, and its steps.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def lacks_rows(content: bytes, black_end: bool) -> bool:
    """Whether a decoded PNG stops before its picture does.

    Args:
        content: the file.
        black_end: whether the last row is all zeros, as missing ones are. Only then, and when the picture is interlaced,
            is the data decompressed again, so an ordinary picture costs nothing more.
    """
    header = content[16:29]
    if not black_end and not header[12]:
        return False
    expected = _size(header)
    return _inflated(_data(content), expected) < expected


def _size(header: bytes) -> int:
    """Bytes of all rows before compression; each begins with the number of its filter."""
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    bits = header[8] * _CHANNELS[header[9]]
    size = 0
    for left, top, across, down in _PASSES if header[12] else _WHOLE:
        columns, rows = -((left - width) // across), -((top - height) // down)
        if columns > 0:
            size += max(rows, 0) * (1 + (columns * bits + 7) // 8)
    return size


def _data(content: bytes) -> Iterator[bytes]:
    """The compressed data of the picture, in pieces."""
    place = 8
    while place + 8 <= len(content):
        end = place + 8 + int.from_bytes(content[place : place + 4], "big")
        if content[place + 4 : place + 8] == b"IDAT":
            yield from (content[at : min(at + _PIECE, end)] for at in range(place + 8, end, _PIECE))
        place = end + 4


def _inflated(pieces: Iterator[bytes], enough: int) -> int:
    """Bytes that come out of compressed data, counted up to `enough` and not kept."""
    count, stream = 0, zlib.decompressobj()
    for piece in pieces:
        while piece and count < enough and not stream.eof:
            count += len(stream.decompress(piece, min(_PIECE, enough - count)))
            piece = stream.unconsumed_tail
    return count if count >= enough else count + len(stream.flush())
