"""What the header of an image file promises, checked before a decoder is let loose on it.

Decoders trust headers: a small file that claims a billion pixels makes them ask for that memory, and
several fill a cut file up with grey and say nothing. Here the claims are compared with the bytes.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

from patchbatch.errors import PatchBatchError

# 256 megapixels: sixty times a 4K frame, and about 1.5 GB as 16-bit RGB.
MAX_PIXELS = 256_000_000
# Deflate codes at best 258 bytes in 2 bits, so no stream grows by more than this factor.
MAX_INFLATION = 1032

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type: samples per pixel
_PNM = re.compile(rb"P[1-6]\s+(?:#[^\n]*\n\s*)*(\d+)\s+(?:#[^\n]*\n\s*)*(\d+)\s")
# In coded data 0xFF is followed by 0 (a literal 0xFF) or a restart mark 0xD0..0xD7; all else is a segment.
_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True)
class PngHeader:
    """The fields of a PNG file's IHDR chunk."""

    width: int  # pixels
    height: int  # pixels
    depth: int  # bits per sample: 1, 2, 4, 8 or 16
    colour_type: int  # 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha


def check_png(data: bytes, name: str) -> PngHeader:
    """Check every chunk of a PNG file and return its header.

    Parameters
    ----------
    data
        The whole file.
    name
        What to call the file in an error.

    Returns
    -------
    PngHeader
        Size, depth and colour type.

    Raises
    ------
    PatchBatchError
        The file is no PNG, is cut (no IEND chunk), damaged (a checksum differs), or too large.
    """
    if not data.startswith(_PNG_SIGNATURE):
        raise PatchBatchError(f"{name} is not a PNG file; convert it or check the suffix")
    first, kind, width, height, depth, colour_type = struct.unpack_from(">I4sIIBB", data.ljust(26, b"\0"), 8)
    header = PngHeader(width, height, depth, colour_type)
    if first != 13 or kind != b"IHDR" or colour_type not in _PNG_CHANNELS or depth not in (1, 2, 4, 8, 16):
        raise PatchBatchError(f"{name} has a damaged PNG header; write or copy it again")
    _check_size(width, height, name)
    coded = _png_chunks(data, name)
    if height * (width * depth * _PNG_CHANNELS[colour_type] // 8) > coded * MAX_INFLATION:
        raise PatchBatchError(
            f"{name} claims {width}x{height} pixels but holds too little data; copy it again"
        )
    return header


def _png_chunks(data: bytes, name: str) -> int:
    """Walk the chunks up to IEND and return how many bytes of coded pixels they hold."""
    position, coded = len(_PNG_SIGNATURE), 0
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            break
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(memoryview(data)[position + 4 : end - 4]) != checksum:
            raise PatchBatchError(f"{name} is damaged (a PNG checksum differs); copy it again")
        if kind == b"IEND":
            return coded
        coded += length if kind == b"IDAT" else 0
        position = end
    raise PatchBatchError(f"{name} is cut short (a PNG without its end); copy it again")


def check_image(data: bytes, name: str) -> PngHeader | None:
    """Refuse an image file that is cut short or claims too many pixels, where its header tells.

    PNG and JPEG are checked for their end; PNG, JPEG, GIF, BMP, TIFF and PNM for their size.

    Returns
    -------
    PngHeader or None
        As `check_png`; None for another format.

    Raises
    ------
    PatchBatchError
        One line naming the file.
    """
    if data.startswith(_PNG_SIGNATURE):
        return check_png(data, name)
    if data.startswith(b"\xff\xd8\xff"):
        _check_jpeg(data, name)
    elif data[:4] in (b"GIF8", b"II*\0", b"MM\0*") or data[:2] == b"BM" or _PNM.match(data[:512]):
        _check_size(*_claimed_size(data), name)
    return None


def _check_jpeg(data: bytes, name: str) -> None:
    """Follow the segments of a JPEG file to its end mark, past thumbnails inside a segment."""
    position = 2
    while marker := _JPEG_MARKER.search(data, position):
        code, position = marker[1][0], marker.end()
        if code == 0xD9:
            return
        if position + 7 > len(data):
            break
        length, _, height, width = struct.unpack_from(">HBHH", data, position)
        if code in _JPEG_FRAMES:
            _check_size(width, height, name)
        position += length
    raise PatchBatchError(f"{name} is cut short (a JPEG without its end); copy it again")


def _claimed_size(data: bytes) -> tuple[int, int]:
    """Return the width and height that a GIF, BMP, TIFF or PNM header claims, (0, 0) where unreadable."""
    try:
        if data.startswith(b"GIF8"):
            width, height = struct.unpack_from("<HH", data, 6)
        elif data.startswith(b"BM"):
            old = struct.unpack_from("<I", data, 14)[0] == 12  # the first OS/2 header has 16-bit sizes
            width, height = struct.unpack_from("<HH" if old else "<ii", data, 18)
        elif pnm := _PNM.match(data[:512]):
            width, height = (int(number[:10]) for number in pnm.groups())
        else:
            width, height = _tiff_size(data)
    except struct.error:
        return 0, 0
    return width, abs(height)  # a negative height in a BMP means rows from the top


def _tiff_size(data: bytes) -> tuple[int, int]:
    """Return the width and height tags of a TIFF file's first directory."""
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    (entries,) = struct.unpack_from(order + "H", data, start)
    tags: dict[int, int] = {}
    for entry in range(entries):
        tag, kind = struct.unpack_from(order + "HH", data, start + 2 + 12 * entry)
        if tag in (256, 257):
            value = order + ("H" if kind == 3 else "I")
            (tags[tag],) = struct.unpack_from(value, data, start + 10 + 12 * entry)
    return tags.get(256, 0), tags.get(257, 0)


def _check_size(width: int, height: int, name: str) -> None:
    """Refuse sizes that no picture has."""
    if width < 1 or height < 1:
        raise PatchBatchError(f"{name} has a damaged header (no size); write or copy it again")
    if width * height > MAX_PIXELS:
        raise PatchBatchError(
            f"{name} claims {width}x{height} pixels, over {MAX_PIXELS // 10**6} million; crop or shrink it"
        )
