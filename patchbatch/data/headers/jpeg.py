"""JPEG files: the segments are followed to the end mark, past thumbnails inside a segment."""

from __future__ import annotations

import re
import struct

from patchbatch.data.headers.limits import check_size
from patchbatch.errors import PatchBatchError

# In coded data 0xFF is followed by 0 (a literal 0xFF) or a restart mark 0xD0..0xD7; all else is a segment.
_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_LOSSLESS = frozenset((0xC3, 0xC7, 0xCB, 0xCF))


def check_jpeg(data: bytes, name: str) -> tuple[int, int]:
    """Return the width and height of a JPEG file that ends where it says.

    Raises
    ------
    PatchBatchError
        The file is cut short, too large, or of a kind that is not read: lossless, or not of 8 bits.
    """
    position, size = 2, (0, 0)
    while marker := _MARKER.search(data, position):
        code, position = marker[1][0], marker.end()
        if code == 0xD9:
            return size
        if position + 7 > len(data):
            break
        length, bits, height, width = struct.unpack_from(">HBHH", data, position)
        if code in _FRAMES:
            check_size(width, height, name, len(data))
            if bits != 8 or code in _LOSSLESS:
                kind = "lossless JPEG" if code in _LOSSLESS else f"JPEG of {bits} bits"
                raise PatchBatchError(f"{name} is a {kind}, which is not read; convert it to PNG")
            size = width, height
        position += length
    raise PatchBatchError(f"{name} is cut short (a JPEG without its end); copy it again")
