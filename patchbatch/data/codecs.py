"""Image codecs: the bytes of a file to stored pixels and back, in RGB order."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from patchbatch.data.headers.check import ImageHeader, check_image
from patchbatch.data.headers.limits import check_size
from patchbatch.data.headers.png import only_pixels
from patchbatch.data.headers.tiff import as_stored
from patchbatch.errors import PatchBatchError

log = logging.getLogger(__name__)

# Formats without a signature, by suffix, under Pillow's names.
_BY_SUFFIX = {".tga": "TGA", ".pcx": "PCX", ".sgi": "SGI", ".rgb": "SGI", ".bw": "SGI", ".ico": "ICO"}
# What Pillow decodes where OpenCV does not: other compressions and tiles of TIFF, GIF before OpenCV 5.
_BY_PILLOW = ("TIFF", "GIF")


def decode_image(data: bytes, name: str) -> NDArray[Any]:
    """Decode the bytes of an image file as `read_image` does.

    Parameters
    ----------
    data
        The whole file.
    name
        The file's name: for errors, and its suffix for formats without a signature.

    Returns
    -------
    ndarray
        `(H, W)` or `(H, W, 3)` RGB, uint8 or uint16.

    Raises
    ------
    PatchBatchError
        As `read_image`, for the content.
    """
    header = check_image(data, name)
    kind = header.kind or _BY_SUFFIX.get(Path(name).suffix.lower(), "")
    pixels = None
    if header.kind and not (header.tiff and header.tiff.alpha_of_8_bits):
        pixels = _decode(_as_stored(data, header))
    if pixels is None and kind and (not header.kind or kind in _BY_PILLOW):
        pixels = _decode_with_pillow(data, kind, name)
    if pixels is None or not pixels.size:
        raise PatchBatchError(_not_read(name, header))
    if pixels.dtype not in (np.uint8, np.uint16):
        raise PatchBatchError(f"{name} holds {pixels.dtype} pixels; save it with 8 or 16 bits")
    if header.frames > 1:
        log.warning("%s has %d frames: %s is read", name, header.frames, _which(header))
    # OpenCV expands grey with alpha to colour.
    return drop_alpha(_to_full_range(pixels, header.top), grey=header.grey_alpha)


def _not_read(name: str, header: ImageHeader) -> str:
    """Say why a file is no image here: what its pixels are, or that it is none."""
    if header.tiff is not None:
        pixels = f"a TIFF of {header.tiff.words} pixels, compression {header.tiff.compression}"
        return f"{name} is {pixels}, which is not read or damaged; convert it to PNG"
    if header.kind:
        return f"{name} is not an image that can be read (a damaged {header.kind}?); convert it to PNG"
    return f"{name} is not an image that can be read; convert it to PNG"


def _which(header: ImageHeader) -> str:
    return (
        "the first page"
        if header.kind == "TIFF"
        else "the still one"
        if header.kind == "PNG"
        else "the first"
    )


def _as_stored(data: bytes, header: ImageHeader) -> bytes:
    """Return the file so that the decoder neither turns the picture nor takes one of its later frames."""
    if header.tiff is not None:
        return as_stored(data, header.tiff)
    return only_pixels(data) if header.kind == "PNG" else data


def _to_full_range(pixels: NDArray[Any], top: int) -> NDArray[Any]:
    """Scale samples of 7, 10 or 12 bits, say, so that their largest value becomes that of the type."""
    full = np.iinfo(pixels.dtype).max
    if top >= full or top < 1 or pixels.max() > top:  # a decoder that has scaled them leaves larger ones
        return pixels
    scaled: NDArray[Any] = np.rint(pixels * np.float32(full / top)).astype(pixels.dtype)
    return scaled


def drop_alpha(pixels: NDArray[Any], *, grey: bool = False) -> NDArray[Any]:
    """Drop alpha and single-channel axes.

    Parameters
    ----------
    pixels
        `(H, W)` or `(H, W, C)` with 1 to 4 channels.
    grey
        The colours are known to be equal, so that one of them is enough.

    Returns
    -------
    ndarray
        `(H, W)` of one or two channels or where `grey` is set, else `(H, W, 3)`; contiguous.
    """
    if pixels.ndim == 2:
        return pixels
    if grey or pixels.shape[2] < 3:
        return np.ascontiguousarray(pixels[..., 0])
    return np.ascontiguousarray(pixels[..., :3])


def _decode(data: bytes) -> NDArray[Any] | None:
    """Decode with OpenCV to grey or RGB, or return None where it cannot."""
    try:
        with _quiet_opencv():
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if pixels is None or pixels.ndim == 2 or pixels.shape[2] < 3:
        return pixels
    return pixels[..., 2::-1]  # BGR or BGRA to RGB


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Keep OpenCV's log off stderr: what it says about a bad file becomes our one line."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def _decode_with_pillow(data: bytes, kind: str, name: str) -> NDArray[Any] | None:
    """Decode the first frame with Pillow's decoder of one format, or return None where it cannot."""
    from PIL import Image  # noqa: PLC0415 - a rare path

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures that are allowed here
            with Image.open(io.BytesIO(data), formats=(kind,)) as picture:
                check_size(*picture.size, name, len(data))
                return _of_pillow(picture)
    except PatchBatchError:
        raise
    except Exception:  # its decoders let index, struct, zlib, syntax and memory errors through
        return None


def _of_pillow(picture: Any) -> NDArray[Any]:
    """Return Pillow's picture as it is stored: palettes and CMYK as RGB, one bit as 0 and 255."""
    if picture.mode == "1":
        return np.asarray(picture, np.uint8) * np.uint8(255)
    if picture.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV"):
        picture = picture.convert("RGB")
    pixels: NDArray[Any] = np.asarray(picture)
    return pixels.astype(pixels.dtype.newbyteorder("=")) if pixels.dtype.kind == "u" else pixels


def encode_image(pixels: NDArray[Any], suffix: str) -> bytes:
    """Return the bytes of an image file.

    Parameters
    ----------
    pixels
        `(H, W)` or `(H, W, 3)` RGB, uint8 or uint16 where the format has 16 bits.
    suffix
        The format, with its dot.

    Raises
    ------
    PatchBatchError
        The array has a size that the format cannot hold.
    """
    if suffix == ".ppm" and pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)  # a .ppm is in colour by definition
    stored = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., ::-1])
    try:
        with _quiet_opencv():
            done, encoded = cv2.imencode(suffix, stored)
    except cv2.error:
        done, encoded = False, np.empty(0, np.uint8)
    if not done:
        raise PatchBatchError(
            f"a {suffix} file cannot hold an array of shape {pixels.shape}; write .png or .tif"
        )
    return bytes(encoded)
