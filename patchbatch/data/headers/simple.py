"""Formats whose size stands at a fixed place or in a line of text: GIF, BMP, PNM, WebP."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

_SPACE = rb"(?:\s|#[^\n]*\n)+"
_PNM = re.compile(rb"P([1-6])" + _SPACE + rb"(\d+)" + _SPACE + rb"(\d+)" + rb"(?:" + _SPACE + rb"(\d+))?\s")
_HEAD = 4096  # bytes that a text header is looked for in
_FIGURES = 10  # more are no size


@dataclass(frozen=True)
class Claim:
    """Width and height in pixels, the largest value of a sample, and how many frames there are."""

    width: int
    height: int
    top: int = 255
    frames: int = 1


NOTHING = Claim(0, 0)


def gif_claim(data: bytes) -> Claim:
    """Return what a GIF file says."""
    if len(data) < 10:
        return NOTHING
    width, height = struct.unpack_from("<HH", data, 6)
    return Claim(width, height, frames=_gif_frames(data) if len(data) > 13 else 1)


def _gif_frames(data: bytes) -> int:
    """Walk the blocks and count the pictures."""
    position = 13 + (3 * 2 ** ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    frames = 0
    while position < len(data) and data[position] in (0x21, 0x2C):
        if data[position] == 0x2C:
            if position + 10 > len(data):
                break
            frames, flags = frames + 1, data[position + 9]
            position += 11 + (3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0)
        else:
            position += 2
        while position < len(data) and data[position]:
            position += data[position] + 1
        position += 1
    return max(frames, 1)


def bmp_claim(data: bytes) -> Claim:
    """Return what a BMP file says; a negative height means rows from the top."""
    if len(data) < 26:
        data = data.ljust(26, b"\0")
    old = struct.unpack_from("<I", data, 14)[0] == 12  # the first OS/2 header has 16-bit sizes
    width, height = struct.unpack_from("<HH" if old else "<ii", data, 18)
    return Claim(width, abs(height))


def pnm_claim(data: bytes) -> Claim | None:
    """Return what a PBM, PGM or PPM file says; None for another one."""
    if not (header := _PNM.match(data[:_HEAD])):
        return None
    kind, width, height, top = header.groups()
    bilevel = kind in b"14"
    return Claim(
        int(width[:_FIGURES]), int(height[:_FIGURES]), 255 if bilevel or top is None else int(top[:_FIGURES])
    )


def is_webp(data: bytes) -> bool:
    """Return whether a file is a WebP picture."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def webp_claim(data: bytes) -> Claim:
    """Return what a WebP file says: simple, lossless or extended."""
    kind = data[12:16]
    if len(data) < 30:
        return NOTHING
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return Claim(width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        return Claim((packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1)
    width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    return Claim(width, height, frames=max(1, _webp_frames(data)))


def _webp_frames(data: bytes) -> int:
    """Walk the chunks and count those of an animation."""
    position, frames = 12, 0
    while position + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, position)
        frames += kind == b"ANMF"
        position += 8 + size + size % 2
    return frames
