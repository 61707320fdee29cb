"""Formats of nested boxes: JPEG 2000 and AVIF; and those of the kind that are not read, by name."""

from __future__ import annotations

import struct

JP2_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
J2K_SIGNATURE = b"\xffO\xffQ"
_AVIF = (b"avif", b"avis")
_HEIF = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
# Boxes are looked for in the first part of a file; metadata before them are short.
_LOOKED_AT = 1 << 16


def is_avif(data: bytes) -> bool:
    """Return whether a file is an AVIF picture or sequence."""
    return data[4:8] == b"ftyp" and (data[8:12] in _AVIF or (data[8:12] in _HEIF and b"avif" in data[16:64]))


def is_heif(data: bytes) -> bool:
    """Return whether a file is a HEIF picture, as telephones make them, and no AVIF."""
    return data[4:8] == b"ftyp" and data[8:12] in _HEIF and not is_avif(data)


def jpeg2000_size(data: bytes) -> tuple[int, int, int]:
    """Return width, height and bits of a sample, from the SIZ segment; zeros where there is none."""
    at = data.find(J2K_SIGNATURE)
    if at < 0 or at + 42 > len(data):
        return 0, 0, 0
    right, bottom, left, top = struct.unpack_from(">4I", data, at + 8)
    return right - left, bottom - top, (data[at + 42] & 0x7F) + 1 if at + 42 < len(data) else 8


def avif_size(data: bytes) -> tuple[int, int, int]:
    """Return width, height and bits of a sample: the largest of the pictures in the file."""
    head, sizes, bits = data[:_LOOKED_AT], [(0, 0)], 8
    at = head.find(b"ispe")
    while at >= 0 and at + 16 <= len(head):
        sizes.append(struct.unpack_from(">II", head, at + 8))
        at = head.find(b"ispe", at + 4)
    if (at := head.find(b"av1C")) >= 0 and at + 7 <= len(head):
        flags = head[at + 6]  # bit 6: more than 8 bits, bit 5: 12 of them
        bits = (12 if flags & 0x20 else 10) if flags & 0x40 else 8
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return width, height, bits
