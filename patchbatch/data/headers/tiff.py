"""TIFF files, classic and big: the tags of the first picture, how many there are, and which way up it is."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from patchbatch.errors import PatchBatchError

CLASSIC, BIG = (b"II*\0", b"MM\0*"), (b"II+\0", b"MM\0+")
# Tags: width, height, bits, compression, orientation, samples a pixel, their format.
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _ORIENTATION, _SAMPLES, _FORMAT = 256, 257, 258, 259, 274, 277, 339
_SHORT = 3
# None, three fax codings, LZW, two JPEGs, two deflates, PackBits; then LZMA, Zstandard, WebP.
_COMPRESSIONS = frozenset((1, 2, 3, 4, 5, 6, 7, 8, 32946, 32773, 34925, 50000, 50001))
_FORMATS = {1: "uint", 2: "int", 3: "float", 4: "untyped ", 5: "complex int ", 6: "complex"}
_MOST_PAGES = 1000  # are counted


@dataclass(frozen=True)
class TiffHeader:
    """What the first directory of a TIFF file says, 0 or the default where it says nothing."""

    width: int  # pixels
    height: int  # pixels
    bits: int  # of a sample
    samples: int  # of a pixel
    kind: str  # of numbers: uint, int, float ...
    compression: int
    pages: int
    orientation_at: int | None  # offset of the tag's value in the file
    order: str  # of bytes: < or >

    @property
    def alpha_of_8_bits(self) -> bool:
        """Whether it has alpha, by which OpenCV would multiply the colours."""
        return self.samples in (2, 4) and self.bits == 8 and self.kind == "uint"

    @property
    def words(self) -> str:
        """Say what pixels are like.

        Examples
        --------
        >>> TiffHeader(9, 9, 32, 5, "float", 1, 1, None, "<").words
        '5 x float32'
        """
        return f"{self.samples} x {self.kind}{self.bits}" if self.samples > 1 else f"{self.kind}{self.bits}"


def tiff_header(data: bytes) -> TiffHeader | None:
    """Return what the first directory says; None where there is none to be read."""
    order, big = "<" if data[:2] == b"II" else ">", data[:4] in BIG
    try:
        (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
        tags = _tags(data, start, order, big)
        pages = _pages(data, start, order, big)
    except (struct.error, OverflowError):  # offsets behind the end, or beyond all ends
        return None
    found = {tag: value for tag, (value, _) in tags.items()}
    at = tags[_ORIENTATION][1] if _ORIENTATION in tags else None
    return TiffHeader(
        found.get(_WIDTH, 0), found.get(_HEIGHT, 0), found.get(_BITS, 1), found.get(_SAMPLES, 1),
        _FORMATS.get(found.get(_FORMAT, 1), "unknown "), found.get(_COMPRESSION, 1), pages, at, order,
    )  # fmt: skip


def _tags(data: bytes, start: int, order: str, big: bool) -> dict[int, tuple[int, int]]:
    """Return the first value of each tag that is looked for, and where it stands."""
    wanted = (_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _ORIENTATION, _SAMPLES, _FORMAT)
    tags: dict[int, tuple[int, int]] = {}
    (entries,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
    step, first = (20, start + 8) if big else (12, start + 2)
    for at in range(first, first + step * min(entries, 65535), step):
        tag, kind = struct.unpack_from(order + "HH", data, at)
        (count,) = struct.unpack_from(order + ("Q" if big else "I"), data, at + 4)
        if tag not in wanted or tag in tags:
            continue
        place = at + (12 if big else 8)
        letter, size = ("H", 2) if kind == _SHORT else ("I", 4)
        if count * size > (8 if big else 4):  # several values stand elsewhere
            (place,) = struct.unpack_from(order + ("Q" if big else "I"), data, place)
        tags[tag] = struct.unpack_from(order + letter, data, place)[0], place
    return tags


def _pages(data: bytes, start: int, order: str, big: bool) -> int:
    """Count the directories; a chain that bites its tail or leaves the file ends there."""
    seen: set[int] = set()
    while 0 < start < len(data) and start not in seen and len(seen) < _MOST_PAGES:
        seen.add(start)
        try:
            (entries,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
            end = start + (8 + 20 * entries if big else 2 + 12 * entries)
            (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, end)
        except (struct.error, OverflowError):
            break
    return len(seen)


def check_tiff(header: TiffHeader, name: str) -> None:
    """Refuse codings that the decoders do not know; one of them returns black for those.

    Raises
    ------
    PatchBatchError
        Names the coding by its number.
    """
    if header.compression not in _COMPRESSIONS:
        raise PatchBatchError(
            f"{name} is a TIFF with compression {header.compression}, which is not read; convert it to PNG"
        )


def as_stored(data: bytes, header: TiffHeader) -> bytes:
    """Return a TIFF file with its orientation tag set to 1, so that its decoder does not turn it."""
    if header.orientation_at is None:
        return data
    at = header.orientation_at
    return data[:at] + struct.pack(header.order + "H", 1) + data[at + 2 :]
