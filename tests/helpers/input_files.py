"""Files that people hand to a flow program as images, made from one small picture, and what each has to give.

`INPUTS` lists them; `tests/data/test_inputs.py` tries each, `tests/helpers/inputs_page.py` makes a page.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

STORED = Path(__file__).resolve().parents[1] / "fuzz" / "corpus" / "image"
"""Small files of kinds that no library of the tests writes."""
HEIGHT, WIDTH = 18, 24
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]


def ramps(top: int, dtype: Any) -> np.ndarray:
    """Return three ramps, to the right, down and both, from 0 to `top`: no two corners of it are alike."""
    shares = np.stack([COLUMNS / 23, ROWS / 17, (COLUMNS + ROWS) / 40], axis=-1)
    return np.rint(shares * top).astype(dtype)


RGB, DEEP = ramps(255, np.uint8), ramps(65535, np.uint16)
GREY = RGB[..., 2].copy()
BITS = GREY > 127


@dataclass(frozen=True)
class InputFile:
    """One file.

    Attributes
    ----------
    group, what
        Heading and row of the page.
    name
        Of the file, with its suffix.
    data
        Its bytes.
    gives
        The pixels that it has to give, or words of the line that it is refused with.
    off_by
        How far pixels may be off, in their own unit: what the coding loses.
    says
        Words of a warning that is logged beside.
    """

    group: str
    what: str
    name: str
    data: bytes
    gives: np.ndarray | str
    off_by: float = 0
    says: str = ""


def pillow(kind: str, pixels: Any = RGB, mode: str | None = None, **options: Any) -> bytes:
    """Write pixels, or a picture, by Pillow, perhaps in another mode."""
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture = picture if mode is None else picture.convert(mode)
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def opencv(pixels: np.ndarray, suffix: str, *options: int) -> bytes:
    """Write RGB or grey pixels by OpenCV."""
    return cv2.imencode(suffix, pixels if pixels.ndim == 2 else pixels[..., ::-1], list(options))[1].tobytes()


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return a PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, colour: int, rows: list[bytes], *between: bytes) -> bytes:
    """Write a PNG by hand: packed rows, chunks between header and pixels."""
    coded = zlib.compress(b"".join(b"\0" + row for row in rows))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *between, chunk(b"IDAT", coded), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def packed(values: np.ndarray, bits: int) -> list[bytes]:
    """Pack rows of small numbers, the first in the highest bits."""
    planes = (values[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return [np.packbits(row.reshape(-1)).tobytes() for row in planes.astype(np.uint8)]


def tiff(
    pixels: np.ndarray, tags: dict[int, int] | None = None, order: str = "<", big: bool = False
) -> bytes:
    """Write one strip of a TIFF by hand, with any tags."""
    height, width = pixels.shape[:2]
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    body = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    head = 16 if big else 8
    kind = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    wanted = {
        256: width, 257: height, 258: 8 * pixels.dtype.itemsize, 259: 1, 262: 2 if samples > 2 else 1,
        273: head, 277: samples, 278: height, 279: len(body), 339: kind, **(tags or {}),
    }  # fmt: skip
    # Several samples have several depths, which stand behind the pixels.
    depths = struct.pack(order + "H", wanted[258]) * samples
    entries = b""
    for tag, value in sorted(wanted.items()):
        count = samples if tag in (258, 339) else 1
        letter, code = ("H", 3) if tag in (258, 259, 262, 274, 277, 338, 339) else ("I", 4)
        room = 8 if big else 4
        if tag == 339 and count > 1:
            count = 1  # readers take one for all
        if 2 * count > room:
            stored = struct.pack(order + ("Q" if big else "I"), head + len(body))
        else:
            stored = (struct.pack(order + letter, value) * count).ljust(room, b"\0")
        entries += struct.pack(order + ("HHQ" if big else "HHI"), tag, code, count) + stored
    at = head + len(body) + len(depths)
    if big:
        start = struct.pack(order + "HHHQ", 43, 8, 0, at)
        directory = struct.pack(order + "Q", len(wanted)) + entries + bytes(8)
    else:
        start = struct.pack(order + "HI", 42, at)
        directory = struct.pack(order + "H", len(wanted)) + entries + bytes(4)
    return (b"II" if order == "<" else b"MM") + start + body + depths + directory


def turned(kind: str) -> bytes:
    """Write a picture whose metadata ask for a quarter turn."""
    exif = Image.Exif()
    exif[0x112] = 6
    return pillow(kind, exif=exif, **({"quality": 95} if kind == "JPEG" else {}))


def pages(kind: str, count: int = 3, **options: Any) -> bytes:
    """Write a picture and, as further frames, its negative."""
    others = [Image.fromarray(255 - RGB)] * (count - 1)
    if kind != "GIF":
        others = [Image.fromarray(np.roll(255 - RGB, shift, axis=1)) for shift in range(count - 1)]
    return pillow(kind, save_all=True, append_images=others, **options)


def _pngs() -> Iterator[InputFile]:
    def one(what: str, data: bytes, gives: np.ndarray | str, **more: Any) -> InputFile:
        return InputFile("PNG", what, "a.png", data, gives, **more)

    yield one("RGB, 8 bits", pillow("PNG"), RGB)
    yield one("RGB, 16 bits", opencv(DEEP, ".png"), DEEP)
    yield one("grey, 8 bits", pillow("PNG", GREY), GREY)
    yield one("grey, 16 bits", opencv(DEEP[..., 0], ".png"), DEEP[..., 0])
    for bits in (1, 2, 4):
        few = (GREY >> (8 - bits)).astype(np.uint8)
        full = (few.astype(np.uint16) * 255 // (2**bits - 1)).astype(np.uint8)
        name = "1 bit" if bits == 1 else f"{bits} bits"
        yield one(f"grey, {name}", png(WIDTH, HEIGHT, bits, 0, packed(few, bits)), full)
        colours = bytes(255 - value for value in range(3 * 2**bits))
        palette = np.frombuffer(colours, np.uint8).reshape(-1, 3)
        data = png(WIDTH, HEIGHT, bits, 3, packed(few, bits), chunk(b"PLTE", colours))
        yield one(f"palette, {name}", data, palette[few])
    palette = Image.fromarray(RGB).quantize(64)
    yield one("palette, 8 bits", pillow("PNG", palette), np.asarray(palette.convert("RGB")))
    yield one(
        "palette with a transparent colour",
        pillow("PNG", palette, transparency=3),
        np.asarray(palette.convert("RGB")),
    )
    alpha = np.dstack([RGB, 255 - GREY])
    yield one("RGB and alpha, 8 bits: alpha is dropped", pillow("PNG", alpha), RGB)
    yield one("RGB and alpha, 16 bits", opencv(np.dstack([DEEP[..., 2], DEEP[..., :3]]), ".png"), DEEP)
    yield one("grey and alpha", pillow("PNG", Image.fromarray(GREY), "LA"), GREY)
    yield one("a transparent colour in RGB", pillow("PNG", transparency=(0, 0, 0)), RGB)
    yield one("interlaced", _interlaced(), GREY)
    yield one("EXIF orientation 6 (a quarter turn): as stored", turned("PNG"), RGB)
    yield one(
        "gamma, colour profile and text beside", pillow("PNG", icc_profile=b"x" * 200, dpi=(72, 72)), RGB
    )
    yield one("more bytes behind its end", pillow("PNG") + b"more", RGB)
    yield one("animated, three frames", pages("PNG"), RGB, says="3 frames: the still one is read")
    yield one(
        "animated, with a title apart", pages("PNG", default_image=True), RGB, says="2 frames: the still one"
    )
    yield one("cut short", pillow("PNG")[:-20], "is cut short (a PNG without its end)")
    yield one("a flipped bit", pillow("PNG").replace(b"IDAT", b"IDAT\1", 1)[:-1], "is damaged")


def _interlaced() -> bytes:
    """Write a grey PNG in the seven passes of Adam7."""
    rows = b""
    for top, left, down, right in ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2),
                                   (0, 1, 2, 2), (1, 0, 2, 1)):  # fmt: skip
        rows += b"".join(b"\0" + row.tobytes() for row in GREY[top::down, left::right])
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 0, 0, 0, 1)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def _jpegs() -> Iterator[InputFile]:
    def one(what: str, data: bytes, gives: np.ndarray | str, off_by: float = 12) -> InputFile:
        return InputFile("JPEG", what, "a.jpg", data, gives, off_by if not isinstance(gives, str) else 0)

    plain = pillow("JPEG", quality=95)
    yield one("RGB", plain, RGB)
    yield one("grey", pillow("JPEG", GREY, quality=95), GREY)
    yield one("progressive", pillow("JPEG", quality=95, progressive=True), RGB)
    yield one("full colour resolution (4:4:4)", pillow("JPEG", quality=95, subsampling=0), RGB)
    yield one("restart marks", pillow("JPEG", quality=95, restart_marker_rows=1), RGB)
    yield one("CMYK", pillow("JPEG", Image.fromarray(RGB), "CMYK", quality=95), RGB, 16)
    yield one("EXIF orientation 6: as stored", turned("JPEG"), RGB)
    yield one("a thumbnail inside", pillow("JPEG", quality=95, exif=b"Exif\0\0" + plain), RGB)
    yield one("two pictures (MPO, as telephones write): the first", pillow("MPO", quality=95, save_all=True,
              append_images=[Image.fromarray(255 - RGB)]), RGB)  # fmt: skip
    yield one("more bytes behind its end", plain + b"\0\0\0", RGB)
    yield one("12 bits", (STORED / "12-bits.jpg").read_bytes(), "is a JPEG of 12 bits, which is not read")
    yield one("lossless", (STORED / "lossless.jpg").read_bytes(), "is a lossless JPEG, which is not read")
    yield one("cut short", plain[:-30], "is cut short (a JPEG without its end)")


def _tiffs() -> Iterator[InputFile]:
    def one(what: str, data: bytes, gives: np.ndarray | str, **more: Any) -> InputFile:
        return InputFile("TIFF", what, "a.tif", data, gives, **more)

    yield one("RGB, 8 bits", tiff(RGB), RGB)
    yield one("RGB, 16 bits", tiff(DEEP), DEEP)
    yield one("grey, 8 bits", tiff(GREY), GREY)
    yield one("grey, 16 bits, other byte order", tiff(DEEP[..., 0], order=">"), DEEP[..., 0])
    yield one("white is 0", tiff(GREY, {262: 0}), 255 - GREY)
    yield one("1 bit", pillow("TIFF", Image.fromarray(BITS)), BITS * np.uint8(255))
    yield one(
        "1 bit, fax coding", pillow("TIFF", Image.fromarray(BITS), compression="group4"), BITS * np.uint8(255)
    )
    yield one("BigTIFF", tiff(RGB, big=True), RGB)
    for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "lzma"):
        yield one(f"compressed: {name.split('_')[-1]}", pillow("TIFF", compression=name), RGB)
    yield one("compressed: JPEG", pillow("TIFF", compression="jpeg", quality=95), RGB, off_by=12)
    yield one(
        "compression that is not known", tiff(RGB, {259: 50002}), "with compression 50002, which is not read"
    )
    palette = Image.fromarray(RGB).quantize(64)
    yield one("palette", pillow("TIFF", palette), np.asarray(palette.convert("RGB")))
    yield one("RGB and alpha", tiff(np.dstack([RGB, GREY]), {338: 2}), RGB)
    yield one("CMYK", pillow("TIFF", Image.fromarray(RGB), "CMYK"), RGB)
    yield one("tiles", _tiled(), GREY)
    for turn in (1, 3, 6, 8):
        yield one(f"orientation {turn}: as stored", tiff(RGB, {274: turn}), RGB)
    yield one("orientation 6, BigTIFF, other byte order", tiff(RGB, {274: 6}, ">", True), RGB)
    yield one("three pages", pages("TIFF"), RGB, says="3 frames: the first page is read")
    yield one(
        "float32", tiff(GREY.astype(np.float32) / 255), "holds float32 pixels; save it with 8 or 16 bits"
    )
    yield one("float64", tiff(GREY.astype(np.float64) / 255), "holds float64 pixels")
    yield one("int16", tiff(GREY.astype(np.int16)), "holds int16 pixels")
    yield one("uint32", tiff(GREY.astype(np.uint32)), "holds uint32 pixels")
    yield one("five channels", tiff(np.dstack([RGB, RGB[..., :2]]), {262: 1}), "5 x uint8 pixels")
    yield one("cut short", tiff(RGB)[:60], "is cut short or damaged (a TIFF without its directory)")


def _tiled() -> bytes:
    """Write a grey TIFF in tiles of 16 x 16, as microscopes and maps do."""
    padded = np.zeros((32, 32), np.uint8)
    padded[:HEIGHT, :WIDTH] = GREY
    tiles = [padded[top : top + 16, left : left + 16].tobytes() for top in (0, 16) for left in (0, 16)]
    tags = {
        256: (3, 1, WIDTH), 257: (3, 1, HEIGHT), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1),
        277: (3, 1, 1), 322: (3, 1, 16), 323: (3, 1, 16), 324: (4, 4, 8 + 1024), 325: (4, 4, 8 + 1040),
    }  # fmt: skip
    lists = struct.pack("<4I", *(8 + 256 * at for at in range(4))) + struct.pack("<4I", *[256] * 4)
    entries = b"".join(struct.pack("<HHII", tag, *entry) for tag, entry in tags.items())
    body = b"".join(tiles) + lists
    return (
        struct.pack("<2sHI", b"II", 42, 8 + len(body))
        + body
        + struct.pack("<H", len(tags))
        + entries
        + bytes(4)
    )


def _pnms() -> Iterator[InputFile]:
    def one(what: str, name: str, data: bytes, gives: np.ndarray | str) -> InputFile:
        return InputFile("PNM", what, name, data, gives)

    size = f"{WIDTH} {HEIGHT}".encode()
    few = (GREY >> 1).astype(np.uint8)
    ten = ramps(1023, np.uint16)
    scaled = np.rint(ten * (65535 / 1023)).astype(np.uint16)
    text = " ".join(str(value) for value in GREY.reshape(-1)).encode()
    yield one("PPM, 8 bits", "a.ppm", b"P6\n" + size + b"\n255\n" + RGB.tobytes(), RGB)
    yield one(
        "PGM, 8 bits, with remarks",
        "a.pgm",
        b"P5\n# made\n" + size + b" # by hand\n255\n" + GREY.tobytes(),
        GREY,
    )
    yield one("PPM, 16 bits", "a.ppm", b"P6\n" + size + b"\n65535\n" + DEEP.astype(">u2").tobytes(), DEEP)
    yield one("PPM, 10 bits", "a.ppm", b"P6\n" + size + b"\n1023\n" + ten.astype(">u2").tobytes(), scaled)
    yield one(
        "PGM, 7 bits",
        "a.pgm",
        b"P5\n" + size + b"\n127\n" + few.tobytes(),
        np.rint(few * (255 / 127)).astype(np.uint8),
    )
    yield one("PGM as text", "a.pgm", b"P2\n" + size + b"\n255\n" + text + b"\n", GREY)
    yield one(
        "PBM, 1 bit", "a.pbm", b"P4\n" + size + b"\n" + b"".join(packed(~BITS * 1, 1)), BITS * np.uint8(255)
    )
    head = b"P7\nWIDTH 24\nHEIGHT 18\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n"
    yield one("PAM", "a.pam", head + RGB.tobytes(), "is a PAM image, not an image that can be read")
    yield one("PFM", "a.pfm", b"Pf\n1 1\n-1\n\0\0\0\0", "is a float map (.pfm), not an image")


def _others() -> Iterator[InputFile]:
    def one(what: str, name: str, data: bytes, gives: np.ndarray | str, **more: Any) -> InputFile:
        return InputFile("other formats", what, name, data, gives, **more)

    yield one("BMP, 24 bits", "a.bmp", pillow("BMP"), RGB)
    yield one("BMP, rows from the top", "a.bmp", _bmp_from_the_top(), RGB)
    palette = Image.fromarray(RGB).quantize(64)
    yield one("BMP, palette", "a.bmp", pillow("BMP", palette), np.asarray(palette.convert("RGB")))
    yield one("BMP, 1 bit", "a.bmp", pillow("BMP", Image.fromarray(BITS)), BITS * np.uint8(255))
    yield one("BMP, 32 bits", "a.bmp", pillow("BMP", Image.fromarray(RGB), "RGBA"), RGB)
    yield one("WebP, lossless", "a.webp", pillow("WEBP", lossless=True), RGB)
    yield one("WebP, lossy", "a.webp", pillow("WEBP", quality=95), RGB, off_by=16)
    yield one(
        "WebP, alpha",
        "a.webp",
        pillow("WEBP", np.dstack([RGB, 255 - GREY // 2]), lossless=True, exact=True),
        RGB,
    )
    yield one("WebP, EXIF orientation 6: as stored", "a.webp", turned("WEBP"), RGB, off_by=24)
    yield one(
        "WebP, animated", "a.webp", pages("WEBP", lossless=True), RGB, says="3 frames: the first is read"
    )
    few = Image.fromarray(RGB).quantize(16)
    yield one("GIF", "a.gif", pillow("GIF", few), np.asarray(few.convert("RGB")))
    gif = pillow("GIF", few, save_all=True, append_images=[Image.fromarray(255 - RGB).quantize(16)])
    yield one(
        "GIF, animated", "a.gif", gif, np.asarray(few.convert("RGB")), says="2 frames: the first is read"
    )
    yield one("JPEG 2000, 8 bits", "a.jp2", pillow("JPEG2000", irreversible=False), RGB)
    yield one("JPEG 2000, 16 bits", "a.jp2", pillow("JPEG2000", DEEP[..., 0]), DEEP[..., 0])
    yield one("AVIF, 8 bits", "a.avif", pillow("AVIF", quality=95, subsampling="4:4:4"), RGB, off_by=8)
    for bits in (10, 12):
        for kind, words in (("jp2", "JPEG 2000"), ("avif", "AVIF")):
            yield one(
                f"{words}, {bits} bits",
                f"a.{kind}",
                (STORED / f"{bits}-bits.{kind}").read_bytes(),
                DEEP,
                off_by=700,
            )
    yield one("TGA", "a.tga", pillow("TGA"), RGB)
    yield one("TGA, run lengths", "a.TGA", pillow("TGA", compression="tga_rle"), RGB)
    yield one("PCX", "a.pcx", pillow("PCX"), RGB)
    yield one("SGI", "a.sgi", pillow("SGI"), RGB)
    yield one("a JPEG called .png", "a.png", pillow("JPEG", quality=95), RGB, off_by=12)
    yield one("a PNG without suffix", "a", pillow("PNG"), RGB)
    yield one(
        "JPEG XL",
        "a.jxl",
        (STORED / "a.jxl").read_bytes(),
        "is a JPEG XL image, not an image that can be read",
    )
    yield one("HEIC", "a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), "is a HEIF image, not")
    yield one("OpenEXR", "a.exr", b"\x76\x2f\x31\x01" + bytes(99), "is an OpenEXR image, not")
    yield one("Radiance HDR", "a.hdr", b"#?RADIANCE\n" + bytes(99), "is a Radiance HDR image, not")
    yield one("PDF", "a.pdf", b"%PDF-1.7\n", "is a PDF, not")
    yield one("SVG", "a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is an SVG drawing, not")
    yield one("PostScript called .gif", "a.gif", b"%!PS-Adobe-3.0 EPSF-3.0\n", "is PostScript, not")
    yield one(
        "a video",
        "a.mp4",
        b"\0\0\0\x20ftypisom" + bytes(99),
        "is a video, not an image that can be read; take frames",
    )
    yield one(
        "a flow file", "a.flo", b"PIEH" + struct.pack("<ii", 1, 1) + bytes(8), "is a .flo flow file, not"
    )
    yield one(
        "text", "a.png", b"hello, this is no image", "is not an image that can be read; convert it to PNG"
    )
    yield one("no byte", "a.png", b"", "is empty; write or copy it again")


def _bmp_from_the_top() -> bytes:
    data = bytearray(pillow("BMP"))
    start = struct.unpack_from("<I", data, 10)[0]
    data[22:26] = struct.pack("<i", -HEIGHT)
    data[start:] = b"".join(row.tobytes() for row in RGB[..., ::-1])  # rows of 72 bytes need no padding
    return bytes(data)


def _sizes() -> Iterator[InputFile]:
    def one(what: str, name: str, data: bytes, gives: np.ndarray | str) -> InputFile:
        return InputFile("sizes", what, name, data, gives)

    fills = "as files that fill the memory do; crop or shrink it"
    yield one("one pixel", "a.png", pillow("PNG", RGB[:1, :1]), RGB[:1, :1])
    yield one("one row", "a.png", pillow("PNG", RGB[:1]), RGB[:1])
    yield one("no pixel", "a.png", png(0, 5, 8, 0, []), "has a damaged header (no size)")
    yield one("PNG of 16000x16000 black pixels, 31 kB", "a.png", _black_png(16000), fills)
    yield one(
        "PNG that claims 40000x40000",
        "a.png",
        png(40000, 40000, 8, 0, []),
        "over 256 million; crop or shrink",
    )
    jpeg = bytearray(pillow("JPEG"))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 15000, 15000)
    yield one("JPEG that claims 15000x15000", "a.jpg", bytes(jpeg), fills)
    yield one(
        "GIF that claims 60000x4000", "a.gif", b"GIF89a" + struct.pack("<HH", 60000, 4000) + bytes(9), fills
    )
    yield one("TIFF that claims 12000x12000", "a.tif", tiff(RGB, {256: 12000, 257: 12000}), fills)
    yield one("PPM that claims 12000x12000", "a.ppm", b"P6 12000 12000 255\n", fills)
    webp = bytearray(pillow("WEBP", lossless=True))
    webp[21:25] = struct.pack("<I", (struct.unpack("<I", webp[21:25])[0] & 0xF0000000) | 12000 | 12000 << 14)
    yield one("WebP that claims 12001x12001", "a.webp", bytes(webp), fills)
    jp2 = bytearray(pillow("JPEG2000"))
    siz = jp2.index(b"\xffO\xffQ")
    jp2[siz + 8 : siz + 16] = struct.pack(">II", 12000, 12000)
    yield one("JPEG 2000 that claims 12000x12000", "a.jp2", bytes(jp2), fills)
    avif = pillow("AVIF")
    avif = avif.replace(struct.pack(">II", WIDTH, HEIGHT), struct.pack(">II", 12000, 12000))
    yield one("AVIF that claims 12000x12000", "a.avif", avif, fills)
    tga = bytearray(pillow("TGA"))
    tga[12:16] = struct.pack("<HH", 12000, 12000)
    yield one("TGA that claims 12000x12000", "a.tga", bytes(tga), fills)


def _black_png(side: int) -> bytes:
    coder = zlib.compressobj(9)
    row = bytes(1 + side // 8)
    coded = b"".join(coder.compress(row) for _ in range(side)) + coder.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", coded) + chunk(b"IEND", b"")


INPUTS = [*_pngs(), *_jpegs(), *_tiffs(), *_pnms(), *_others(), *_sizes()]
