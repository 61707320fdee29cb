"""Which format a file has, by its first bytes, and whether it may be decoded."""

from __future__ import annotations

from dataclasses import dataclass

from patchbatch.data.headers import tiff
from patchbatch.data.headers.boxes import (
    J2K_SIGNATURE,
    JP2_SIGNATURE,
    avif_size,
    is_avif,
    is_heif,
    jpeg2000_size,
)
from patchbatch.data.headers.jpeg import check_jpeg
from patchbatch.data.headers.limits import check_size
from patchbatch.data.headers.png import PNG_SIGNATURE, check_png
from patchbatch.data.headers.simple import Claim, bmp_claim, gif_claim, is_webp, pnm_claim, webp_claim
from patchbatch.errors import PatchBatchError

# Formats that people have and that are not read, by their first bytes.
_FOREIGN = (
    (b"\x76\x2f\x31\x01", "an OpenEXR image"), (b"#?RADIANCE", "a Radiance HDR image"),
    (b"#?RGBE", "a Radiance HDR image"), (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image"), (b"%PDF", "a PDF"), (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"), (b"8BPS", "a Photoshop file"), (b"BPG\xfb", "a BPG image"),
    (b"DDS ", "a DDS texture"), (b"qoif", "a QOI image"), (b"SIMPLE  =", "a FITS file"),
    (b"<svg", "an SVG drawing"), (b"<?xml", "an XML file"), (b"PIEH", "a .flo flow file"),
    (b"\x93NUMPY", "a numpy array"), (b"PK\3\4", "an archive"), (b"P7\n", "a PAM image"),
    (b"PF\n", "a float map (.pfm)"), (b"Pf\n", "a float map (.pfm)"), (b"\x1aE\xdf\xa3", "a video"),
    (b"\x89HDF", "an HDF5 file"),
)  # fmt: skip
_VIDEO = (b"isom", b"mp42", b"mp41", b"qt  ", b"avc1", b"iso2", b"M4V ")


@dataclass(frozen=True)
class ImageHeader:
    """What a header says.

    Attributes
    ----------
    kind
        Pillow's name of the format; empty where only the suffix can tell.
    width, height
        In pixels; 0 where nothing was read.
    top
        The largest value that a sample can have.
    frames
        How many pictures there are.
    grey_alpha
        Whether it is grey with alpha, which decoders expand to colour.
    tiff
        All of a TIFF's header.
    """

    kind: str
    width: int = 0
    height: int = 0
    top: int = 255
    frames: int = 1
    grey_alpha: bool = False
    tiff: tiff.TiffHeader | None = None


def check_image(data: bytes, name: str) -> ImageHeader:
    """Refuse an image file that is cut short, claims too many pixels or is of a kind that is not read.

    PNG and JPEG are checked for their end; all formats for their size.

    Parameters
    ----------
    data
        The whole file.
    name
        What to call the file in an error.

    Returns
    -------
    ImageHeader
        What the header says; of an unknown format nothing.

    Raises
    ------
    PatchBatchError
        One line naming the file.
    """
    header = _header(data, name)
    if header.kind:
        check_size(header.width, header.height, name, len(data))
        return header
    for start, words in _FOREIGN:
        if data.startswith(start):
            raise PatchBatchError(f"{name} is {words}, not an image that can be read; convert it to PNG")
    if is_heif(data):
        raise PatchBatchError(f"{name} is a HEIF image, not an image that can be read; convert it to PNG")
    if data[4:8] == b"ftyp" and data[8:12] in _VIDEO:
        raise PatchBatchError(f"{name} is a video, not an image that can be read; take frames out of it")
    return header


def _header(data: bytes, name: str) -> ImageHeader:  # noqa: PLR0911 - one return a format
    if data.startswith(PNG_SIGNATURE):
        png = check_png(data, name)
        return ImageHeader(
            "PNG", png.width, png.height, 65535 if png.depth == 16 else 255, png.frames, png.colour_type == 4
        )
    if data.startswith(b"\xff\xd8\xff"):
        return ImageHeader("JPEG", *check_jpeg(data, name))
    if data[:4] in (*tiff.CLASSIC, *tiff.BIG):
        return _tiff(data, name)
    if data.startswith((JP2_SIGNATURE, J2K_SIGNATURE)):
        width, height, bits = jpeg2000_size(data)
        return ImageHeader("JPEG2000", width, height, 2 ** max(bits, 8) - 1)
    if is_avif(data):
        width, height, bits = avif_size(data)
        return ImageHeader("AVIF", width, height, 2**bits - 1)
    if data.startswith(b"GIF8"):
        return _claimed("GIF", gif_claim(data))
    if data.startswith(b"BM"):
        return _claimed("BMP", bmp_claim(data))
    if is_webp(data):
        return _claimed("WEBP", webp_claim(data))
    if claim := pnm_claim(data):
        return _claimed("PPM", claim)
    return ImageHeader("")


def _claimed(kind: str, claim: Claim) -> ImageHeader:
    return ImageHeader(kind, claim.width, claim.height, claim.top, claim.frames)


def _tiff(data: bytes, name: str) -> ImageHeader:
    header = tiff.tiff_header(data)
    if header is None:
        raise PatchBatchError(f"{name} is cut short or damaged (a TIFF without its directory); copy it again")
    check_size(header.width, header.height, name, len(data))
    tiff.check_tiff(header, name)
    top = 65535 if header.bits > 8 else 255
    return ImageHeader("TIFF", header.width, header.height, top, header.pages, False, header)
