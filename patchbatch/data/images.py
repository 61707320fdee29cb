"""Images: files to arrays as stored, arrays to float32 in [0, 1], and back to files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from patchbatch.data.codecs import decode_image, drop_alpha, encode_image
from patchbatch.data.files import FilePath, atomic_path, read_bytes
from patchbatch.errors import PatchBatchError

_SUFFIXES_16_BIT = (".png", ".tif", ".tiff", ".ppm")
_SUFFIXES = (*_SUFFIXES_16_BIT, ".jpg", ".jpeg", ".bmp")
# Floats this far outside [0, 1] are taken for another scale; less is the overshoot of a resampling.
_OVERSHOOT = 0.5
# ITU-R BT.601 luma, which OpenCV's RGB2GRAY uses as well.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def read_image(path: FilePath) -> NDArray[Any]:
    """Read an image file as it is stored.

    Palettes are expanded, alpha is dropped, 10 and 12 bits become 16. An orientation in the file's metadata
    is never applied: flow is measured on the stored grid. Of several frames or pages the first is taken, and
    a warning is logged. docs/inputs.md lists what was tried.

    Parameters
    ----------
    path
        PNG, JPEG, PNM, TIFF, BMP, WebP, JPEG 2000, AVIF, GIF, TGA, PCX, SGI or ICO file.

    Returns
    -------
    ndarray
        `(H, W)` or `(H, W, 3)` RGB, uint8 or uint16.

    Raises
    ------
    PatchBatchError
        The file is missing, a folder, empty, no image, cut, damaged, larger than 256 megapixels, packed as
        files are that fill the memory, or holds pixels that are not of up to 16 bits.
    """
    return decode_image(read_bytes(path), str(path))


def as_float(image: NDArray[Any]) -> NDArray[np.float32]:
    """Convert an image array to float32 in [0, 1].

    Parameters
    ----------
    image
        `(H, W)`, `(H, W, 1)`, `(H, W, 3)` RGB or `(H, W, 4)` RGB and alpha, which is dropped; bool,
        uint8, uint16, or float in [0, 1] already. A float overshoot of up to 0.5, as a resampling
        leaves it, is clipped.

    Returns
    -------
    ndarray
        `(H, W)` or `(H, W, 3)` float32 in [0, 1], contiguous; may be `image` itself.

    Raises
    ------
    PatchBatchError
        No array, another shape or type, empty, not finite, or floats on another scale.

    Examples
    --------
    >>> as_float(np.array([[0, 51, 255]], np.uint8))
    array([[0. , 0.2, 1. ]], dtype=float32)
    """
    _check_array(image)
    pixels = drop_alpha(image)
    if pixels.dtype == np.bool_:
        return pixels.astype(np.float32)
    if pixels.dtype.kind == "f":
        return _checked_floats(pixels)
    numbers = pixels.astype(np.float32)
    numbers /= np.float32(np.iinfo(pixels.dtype).max)
    return numbers


def _check_array(image: NDArray[Any]) -> None:
    """Refuse what is not an image array, saying what would be."""
    if not isinstance(image, np.ndarray):
        raise PatchBatchError(f"an image must be a path or a numpy array, not {type(image).__name__}")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise PatchBatchError(
            f"an image array has shape (H, W) or (H, W, 3), not {image.shape}; move its axes"
        )
    if not image.size:
        raise PatchBatchError(f"an image array of shape {image.shape} has no pixels")
    if image.dtype not in (np.bool_, np.uint8, np.uint16) and image.dtype.kind != "f":
        raise PatchBatchError(
            f"an image array is uint8, uint16, bool or float, not {image.dtype}; convert it"
        )


def _checked_floats(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Return float pixels as float32 clipped to [0, 1], or say that their scale is another."""
    low, high = float(pixels.min()), float(pixels.max())
    if not (np.isfinite(low) and np.isfinite(high)):  # min and max of an array with NaN are NaN
        raise PatchBatchError("the image array holds NaN or infinity; replace them")
    if low < -_OVERSHOOT or high > 1 + _OVERSHOOT:
        raise PatchBatchError(
            f"float images lie in [0, 1] but this one spans [{low:g}, {high:g}]; "
            "divide by 255 (8-bit) or 65535 (16-bit)"
        )
    single: NDArray[np.float32] = np.ascontiguousarray(pixels, np.float32)
    return single if low >= 0 and high <= 1 else np.clip(single, 0, 1)


def to_grey(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the luma of an image: 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).

    Parameters
    ----------
    image
        `(H, W)` or `(H, W, 3)` RGB float32 in [0, 1], as `as_float` gives it.

    Returns
    -------
    ndarray
        `(H, W)` float32 in [0, 1]; a grey image is returned as it is.
    """
    if image.ndim == 2:
        return image
    grey: NDArray[np.float32] = np.minimum(image @ _LUMA, np.float32(1))  # the weights round to 1 + 6e-8
    return grey


def to_rgb(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an `(H, W, 3)` float32 image, repeating a grey `(H, W)` one three times."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def load_image(image: FilePath | NDArray[Any]) -> NDArray[np.float32]:
    """Return an image as float32 in [0, 1], from a file or from an array.

    Parameters
    ----------
    image
        A path (see `read_image`) or an array (see `as_float`).

    Returns
    -------
    ndarray
        `(H, W)` or `(H, W, 3)` RGB float32 in [0, 1].

    Raises
    ------
    PatchBatchError
        As `read_image` and `as_float`.
    """
    return as_float(read_image(image) if isinstance(image, str | os.PathLike) else image)


def write_image(path: FilePath, image: NDArray[Any]) -> None:
    """Write a grey or RGB array to an image file, whole or not at all.

    Parameters
    ----------
    path
        .png, .tif, .tiff, .ppm, .jpg, .jpeg or .bmp; the last three store 8 bits only.
    image
        As `as_float` takes it. uint8 and uint16 are stored as they are, bool as 0 and 255, floats
        rounded to 8 bits.

    Raises
    ------
    PatchBatchError
        Unknown suffix, 16 bits in a format without them, a bad array, or a failing write.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _SUFFIXES:
        raise PatchBatchError(f"{path}: pictures are written as {', '.join(_SUFFIXES)}; choose one of these")
    pixels = _storable(image)
    if pixels.dtype == np.uint16 and suffix not in _SUFFIXES_16_BIT:
        raise PatchBatchError(
            f"{path}: {suffix} holds 8 bits; write 16 bits as {', '.join(_SUFFIXES_16_BIT)}"
        )
    encoded = encode_image(pixels, suffix)
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded)


def _storable(image: NDArray[Any]) -> NDArray[Any]:
    """Return the uint8 or uint16 pixels that a file of this array holds."""
    _check_array(image)
    if image.dtype in (np.uint8, np.uint16):
        return drop_alpha(image)
    pixels: NDArray[np.uint8] = np.rint(as_float(image) * np.float32(255)).astype(np.uint8)
    return pixels
