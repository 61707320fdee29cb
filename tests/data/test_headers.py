"""Headers that lie: sizes, ends and checksums."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from patchbatch.data.codecs import decode_image
from patchbatch.data.headers.check import check_image
from patchbatch.data.headers.png import PngHeader, check_png
from patchbatch.errors import PatchBatchError

NOISE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int = 8, colour_type: int = 0, coded: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", coded) + chunk(b"IEND", b"")


def test_a_png_made_by_hand_is_read() -> None:
    data = png(2, 1, coded=zlib.compress(b"\0\x07\x09"))
    assert check_png(data, "a") == PngHeader(width=2, height=1, depth=8, colour_type=0)
    np.testing.assert_array_equal(decode_image(data, "a"), [[7, 9]])
    assert check_image(data + b"left behind the end", "a") is not None


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (png(0, 5), "no size"),
        (png(2**31, 2**31), "over 256 million"),
        (png(16001, 16000), "over 256 million"),
        (png(5000, 5000, 16, 2, b"x" * 100), "too little data"),
        (png(15000, 15000, 16, 2, b"x" * 100), "as files that fill the memory do"),
        (png(2, 2, 3), "damaged PNG header"),
        (png(2, 2, 8, 5), "damaged PNG header"),
        (png(2, 2)[:20], "cut short|damaged"),
        (png(2, 2)[:-12], "cut short"),
        (png(2, 2)[:-1], "cut short"),
        (png(2, 2).replace(b"IHDR", b"IHDr"), "damaged"),
        (png(2, 2, coded=b"abc").replace(b"abc", b"abd"), "checksum"),
        (b"\x89PNG\r\n\x1a\n", "damaged PNG header"),
        (b"GIF89a" + struct.pack("<HH", 65535, 65535), "over 256 million"),
        (b"GIF89a", "no size"),
        (b"BM" + bytes(12) + struct.pack("<Iii", 40, 2**30, -(2**30)), "over 256 million"),
        (b"BM" + bytes(12) + struct.pack("<IHH", 12, 60000, 60000), "over 256 million"),
        (b"BM" + bytes(12), "no size"),
        (b"P6\n# a remark\n99999999999999999999 3\n255\n", "over 256 million"),
        (b"P5 20000 20000 255\n", "over 256 million"),
        (b"II*\0" + struct.pack("<IHHHIIHHII", 8, 2, 256, 4, 1, 10**6, 257, 4, 1, 10**6), "over 256 million"),
        (b"MM\0*" + struct.pack(">IHHHIHHHHIHH", 8, 2, 256, 3, 1, 60000, 0, 257, 3, 1, 60000, 0), "over 256"),
        (b"II*\0" + struct.pack("<I", 2**31), "without its directory"),
        (b"II+\0" + struct.pack("<HHQ", 8, 0, 2**63), "without its directory"),
        (b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, 2**60) + bytes(90), "without its directory"),
    ],
)
def test_lies_are_refused_before_decoding(data: bytes, part: str) -> None:
    with pytest.raises(PatchBatchError, match=f"^a.*({part})"):
        check_image(data, "a")


def test_jpeg_size_is_read_past_other_segments() -> None:
    data = bytearray(cv2.imencode(".jpg", NOISE)[1].tobytes())
    check_image(bytes(data), "a")
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    with pytest.raises(PatchBatchError, match="65535x65535"):
        check_image(bytes(data), "a")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_jpeg_end_of_a_thumbnail_is_not_the_end(options: dict[str, object]) -> None:
    stream = io.BytesIO()
    thumbnail = cv2.imencode(".jpg", NOISE[:8, :8])[1].tobytes()
    Image.fromarray(NOISE).save(stream, "JPEG", exif=b"Exif\0\0" + thumbnail, **options)
    data = stream.getvalue()
    check_image(data, "a")
    check_image(data + b"\0\0", "a")
    for length in (
        len(data) - 2,
        len(data) - 1,
        len(data) // 2,
        data.index(thumbnail) + len(thumbnail) + 1,
        4,
    ):
        with pytest.raises(PatchBatchError, match="cut short"):
            check_image(data[:length], "a")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".ppm", ".gif"])
def test_flipped_bytes_end_in_an_image_or_in_our_error(suffix: str) -> None:
    whole = cv2.imencode(suffix, NOISE)[1].tobytes()
    random = np.random.default_rng(3)
    for _ in range(60):
        data = np.frombuffer(whole, np.uint8).copy()
        places = random.integers(0, min(len(data), random.choice([40, len(data)])), 2)
        data[places] = random.integers(0, 256, 2)
        try:
            pixels = decode_image(data.tobytes(), f"a{suffix}")
        except PatchBatchError as error:
            assert "\n" not in str(error)
        else:
            assert pixels.dtype in (np.uint8, np.uint16)
