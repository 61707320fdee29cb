"""PNG files: every chunk is walked, its checksum compared."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from patchbatch.data.headers.limits import MAX_INFLATION, check_size
from patchbatch.errors import PatchBatchError

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NEEDED = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type: samples per pixel


@dataclass(frozen=True)
class PngHeader:
    """The fields of a PNG file's IHDR chunk."""

    width: int  # pixels
    height: int  # pixels
    depth: int  # bits per sample: 1, 2, 4, 8 or 16
    colour_type: int  # 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha
    frames: int = 1  # of an animation (APNG)


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
    if not data.startswith(PNG_SIGNATURE):
        raise PatchBatchError(f"{name} is not a PNG file; convert it or check the suffix")
    first, kind, width, height, depth, colour_type = struct.unpack_from(">I4sIIBB", data.ljust(26, b"\0"), 8)
    if first != 13 or kind != b"IHDR" or colour_type not in _PNG_CHANNELS or depth not in (1, 2, 4, 8, 16):
        raise PatchBatchError(f"{name} has a damaged PNG header; write or copy it again")
    check_size(width, height, name, len(data))
    coded, frames = _walk(data, name)
    if height * (width * depth * _PNG_CHANNELS[colour_type] // 8) > coded * MAX_INFLATION:
        raise PatchBatchError(
            f"{name} claims {width}x{height} pixels but holds too little data; copy it again"
        )
    return PngHeader(width, height, depth, colour_type, frames)


def _walk(data: bytes, name: str) -> tuple[int, int]:
    """Walk the chunks up to IEND; return how many bytes of coded pixels they hold, and how many frames."""
    position, coded, frames = len(PNG_SIGNATURE), 0, 1
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            break
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(memoryview(data)[position + 4 : end - 4]) != checksum:
            raise PatchBatchError(f"{name} is damaged (a PNG checksum differs); copy it again")
        if kind == b"IEND":
            return coded, frames
        if kind == b"acTL" and length >= 4:
            (frames,) = struct.unpack_from(">I", data, position + 8)
        coded += length if kind == b"IDAT" else 0
        position = end
    raise PatchBatchError(f"{name} is cut short (a PNG without its end); copy it again")


def only_pixels(data: bytes) -> bytes:
    """Return a PNG, of which `check_png` has approved, without all that says more than its pixels.

    Colour profiles make the decoder talk, texts are compressed a second time, and of an animation only the
    picture is left that viewers without animations show: the first frame, or a title apart.
    """
    parts, position = [PNG_SIGNATURE], len(PNG_SIGNATURE)
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if kind in _NEEDED:
            parts.append(data[position:end])
        if kind == b"IEND":
            break
        position = end
    return b"".join(parts)
