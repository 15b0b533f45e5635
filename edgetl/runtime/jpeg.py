"""Does a JPEG hold its whole picture? Its decoder does not tell: libjpeg fills what is missing with grey and only warns.

Pillow notices a file that just stops. It does not notice one whose tail was replaced by zeros (an interrupted download
into a preallocated file), nor one that was cut and closed again with an end marker. The first has no end marker. In the
second, bytes put between the data and that marker are read as picture, while a complete picture never looks at them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

# A marker that can end entropy-coded data: not a stuffed zero, not a restart; TEM has no length and no use.
_MARKER = re.compile(rb"\xff+[^\x00\x01\xff\xd0-\xd7]")
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_FILLER = bytes(range(1, 255)) * 16  # no 0xff, so no marker
_MISSING = frozenset({127, 128})  # the grey of missing blocks, also in the inverted channels of CMYK


def lacks_data(content: bytes, last: Collection[int], progressive: bool, unchanged: Callable[[bytes], bool]) -> bool:
    """Whether a decoded JPEG stops before its picture does.

    Args:
        content: the file.
        last: the last pixel, as stored.
        progressive: whether it has several scans; a missing one takes away detail, not a region.
        unchanged: whether another file decodes to the same pixels. Called only for progressive pictures and for those
            with a grey last pixel, so an ordinary picture costs nothing more.
    """
    ends = _scan_ends(content)
    if ends is None:
        return True
    if not progressive and not _MISSING.issuperset(last):
        return False
    pieces = [content[start:end] for start, end in zip([0, *ends], [*ends, len(content)], strict=True)]
    return not unchanged(_FILLER.join(pieces))


def _scan_ends(content: bytes) -> list[int] | None:
    """Where the data of each scan ends; None when no end-of-image marker follows."""
    ends: list[int] = []
    place, in_scan = 2, False
    while match := _MARKER.search(content, place):
        kind = content[match.end() - 1]
        if in_scan:
            ends.append(match.start())
        if kind == _END_OF_IMAGE:
            return ends
        in_scan = kind == _START_OF_SCAN
        place = match.end() + int.from_bytes(content[match.end() : match.end() + 2], "big")
    return None
