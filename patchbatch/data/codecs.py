"""Image codecs: the bytes of a file to stored pixels and back, in RGB order."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from patchbatch.data.headers import check_image
from patchbatch.errors import PatchBatchError

# What OpenCV (before version 5 for GIF) does not decode.
_IMAGEIO_SUFFIXES = (".gif", ".tga", ".pcx", ".sgi", ".ico")
# The library behind imageio goes by content and would run PostScript, a program and not a picture.
_POSTSCRIPT = (b"%!PS", b"\xc5\xd0\xd3\xc6")


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
    pixels = _decode(data)
    if pixels is None and Path(name).suffix.lower() in _IMAGEIO_SUFFIXES and not data.startswith(_POSTSCRIPT):
        pixels = _decode_with_imageio(data)
    if pixels is None or not pixels.size:
        raise PatchBatchError(f"{name} is not an image that can be read; convert it to PNG")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise PatchBatchError(f"{name} holds {pixels.dtype} pixels; save it with 8 or 16 bits")
    # OpenCV expands grey with alpha to colour.
    return drop_alpha(pixels, grey=header is not None and header.colour_type == 4)


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


def _decode_with_imageio(data: bytes) -> NDArray[Any] | None:
    """Decode the first frame with imageio's Pillow reader, or return None where it cannot."""
    import imageio.v3  # noqa: PLC0415  a rare path; importing it takes longer than decoding

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures that are allowed here
            pixels: NDArray[Any] = imageio.v3.imread(io.BytesIO(data), index=0, plugin="pillow")
    except Exception:  # its decoders let index, struct, zlib, syntax and memory errors through
        return None
    return pixels.astype(np.uint8) * 255 if pixels.dtype == np.bool_ else pixels


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
